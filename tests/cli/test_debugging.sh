#!/bin/sh
# SPDX-License-Identifier: MIT
# The sessions of docs/debugging.md and README.md, typed at a real terminal. A ```prompt block begins with a command;
# lines that begin with ">" are typed at its prompt, "^C" is Ctrl-C, and the rest must stand on the screen.
# Seconds and rates may be any. A ```lua block that begins with "-- NAME.lua:" is that file.
#   sh tests/cli/test_debugging.sh --update    writes what the screen shows into the files
# The last line is "N passed, N failed, N skipped".
set -u
tree=$(realpath "$(dirname "$0")/../..")
. "$(dirname "$0")/../terminal.sh"

# Block N of the document, as it stands there.
block() { awk -v n="$1" '/^```prompt$/ { i++; on = i == n; next } /^```$/ { on = 0 } on' "$doc"; }

# What differs from run to run, made the same.
plain() {
  sed -E 's/[0-9.]+ (ms|s)( |$)/~ \1\2/g; s/[0-9.]+ [KM]?B\/s/~ rate/g; s/^ +[0-9]+\.[0-9]{3} +[0-9.]+ /~ ~ /; s/ +/ /g'
}

# typed LINE: waits until it is on the screen. Before that the prompt that stands there is the old one.
typed() {
  i=0
  until on_screen | grep -qF -e "$1"; do
    i=$((i + 1))
    [ $i -lt $PATIENCE ] || return 1
    sleep 0.02
  done
}

# Plays the block in $place/block; what the screen shows then is in $place/shown.
play() {
  fresh
  enter "PATH=$place/bin:\$PATH; PS1='\$ '; clear"
  last_line '$' || return 1
  sed -n 's/^\$ //p' "$place/block" | {
    read -r command
    enter "$command"
  }
  grep -E '^(>|\^C)' "$place/block" >"$place/typed"
  while read -r line; do
    case $line in
      ^C*) at_work && key C-c ;;
      *) ready && enter "${line#> }" && typed "$line" ;;
    esac || return 1
  done <"$place/typed"
  ready || return 1
  on_screen | sed '/^$/d' | sed '$d' >"$place/shown" # without the last prompt
}

mkdir "$place/bin" "$place/build"
ln -s "$MOONFLASH" "$place/bin/moonflash"
ln -s "$(dirname "$MOONFLASH")/ch.bin" "$place/build"
for doc in "$tree/docs/debugging.md" "$tree/README.md"; do
  awk -v place="$place" '/^```$/ { file = "" } file { print >file }
    script { file = place "/" substr($2, 1, length($2) - 1); print >file }
    { script = $0 == "```lua" }' "$doc"
  cp "$doc" "$place/new.md"
  number=1
  while block $number >"$place/block" && [ -s "$place/block" ]; do
    play || echo "it does not come to its end" >>"$place/shown"
    if plain <"$place/block" >"$place/wanted" && plain <"$place/shown" | cmp -s - "$place/wanted"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "session $number of ${doc##*/}:"
      diff "$place/block" "$place/shown" | sed 's/^/  /'
    fi
    awk -v n="$number" -v file="$place/shown" '
      /^```prompt$/ { i++; print; if (i == n) { while ((getline l < file) > 0) print l; skip = 1 } ; next }
      /^```$/ { skip = 0 } !skip' "$place/new.md" >"$place/newer.md" && mv "$place/newer.md" "$place/new.md"
    number=$((number + 1))
  done
  [ "${1:-}" != --update ] || cp "$place/new.md" "$doc"
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
