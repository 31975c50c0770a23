# SPDX-License-Identifier: MIT
# 128 KB, four sectors of 16 KB and one of 64, on the same board with both tools, over other bytes:
# flash and wire alone take 5.1 s. Nothing here fails because of a time: the figures are to be read.
#
# Beside it, on another board, dfu-util's mass erase. It knows that an F407's poll time of 100 ms is a
# lie there, and sleeps for 35 s, whatever the board needs: that disturbs no other case.
# guest: second
. /tests/lib.sh
cat /tests/ch.bin /tests/ch.bin /tests/ch.bin | head -c 131072 >image.bin
cp image.bin erased.img
yes 'other bytes' | head -c 1048576 >board.img
serve sim:f407,flash=board.img,usb=ideal sim:f407,flash=erased.img,times=zero
plug 1-1 1-2

dfu-util -p 1-2 -a 0 -s :mass-erase:force >mass-erase 2>&1 &
eraser=$!
within 20 grep -q 'Setting timeout to 35 seconds' mass-erase || fail "$(cat mass-erase)"

began=$(now)
status 0 moonflash -d 1-1 flash image.bin
ours=$(since "$began")
cmp -n 131072 board.img image.bin || fail "moonflash wrote something else"

began=$(now)
status 0 dfu-util -p 1-1 -a 0 -s 0x08000000 -D image.bin
theirs=$(since "$began")
cmp -n 131072 board.img image.bin || fail "dfu-util wrote something else"

figure "128 KB: moonflash with verification $ours s, dfu-util 0.11 without $theirs s:" \
  "$(awk "BEGIN { printf \"%.2f times as fast (wanted: 2.7), %.2f times the limit of 5.1 s (1.4)\", $theirs / $ours, $ours / 5.1 }")"

wait $eraser || fail "dfu-util's mass erase: $(cat mass-erase)"
[ "$(wc -c <erased.img)" = 1048576 ] || fail "it is no flash of 1 MB"
[ "$(tr -d '\377' <erased.img | wc -c)" = 0 ] || fail "the flash is not erased"
