# SPDX-License-Identifier: MIT
# Before anything else: moonflash runs here at all, on a board in its own process.
. /tests/lib.sh

status 0 moonflash --virtual-time -d sim:f407 discovery /tests/ch.bin
says err "verified, started 0x08000000"
status 0 moonflash list
says out "No boards found."
status 0 dfu-util -l
status 69 moonflash info
