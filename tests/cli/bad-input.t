Whatever is wrong with the input gets a line that says what, where and what to do, its own exit
status, and an untouched board.

$ moonflash -d sim:f407 flsh ch.bin
moonflash: there is no recipe 'flsh' (did you mean 'flash'?)
  moonflash recipes    lists them
[status 64]
$ moonflash -d sim:f407 flash
moonflash: missing argument 'file'
  moonflash flash --help    shows the options
[status 64]
$ moonflash -d sim:f407 flash ch.bin more
moonflash: more: No such file or directory
[status 66]
$ moonflash -d sim:f407 flash ch.bin --adress 0x08000000
moonflash: unknown option '--adress'
  Did you mean '--address'?
  moonflash flash --help    shows the options
[status 64]
$ moonflash -d sim:f407 flash ch.bin --address 0x1FFFFFFFF
moonflash: --address: 0x1FFFFFFFF is too large: at most 0xFFFFFFFF
  moonflash flash --help    shows the options
[status 64]
$ moonflash -d sim:f407 flash ch.bin --address 99999999999999999999999999
moonflash: --address: 99999999999999999999999999 is too large: at most 0xFFFFFFFF
  moonflash flash --help    shows the options
[status 64]
$ moonflash -d sim:f407 flash ch.bin --address -1
moonflash: unknown option '-1'
  moonflash flash --help    shows the options
[status 64]
$ moonflash -d sim:f407 flash ch.bin@here
moonflash: ch.bin@here: 'here' is not a number
  FILE@ADDRESS gives the address of a raw binary: app.bin@0x08010000
[status 64]
$ moonflash -d sim:f407 flash no-such.bin
moonflash: no-such.bin: No such file or directory
[status 66]
$ : >empty.bin; moonflash -d sim:f407 flash empty.bin
moonflash: empty.bin is empty
[status 65]
$ mkdir folder; moonflash -d sim:f407 flash folder
moonflash: folder is a directory, not a file
[status 66]
$ moonflash -d sim:f407 flash app.bin
moonflash: sim:f407: app.bin: reset vector 0x08010041 is outside the target range 0x08000000..0x0800E5D3
  The flash is untouched.
  app.bin@ADDRESS writes it to the address that it was linked for.
  --force overrides this check.
[status 65]
$ moonflash -d sim:f407 flash ch.bin@0x08004000
moonflash: sim:f407: ch.bin: reset vector 0x08000041 is outside the target range 0x08004000..0x080125D3
  The flash is untouched.
  ch.bin@0x08000000 writes it where it was linked for.
  --force overrides this check.
[status 65]
$ head -c 2000000 /dev/zero >big.bin; moonflash -d sim:f407 flash big.bin
moonflash: sim:f407: big.bin is not firmware: it is data for 0x08000000, without a vector table
  The flash is untouched.
  big.bin@0x08000000 writes it to that address.
  --force overrides this check.
[status 65]
$ moonflash -d sim:f407 flash big.bin@0x08000000
moonflash: sim:f407: big.bin does not fit: it needs 0x08000000..0x081E847F, and Internal Flash ends at 0x080FFFFF
  The flash is untouched.
  --skip-outside leaves these pieces out.
  --only FIRST..LAST or MEMORY writes only that part of the image.
  Internal Flash is 0x08000000..0x080FFFFF; 'moonflash info' shows the others.
[status 65]
$ moonflash -d sim:f407 flash big.bin@0x20000000
moonflash: sim:f407: big.bin needs 0x20000000 (1.9 MB), where this board has no memory
  The flash is untouched.
  --skip-outside leaves these pieces out.
  --only FIRST..LAST or MEMORY writes only that part of the image.
  Internal Flash is 0x08000000..0x080FFFFF; 'moonflash info' shows the others.
[status 65]
$ moonflash -d sim:f407 flash big.bin@0xFFFF0000
moonflash: big.bin: does not fit behind 0xFFFF0000: data past 4 GiB
[status 65]
$ printf ':020000040800F2\r\n' >fw.hex; moonflash -d sim:f407 flash fw.hex
moonflash: fw.hex:1: no end record (01) follows: the file is cut off
[status 65]
$ moonflash fw.hex
moonflash: fw.hex is firmware (Intel HEX), not a recipe: moonflash flash fw.hex
[status 64]
$ moonflash ch.bin
moonflash: ch.bin is firmware (binary), not a recipe: moonflash flash ch.bin
[status 64]
$ moonflash ./ch.bin
moonflash: ./ch.bin is firmware (binary), not a recipe: moonflash flash ./ch.bin
[status 64]
$ moonflash folder
moonflash: there is no recipe 'folder'
  moonflash recipes    lists them
