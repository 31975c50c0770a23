# SPDX-License-Identifier: MIT
# Another user than root, without udev's rule (fault 27 of the field): exit 77, and the rule is
# named. A board that was just plugged in is tried again while udev sets its rights.
. /tests/lib.sh
head -c 1000 /tests/ch.bin >small.bin
serve sim:f407,times=zero
plug 1-1
node=/dev/bus/usb/001/$(printf %03d "$(devnum 1-1)")
chmod 755 /tmp /tmp/case
chmod 600 "$node"
sleep 3 # it is no longer just plugged in

status 77 su nobody -c 'moonflash flash small.bin'
says err "1-1: no permission to open the board"
says err "moonflash udev"
status 0 su nobody -c 'moonflash list'
says out "1-1   0483:df11  315A28A0B956  STM32  BOOTLOADER" # as the kernel has read them
status 77 su nobody -c 'moonflash -d serial=315A28A0B956 flash small.bin'
status 69 su nobody -c 'moonflash -d serial=another flash small.bin'

chmod 666 "$node"
status 0 su nobody -c 'moonflash flash small.bin'

# udev is late
unplug 1-1
within 20 is_away 1-1
cat >late.lua <<'END'
print("waits")
io.stdout:flush()
local board <close> = dfu.open("1-1", { wait = 60 })
board:erase_page(0x08000000)
END
su nobody -c 'moonflash late.lua' >late 2>&1 &
within 20 grep -q waits late || fail "$(cat late)"
plug 1-1
node=/dev/bus/usb/001/$(printf %03d "$(devnum 1-1)")
chmod 600 "$node"
sleep 1
chmod 666 "$node"
wait $! || fail "rights that came one second after the board were too late: $(cat late)"
