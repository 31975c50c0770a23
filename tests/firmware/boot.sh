#!/bin/sh
# SPDX-License-Identifier: MIT
#
# boot.sh FLASHFILE [SECONDS]
#
# Boots a raw image of an STM32F4's flash (its first byte is that at 0x08000000) in QEMU and
# prints what the program says on USART1. Exits with
#    0  as soon as the program of ch.s has said that it runs,
#    1  when it says "corrupt", when QEMU ends, or when SECONDS (30) are over without it,
#    2  when it was called wrongly,
#   77  when there is no qemu-system-arm here, with a line on why (77: a test is skipped).

set -u
hex4='[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
machine=netduinoplus2 # an STM32F405: flash at 0x08000000, seen at 0 as well

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: boot.sh FLASHFILE [SECONDS]" >&2
    exit 2
fi
flash=$1
limit=${2:-30}
case $limit in
*[!0-9]* | 0 | '')
    echo "boot.sh: SECONDS is a whole number above 0, not '$limit'" >&2
    exit 2
    ;;
esac
if [ ! -f "$flash" ] || [ ! -r "$flash" ]; then
    echo "boot.sh: cannot read $flash" >&2
    exit 2
fi
for tool in qemu-system-arm timeout; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "boot.sh: skipped: $tool is not installed"
        exit 77
    fi
done

tmp=$(mktemp -d "${TMPDIR:-/tmp}/moonflash-boot.XXXXXX") || exit 1
pid=

# timeout passes the signal on to QEMU, and kills it when it does not end.
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    trap - EXIT HUP INT TERM
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    fi
    rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

mkfifo "$tmp/uart" || exit 1
# QEMU aborts when the core locks up, as it does on erased flash: no core file for that.
# shellcheck disable=SC3045 # where there is no -c, there is no harm
ulimit -c 0 2>/dev/null

# QEMU reads a comma in a file name when it is doubled.
name=$(printf '%s\n' "$flash" | sed 's/,/,,/g')

# QEMU is held to the limit by timeout and not by this script, so that it ends even if the
# script is killed; the loop below then reads the end of file.
timeout -k 2 "$limit" qemu-system-arm -M "$machine" -nographic \
    -device "loader,file=$name,addr=0x08000000,force-raw=on" \
    </dev/null >"$tmp/uart" 2>"$tmp/errors" &
pid=$!

# The second test is for a last line that no newline ends.
while IFS= read -r line || [ -n "$line" ]; do
    printf '%s\n' "$line"
    case $line in
    "moonflash: "*.bin" runs at 0x"$hex4$hex4) exit 0 ;;
    "moonflash: corrupt") exit 1 ;;
    esac
done <"$tmp/uart"

wait "$pid" 2>/dev/null # the shell would say "Aborted"
status=$?
pid=
if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
    echo "boot.sh: the program did not say that it runs within $limit s" >&2
else
    echo "boot.sh: QEMU ended (status $status) before the program said that it runs" >&2
    head -n 1 "$tmp/errors" >&2
fi
exit 1
