# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What tests in shell count, for those that read this file.
passed=0 failed=0 skipped=0

# verdict NAME COMPLAINT: an empty one is none.
verdict() {
  if [ -z "$2" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'failed: %s: %s\n' "$1" "$2"
  fi
}
