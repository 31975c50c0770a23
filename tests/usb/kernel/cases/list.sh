# SPDX-License-Identifier: MIT
# What both tools say is there. The four lines are those that dfu-util 0.11 prints of a real
# STM32F4 Discovery with the ROM of 2011, but for devnum.
. /tests/lib.sh
serve sim:f407
plug 1-1

status 0 moonflash list
says out "1-1   0483:df11  315A28A0B956  STM32  BOOTLOADER, 1 MB flash"
status 0 dfu-util -l
grep '^Found ' out >found
cat >expected <<END
Found DFU: [0483:df11] ver=2100, devnum=$(devnum 1-1), cfg=1, intf=0, path="1-1", alt=3, name="@Device Feature/0xFFFF0000/01*004 g", serial="315A28A0B956"
Found DFU: [0483:df11] ver=2100, devnum=$(devnum 1-1), cfg=1, intf=0, path="1-1", alt=2, name="@OTP Memory /0x1FFF7800/01*512 g,01*016 g", serial="315A28A0B956"
Found DFU: [0483:df11] ver=2100, devnum=$(devnum 1-1), cfg=1, intf=0, path="1-1", alt=1, name="@Option Bytes  /0x1FFFC000/01*016 g", serial="315A28A0B956"
Found DFU: [0483:df11] ver=2100, devnum=$(devnum 1-1), cfg=1, intf=0, path="1-1", alt=0, name="@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", serial="315A28A0B956"
END
cmp found expected || fail "dfu-util lists it differently: $(diff expected found)"

# A board that only was looked at is as it was: dfuERROR, as the ROM starts.
[ "$(state 1-1)" = dfuERROR ] || fail "looking at it changed its state"

status 0 moonflash info
says out "STM32  BOOTLOADER  0483:df11  version 21.00  serial 315A28A0B956  at 1-1"
says out "found in dfuERROR; transfers of 2048 bytes; DFU 1.1a (DfuSe)"
