# SPDX-License-Identifier: MIT
# The reference client, Debian's dfu-util 0.11 as it is, on the same board: what it can do on a real
# Discovery it can do on ours. Its mass erase is in speed.sh.
. /tests/lib.sh
size=$(wc -c </tests/ch.bin)
serve sim:f407,flash=board.img,times=zero
plug 1-1

head -c 5000 /tests/ch.bin >small.bin
status 0 dfu-util -a 0 -s 0x08000000 -D small.bin
says out "File downloaded successfully"
cmp -n 5000 board.img small.bin || fail "the flash holds something else"

status 0 dfu-util -a 0 -s 0x08000000:5000 -U back.bin
cmp back.bin small.bin || fail "what dfu-util read differs"

# each tool reads what the other wrote
status 0 moonflash verify small.bin
status 0 moonflash flash /tests/ch.bin
status 0 dfu-util -a 0 -s "0x08000000:$size" -U back2.bin
cmp back2.bin /tests/ch.bin || fail "what dfu-util read of moonflash's work differs"

status 0 dfu-util -a 0 -s 0x08000000:leave -D small.bin
within 20 is_away 1-1 || fail "it left, and is still there"
cmp -n 5000 board.img small.bin || fail "the flash holds something else"

# The command line of the guide for the Discovery, by both, with other bytes on the board before.
mkdir named
ln -s "$(command -v moonflash)" named/dfu-util
guide="-d 0483:df11 -c 1 -a 0 -i 0 -s 0x08000000 -D firmware.bin"
cp /tests/ch.bin firmware.bin
for program in dfu-util named/dfu-util; do
  kill $server
  within 20 is_away 1-1 || fail "the board is still there"
  yes 'other bytes' | head -c 1048576 >guide.img
  serve sim:f407,flash=guide.img,usb=ideal
  plug 1-1
  began=$(now)
  # shellcheck disable=SC2086
  status 0 $program $guide
  took=$(since "$began")
  cmp -n "$size" guide.img firmware.bin || fail "$program wrote something else"
  says out "File downloaded successfully"
  [ $program = dfu-util ] && theirs=$took || ours=$took
done
says out "Verified"
figure "the guide's line, $size bytes: the original $theirs s, ours with verification $ours s:" \
  "$(awk "BEGIN { printf \"%.2f times as fast (wanted: 2.2)\", $theirs / $ours }")"
