#!/usr/bin/env -S --default-signal sh
# SPDX-License-Identifier: MIT
# Runs all tests and says in its last line how many passed; `tests/run.sh quick` leaves out the beds
# with real libusb, which take minutes. BUILD is the folder of the sanitized build; what failed is
# shown, what passed is a line a group. What a CI runner ignores of signals, the tests shall not: env.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build/asan}
export BUILD
export MOONFLASH="$PWD/$BUILD/moonflash"
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
unset MOONFLASH_DEVICE
export XDG_CONFIG_HOME="$PWD/$BUILD/no-config"

passed=0 failed=0 skipped=0
log=$BUILD/test.log

# Each file in a process of its own: a heap that grows makes every fork and collection slower.
lua_tests() {
  all_passed=0 all_failed=0 all_skipped=0
  for file in tests/lua/test_*.lua tests/lua/regress/*.lua; do
    [ -f "$file" ] || continue
    output=$("$MOONFLASH" tests/lua/run.lua "$file" 2>&1)
    ended=$?
    # shellcheck disable=SC2046
    set -- $(printf '%s\n' "$output" |
      sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' | tail -n 1)
    [ $# -eq 3 ] || set -- 0 1 0
    [ $ended -eq 0 ] || [ "$2" -gt 0 ] || set -- "$1" 1 "$3"
    [ "$2" -eq 0 ] || printf '%s: ended with %d\n%s\n' "$file" $ended "$output"
    all_passed=$((all_passed + $1)) all_failed=$((all_failed + $2)) all_skipped=$((all_skipped + $3))
  done
  echo "$all_passed passed, $all_failed failed, $all_skipped skipped"
  [ $all_failed -eq 0 ]
}

# group NAME COMMAND...: the last line of its output is "N passed, N failed, N skipped".
group() {
  name=$1
  shift
  "$@" >"$log" 2>&1
  status=$?
  counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$log" |
    tail -n 1)
  if [ -z "$counts" ]; then
    counts='0 1 0'
    status=1
  fi
  # shellcheck disable=SC2086
  set -- $counts
  if [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
    set -- "$1" 1 "$3"
  fi
  if [ "$2" -ne 0 ]; then
    cat "$log"
  else
    grep -E '^(skipped|figure):' "$log"
  fi
  printf '%-28s %5d passed %5d failed %5d skipped\n' "$name" "$1" "$2" "$3"
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# A cmocka program: its own counts, as ours.
cmocka() {
  "$1" 2>&1 | tee "$log.c" >/dev/null
  cat "$log.c"
  ok=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s)\.$/\1/p' "$log.c" | tail -n 1)
  bad=$(grep -c '^\[  FAILED  \] [a-z]' "$log.c")
  if ! grep -q '^\[==========\].*test(s) run\.$' "$log.c" || grep -q 'ERROR: .*Sanitizer' "$log.c"; then
    bad=$((bad + 1))
  fi
  echo "${ok:-0} passed, $bad failed, 0 skipped"
  [ "$bad" -eq 0 ]
}

for test in tests/c/test_*.c; do
  name=$(basename "$test" .c)
  group "c/${name#test_}" cmocka "$BUILD/$name"
done
group "lua" lua_tests
group "command line" "$MOONFLASH" tests/cli/run.lua
for test in tests/cli/*.sh tests/firmware/test_*.sh; do
  [ -f "$test" ] && group "$(basename "$test" .sh)" sh "$test"
done
if [ "${1:-}" != quick ]; then
  group "usb/kernel" tests/usb/kernel/run.sh
  group "usb/umockdev" tests/usb/umockdev/run.sh
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
