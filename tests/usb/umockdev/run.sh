#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the umockdev bed (see docs/testing.md), or says in a line why it can't:
#   tests/usb/umockdev/run.sh [-v] [TEXT]
# MOONFLASH_RELEASE and MOONFLASH are the builds without and with sanitizers, BED the test bed.
cd "$(dirname "$0")/../../.." || exit 1
BED=${BED:-build/umockdev/bed}
export MOONFLASH_RELEASE="${MOONFLASH_RELEASE:-build/moonflash}"
export MOONFLASH="${MOONFLASH:-build/asan/moonflash}"

skip() {
  echo "skipped: umockdev bed: $1"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}

[ -x "$BED" ] || skip "$BED is not there ('make bed' builds it, with libumockdev-dev)"
LD_PRELOAD=libumockdev-preload.so.0 true 2>&1 | grep -q . &&
  skip "libumockdev-preload.so.0 is not there (Debian: umockdev)"

# The beds make and remove files in /sys and /dev all the time: on a disk that takes longer.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm

# Three beds a processor: clients wait more than they compute.
exec "$BED" tests/usb/umockdev/run.lua -j "$((3 * $(nproc)))" "$@"
