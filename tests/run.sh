#!/usr/bin/env -S --default-signal sh
# SPDX-License-Identifier: MIT
# Runs all tests, in groups, and shows in its last line how many passed; `tests/run.sh quick` leaves
# out the beds with real libusb and the fuzz targets, which take minutes.
#
# Groups run side by side, one more than there are processors, because some of them wait. The beds
# use all processors by themselves and run behind the others, one at a time. A group ends after LIMIT
# seconds. Its last line is "N passed, N failed, N skipped"; run.sh adds how long the group took. The
# log of a group that failed is shown at the end, the others are a line each; so is what was skipped,
# and why: a line "skipped: REASON" of the group's. BUILD is the folder of
# the sanitized build. env: signals that a CI runner ignores are not ignored here.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build/asan}
LIMIT=${LIMIT:-900}
export BUILD LIMIT
export MOONFLASH="$PWD/$BUILD/moonflash"
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
unset MOONFLASH_DEVICE
export XDG_CONFIG_HOME="$PWD/$BUILD/no-config"
results=$PWD/$BUILD/results

# ---- what is run ----

# A cmocka program: its own counts, as ours.
cmocka() {
  output=$("$1" 2>&1)
  printf '%s\n' "$output"
  ok=$(printf '%s\n' "$output" | sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s)\.$/\1/p' | tail -n 1)
  bad=$(printf '%s\n' "$output" | grep -c '^\[  FAILED  \] [a-z]')
  if ! printf '%s\n' "$output" | grep -q '^\[==========\].*test(s) run\.$' ||
    printf '%s\n' "$output" | grep -q 'ERROR: .*Sanitizer'; then
    bad=$((bad + 1))
  fi
  echo "${ok:-0} passed, $bad failed, 0 skipped"
  [ "$bad" -eq 0 ]
}

# A file of Lua tests, in a folder of its own that looks like this one: some write files. The heavy
# ones take the build without sanitizers; what they run of C, the C tests run with them.
lua_file() {
  case $1 in
    */test_rehearse.lua | */test_image_fuzz.lua) program=$PWD/build/moonflash ;;
    *) program=$MOONFLASH ;;
  esac
  place=$(mktemp -d)
  ln -s "$PWD"/* "$place"
  (cd "$place" && "$program" tests/lua/run.lua "$1")
  status=$?
  rm -rf "$place"
  return $status
}

# The examples of README.md and docs/, on the build that users have.
examples() {
  MOONFLASH=$PWD/build/moonflash BUILD=build build/moonflash tests/cli/run.lua --docs
}

# run GROUP: its output, and its status.
run() {
  case $1 in
    c/*) cmocka "$BUILD/test_${1#c/}" ;;
    lua/*) lua_file "tests/$1.lua" ;;
    cli/*.t) "$MOONFLASH" tests/cli/run.lua "tests/$1" ;;
    docs) examples ;;
    cli/* | firmware/*) sh "tests/$1.sh" ;;
    usb/*) "tests/$1/run.sh" ;;
    fuzz) FUZZ_SECONDS=10 FUZZ_SEED=1 tests/fuzz/run.sh ;;
  esac
}

# group GROUP: runs it, and shows a line.
group() {
  file=$results/$(echo "$1" | tr / _)
  begun=$(date +%s)
  timeout --kill-after 10 "$LIMIT" "$0" run "$1" >"$file.log" 2>&1
  status=$?
  [ $status -ne 124 ] || echo "ended after $LIMIT seconds" >>"$file.log"
  # shellcheck disable=SC2046
  set -- "$1" $(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' \
    "$file.log" | tail -n 1)
  [ $# -eq 4 ] || set -- "$1" 0 1 0
  [ $status -eq 0 ] || [ "$3" -gt 0 ] || set -- "$1" "$2" 1 "$4"
  echo "$2 $3 $4" >"$file.counts"
  printf '%-28s %5d passed %5d failed %5d skipped %5d s\n' "$@" $(($(date +%s) - begun))
  [ "$3" -gt 0 ] || grep '^figure:' "$file.log"
  return 0
}

case ${1:-} in
  run | group)
    "$@"
    exit
    ;;
esac

# ---- all of them ----

rm -rf "$results"
mkdir -p "$results"
{
  longest="cli/test_repl lua/sys/test_around lua/run/test_rehearse docs cli/test_process
    lua/run/test_examples cli/test_debugging cli/test_installed cli/test_stall cli/test_pcap"
  printf '%s\n' $longest
  for file in tests/lua/test_*.lua tests/lua/*/test_*.lua tests/lua/regress/*.lua \
    tests/cli/*.t tests/cli/test_*.sh tests/firmware/test_*.sh; do
    name=${file#tests/}
    case $name in *.t) ;; *) name=${name%.*} ;; esac
    case " $(echo $longest) " in *" $name "*) ;; *) echo "$name" ;; esac
  done
  for file in tests/c/*/test_*.c; do
    name=$(basename "$file" .c)
    echo "c/${name#test_}"
  done
} | xargs -n 1 -P "$(($(nproc) + 1))" "$0" group
if [ "${1:-}" != quick ]; then
  for name in usb/kernel usb/umockdev fuzz; do group $name; done
fi

for counts in "$results"/*.counts; do
  read -r _ failed _ <"$counts"
  [ "$failed" -eq 0 ] || cat "${counts%.counts}.log"
done
echo
for log in "$results"/*.log; do
  name=$(basename "$log" .log)
  sed -n "s|^skipped: |skipped in $name: |p" "$log"
  if [ "$(cut -d ' ' -f 3 "${log%.log}.counts")" -gt 0 ] && ! grep -q '^skipped: ' "$log"; then
    echo "skipped in $name: it gives no reason"
  fi
done
cat "$results"/*.counts | {
  passed=0 failed=0 skipped=0
  while read -r p f s; do
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  done
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}
