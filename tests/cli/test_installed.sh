#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make install` puts where, and which Lua files a binary reads: those of its own tree, or those
# that are built in; never files in a folder beside it.
# The last line is "N passed, N failed, N skipped".
set -u
unset BUILD # of the tests
cd "$(dirname "$0")/../.." || exit 1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
. tests/verdict.sh

# A folder with Lua files that say who they are.
trap_in() {
  mkdir -p "$1/lua/moonflash/cli"
  echo 'print("foreign") os.exit(0)' >"$1/lua/moonflash/cli/init.lua"
}

# says NAME PATTERN PROGRAM
says() {
  if "$3" --version 2>&1 | grep -q "$2"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "failed: $1: it says $("$3" --version 2>&1 | head -3)"
  fi
}

# A tree of its own: what is built there needs no other. Unoptimized, because that is built sooner.
tree=$place/tree
mkdir "$tree"
cp -r Makefile src lua scripts docs "$tree/"
make -s -C "$tree" default CFLAGS=-O0 DESTDIR="$place/root" PREFIX=/usr install >"$place/log" 2>&1 || cat "$place/log"
installed=$place/root/usr/bin/moonflash

says "what is installed" '^moonflash ' "$installed"
trap_in "$place/root/usr"
says "what is installed, Lua files beside it" '^moonflash ' "$installed"
strip -o "$place/stripped" "$installed" # debug information names the folder
if grep -q "$tree" "$place/stripped"; then
  says "what is installed knows of no tree" 'no tree' "$installed"
fi

# What is installed beside the program.
for file in share/man/man1/moonflash.1 share/man/man7/moonflash-recipe.7 \
  share/man/man1/moonflash-station.1 share/man/man1/moonflash-dfu-util.1 \
  share/man/man3/moonflash-api.3lua share/moonflash/library/moonflash.lua \
  share/bash-completion/completions/moonflash share/zsh/site-functions/_moonflash \
  share/fish/vendor_completions.d/moonflash.fish lib/moonflash/bin/dfu-util; do
  verdict "$file is installed" "$(test -s "$place/root/usr/$file" 2>&1 || echo "it is not")"
done
if command -v man >/dev/null; then
  for page in "$place"/root/usr/share/man/man?/*; do
    verdict "man --warnings $(basename "$page")" \
      "$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >/dev/null | head -n 5)"
    verdict "no Markdown in $(basename "$page")" \
      "$(MANWIDTH=80 man -l "$page" 2>/dev/null | grep -n -e '](' -e '\.md[)#]' -e '^ *Next: ' | head -n 5)"
    verdict "the name of $(basename "$page")" \
      "$(lexgrog "$page" | grep -q "^$page: \"moonflash.* - .*[a-z]" 2>&1 || lexgrog "$page")"
  done
else
  echo "skipped: the warnings of manual pages: man is not here"
  skipped=1
fi
make -s -C "$tree" uninstall DESTDIR="$place/gone" PREFIX=/usr
make -s -C "$tree" install DESTDIR="$place/gone" PREFIX=/usr >/dev/null
make -s -C "$tree" uninstall DESTDIR="$place/gone" PREFIX=/usr
verdict "what is uninstalled is gone" "$(find "$place/gone" -type f -o -type l)"

mkdir -p "$place/x/build"
cp "$tree/build/moonflash" "$place/x/build/"
trap_in "$place/x"
says "a copy" '^moonflash ' "$place/x/build/moonflash"

trap_in "$tree"
says "the build of the tree reads the tree" '^foreign' "$tree/build/moonflash"
mv "$tree" "$place/moved"
says "a tree that was moved" '^moonflash ' "$place/moved/build/moonflash"
rm -r "$place/moved/lua"
says "a tree that is gone" '^moonflash ' "$place/moved/build/moonflash"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
