# SPDX-License-Identifier: MIT
# Four boards with one serial number, at once.
. /tests/lib.sh
for n in 1 2 3 4; do
  set -- "$@" "sim:f407#$n,serial=STM32,flash=$n.img,usb=ideal"
done
serve "$@"
plug 1-1 1-2 1-3 1-4

status 0 moonflash list
says out "share a serial number: choose by path"
[ "$(grep -c 'STM32  BOOTLOADER' out)" = 4 ] || fail "not four: $(cat out)"
status 81 moonflash flash /tests/ch.bin
says err "4 boards match"
says err "-d 1-3"
status 81 moonflash -d serial=STM32 flash /tests/ch.bin

head -c 20000 /tests/ch.bin >small.bin
status 0 moonflash -d 1-3 flash small.bin
for n in 1 2 4; do
  [ -z "$(tr -d '\377' <$n.img | head -c 1)" ] || fail "board $n was written, too"
done
cmp -n 20000 3.img small.bin || fail "board 3 was not written"

began=$(now)
status 0 moonflash -d 1-3 flash --full small.bin
one=$(since "$began")
began=$(now)
status 0 moonflash --every-board flash --full small.bin
four=$(since "$began")
figure "19.5 KB to one board $one s, to four at once $four s:" \
  "$(awk "BEGIN { printf \"%.2f times (wanted: 1.3)\", $four / $one }")"
for n in 1 2 3 4; do
  says err "1-$n: erased 2 sectors, wrote 19.5 KB, verified"
  cmp -n 20000 $n.img small.bin || fail "board $n has something else"
done