[status 64]
$ moonflash ./no-such.lua
moonflash: ./no-such.lua: No such file or directory
[status 66]
$ echo 'return {' >broken.lua; moonflash broken.lua
moonflash: broken.lua:2: unexpected symbol near <eof>
[status 1]
$ moonflash -d sim:f408 list
moonflash: sim:f408: there is no simulated board 'f408' (did you mean 'f407'?)
  'moonflash sim --kinds' lists the kinds. 'moonflash help sim:' explains the
  parameters.
[status 64]
$ moonflash -d sim:f407,rpd=1 list
moonflash: sim:f407,rpd=1: there is no parameter 'rpd' (did you mean 'rdp'?)
  'moonflash sim --kinds' lists the kinds. 'moonflash help sim:' explains the
  parameters.
[status 64]
$ moonflash -d sim:f407,rdp=7 list
moonflash: sim:f407,rdp=7: rdp is a number: 7 is too large: at most 0x2
  'moonflash sim --kinds' lists the kinds. 'moonflash help sim:' explains the
  parameters.
[status 64]
$ moonflash -d sim:f407,usb=slow list
moonflash: sim:f407,usb=slow: usb is one of real, ideal, none
  'moonflash sim --kinds' lists the kinds. 'moonflash help sim:' explains the
  parameters.
[status 64]
$ moonflash -d sim:f407,fault=explode@3 list
moonflash: sim:f407,fault=explode@3: fault is one of unplug, stall, error, corrupt, hang, short
  'moonflash sim --kinds' lists the kinds. 'moonflash help sim:' explains the
  parameters.
[status 64]
$ moonflash -d nonsense list
moonflash: 'nonsense' is not a board selector: 'nonsense' is no path, slot, VID:PID or NAME=VALUE
  Use a path (1-4.2), a slot, VID:PID (0483:df11), serial=..., alt=...,
  mode=runtime, several of them with commas between, or sim:f407.
[status 64]
$ moonflash -d serail=5 list
moonflash: 'serail=5' is not a board selector: there is no 'serail=' (did you mean 'serial'?)
  Use a path (1-4.2), a slot, VID:PID (0483:df11), serial=..., alt=...,
  mode=runtime, several of them with commas between, or sim:f407.
[status 64]
$ moonflash -d 0483:df11 list --every-bord
moonflash: unknown option '--every-bord'
  Did you mean '--every-board'?
  moonflash list --help    shows the options
[status 64]
$ moonflash --wait soon -d sim:f407 flash ch.bin
moonflash: --wait: 'soon' is not a number of seconds
  moonflash --help    shows the options
[status 64]
$ moonflash --virtual-time -d 1-4.2 flash ch.bin
moonflash: '1-4.2' is not a simulated board, and virtual time needs one
[status 64]
$ moonflash -d 1-4.2 flash ch.bin
moonflash: 1-4.2: no board in DFU mode
  STM32: connect BOOT0 to VDD (on an F4 also PB2 to GND), press reset, then run
  the same command again, or add --wait 60.
  Without a board: --device sim:f407 is a simulated one.
[status 69]
$ moonflash -d sim:f407 read ch.bin
moonflash: ch.bin exists already
  Give another name, or remove the file.
[status 73]
$ moonflash --virtual-time -d sim:f407 read folder/no/out.bin --length 16
moonflash: folder/no/out.bin can't be written: No such file or directory
[status 73]
$ moonflash -d sim:f407 read out.bin --address 0x080FFFFF --length 2
moonflash: sim:f407: read 0x08100000: the board has no memory at this address; nothing was sent
  The flash is untouched.
  Internal Flash is 0x08000000..0x080FFFFF; 'moonflash info' shows the others.
[status 76]
$ moonflash -d sim:f407 read out.bin --address 0x20000000
moonflash: sim:f407: give the length: the board does not report where this memory ends
[status 64]
$ moonflash -d sim:f407 erase
moonflash: nothing to erase was given; use --address ADDRESS or --all
[status 64]
$ moonflash -d sim:f407 erase --all --address 0x08000000
moonflash: --all and --address exclude each other
[status 64]
$ moonflash -d sim:f407 erase --address 0x20000000
moonflash: sim:f407: the range to erase needs 0x20000000, where this board has no memory
  The flash is untouched.
  Internal Flash is 0x08000000..0x080FFFFF; 'moonflash info' shows the others.
[status 65]
$ moonflash -d sim:dfu11 erase --all
moonflash: sim:dfu11: no board in DFU mode; sim:dfu11 (Simulated DFU 1.1 board) runs its program
  'moonflash -d sim:dfu11 detach' puts it into DFU mode.
[status 69]
$ moonflash -d sim:dfu11 flash ch.bin
moonflash: sim:dfu11: no board in DFU mode; sim:dfu11 (Simulated DFU 1.1 board) runs its program
  'moonflash -d sim:dfu11 detach' puts it into DFU mode.
[status 69]
