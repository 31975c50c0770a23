#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the fuzz targets, side by side on all processors (see docs/testing.md):
#   FUZZ_SECONDS=60 tests/fuzz/run.sh [TARGET...]
# With FUZZ_SEED, a run starts from the seeds in tests/fuzz/corpus alone, and takes the same inputs
# each time; without, it goes on from what earlier runs found, which is in build/fuzz/corpus.
cd "$(dirname "$0")/../.." || exit 1
FUZZ=${FUZZ:-build/fuzz}
export FUZZ_SECONDS="${FUZZ_SECONDS:-60}"

# What is kept of a failure: the input, the end of what libFuzzer said, and how to see it again.
report() {
  echo "FAIL: $1"
  grep -v '^#[0-9]*.*cov:\|NEW_FUNC\|^INFO:' "$2" | tail -n 60
  sed -n 's/.*Test unit written to //p' "$2" | while read -r artifact; do
    echo "input: $artifact"
    echo "again: FUZZ_TRACE=1 $FUZZ/fuzz_$1 $artifact"
    echo "       $FUZZ/fuzz_$1 -minimize_crash=1 -exact_artifact_path=small -runs=100000 $artifact"
  done
}

# figure TARGET LOG: from "#123  DONE   cov: 4 ft: 5 corp: 6/7Kb ..."
figure() {
  sed -n "s/^#\([0-9]*\)\tDONE *cov: \([0-9]*\) ft: \([0-9]*\) corp: \([0-9]*\).*/\1 executions, \
coverage \2, features \3, \4 inputs/p" "$2" | sed "s/^/figure: $1 in $FUZZ_SECONDS s: /"
}

# fuzz TARGET: runs it, and notes "passed", "failed" or "skipped" in $RESULTS/TARGET.
fuzz() {
  target=$1 corpus=$FUZZ/corpus/$1 log=$FUZZ/$1.log
  program=$FUZZ/fuzz_$target
  if [ ! -x "$program" ]; then
    echo "skipped: $program does not exist ('make fuzz-targets' builds it)"
    echo skipped >"$RESULTS/$target"
    return
  fi
  if [ -n "${FUZZ_SEED:-}" ]; then
    corpus=$FUZZ/corpus-of-test/$target
    rm -rf "$corpus"
  fi
  mkdir -p "$corpus"
  set -- "$corpus" "tests/fuzz/corpus/$target"
  [ ! -f "tests/fuzz/$target.dict" ] || set -- "-dict=tests/fuzz/$target.dict" "$@"
  # Nothing fails for being slow: a minute for one input is a loop that does not end.
  if "$program" -max_total_time="$FUZZ_SECONDS" -seed="${FUZZ_SEED:-0}" -timeout=60 \
    -report_slow_units=3600 -rss_limit_mb=2048 -max_len=4096 -len_control=100 \
    -artifact_prefix="$FUZZ/$target-" "$@" >"$log" 2>&1; then
    figure "$target" "$log"
    echo passed >"$RESULTS/$target"
  else
    report "$target" "$log"
    echo failed >"$RESULTS/$target"
  fi
}

if [ "${1:-}" = --one ]; then
  fuzz "$2"
  exit
fi

[ $# -gt 0 ] || set -- dfu dfusim sim usbip image descriptor
RESULTS=$(mktemp -d)
export RESULTS
trap 'rm -rf "$RESULTS"' EXIT
printf '%s\n' "$@" | xargs -n 1 -P "$(nproc)" tests/fuzz/run.sh --one
passed=$(cat "$RESULTS"/* | grep -cx passed)
skipped=$(cat "$RESULTS"/* | grep -cx skipped)
failed=$(($# - passed - skipped))

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
