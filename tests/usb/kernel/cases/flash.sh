# SPDX-License-Identifier: MIT
# The main job, through libusb and usbfs: erase, write, verify, read back, leave.
. /tests/lib.sh
size=$(wc -c </tests/ch.bin)
serve sim:f407,flash=board.img,times=zero,usb=none
plug 1-1

status 0 moonflash flash /tests/ch.bin
says err "wrote 57.5 KB, verified"
cmp -n "$size" board.img /tests/ch.bin || fail "the flash holds something else"
[ "$(state 1-1)" = dfuIDLE ] || fail "it is not in dfuIDLE afterwards"

status 0 moonflash verify /tests/ch.bin
status 0 moonflash read back.bin --length "$size"
cmp back.bin /tests/ch.bin || fail "what was read differs"

# one byte, in a sector of its own
printf X >one-byte
status 0 moonflash erase --address 0x08010000
status 0 moonflash flash one-byte@0x08010000 --force
status 0 moonflash read one.bin --address 0x08010000 --length 2
[ "$(xxd -p one.bin)" = 58ff ] || fail "read $(xxd -p one.bin)"

status 0 moonflash erase --address 0x08000000
status 79 moonflash verify /tests/ch.bin

head -c 5000 /tests/ch.bin >small.bin
status 0 moonflash discovery small.bin
says err "started 0x08000000"
within 20 is_away 1-1 || fail "it left, and is still there"
cmp -n 5000 board.img small.bin || fail "the flash holds something else"
grep -i 'start' server.log || fail "the server does not say what would start: $(cat server.log)"
status 69 moonflash info
