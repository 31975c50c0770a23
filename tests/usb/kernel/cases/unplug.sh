# SPDX-License-Identifier: MIT
# The cable is pulled in the middle of an erase, once by the host's side, once by the board's (the
# server ends): exit 74, what is in doubt is said, and a second run succeeds.
# guest: second
. /tests/lib.sh
head -c 5000 /tests/ch.bin >small.bin # the sector it goes to takes 2 s to erase
serve sim:f407,flash=board.img
plug 1-1

mid_erase() {
  begin_erase "$1" flash small.bin@0x08020000 --force --full
  flasher=$!
}
ends_well() {
  wait $flasher
  got=$?
  cat "$1"
  [ $got = 74 ] || fail "it ended with $got"
  says "$1" "1-1: the board went away while erasing 0x08020000"
  says "$1" "in doubt"
  says "$1" "run the same command"
}

mid_erase first
unplug 1-1
ends_well first
within 20 is_away 1-1
plug 1-1
status 0 moonflash flash small.bin@0x08020000 --force --full
dd if=board.img bs=128k skip=1 count=1 | cmp -n 5000 - small.bin || fail "the rerun wrote something else"

mid_erase second
kill -KILL "$server"
ends_well second
within 20 is_away 1-1 || fail "the kernel keeps a board that has no server"
serve sim:f407,flash=board.img
plug 1-1
status 0 moonflash flash small.bin@0x08020000 --force --full
dd if=board.img bs=128k skip=1 count=1 | cmp -n 5000 - small.bin || fail "the rerun wrote something else"
