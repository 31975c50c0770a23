# SPDX-License-Identifier: MIT
# How many requests moonflash needs: 3 a block, and 40 more for all else (comparing first, which
# --full leaves out, reads what it has to). And what dfu-util sends to our board and gets answered,
# next to the log in tests/data by which tests/lua/board/test_dfu_util.lua holds the board to it. RECORD=1 tests/usb/kernel/run.sh requests writes that log anew.
# guest: second
. /tests/lib.sh
cat /tests/ch.bin /tests/ch.bin /tests/ch.bin | head -c 131072 >image.bin
seq 2000 | head -c 5000 >small.bin
serve sim:f407,times=zero,usb=none sim:f407
plug 1-1 1-2

listen
status 0 moonflash -d 1-1 flash --full --no-verify --trust-erase image.bin
requests ours "$(devnum 1-1)"
figure "128 KB, 64 blocks: $(wc -l <ours) requests (at most 232)"
[ "$(wc -l <ours)" -le $((3 * 64 + 40)) ] || fail "$(wc -l <ours) requests for 64 blocks"

listen
device=$(devnum 1-2)
status 0 dfu-util -p 1-2 -a 0 -s 0x08000000 -D small.bin
status 0 dfu-util -p 1-2 -a 0 -s 0x08000000:5000 -U back.bin
status 0 dfu-util -p 1-2 -a 0 -s 0x08000000:leave
within 20 is_away 1-2
requests theirs "$device"
grep -E '^(21|a1) ' theirs >now.log # the class requests; the rest is libusb's and the kernel's
sed 's/^/record: /' now.log >&3
grep -v '^#' /tests/dfu-util.log >then.log
cmp then.log now.log || fail "dfu-util's requests, or the answers, are not those on record:
$(diff then.log now.log)"
