What somebody types who comes from dfu-util, or does not know the names of the recipes.

$ moonflash -s 0x08000000:leave -D ch.bin
moonflash: these are options of dfu-util
  Here: moonflash flash ch.bin@0x08000000 --leave
  Or: moonflash dfu-util, with the same words
[status 64]
$ moonflash -d 0483:df11 -c 1 -a 0 -i 0 -s 0x08000000 -D ch.bin
moonflash: these are options of dfu-util
  Here: moonflash -d 0483:df11 flash ch.bin@0x08000000
  Or: moonflash dfu-util, with the same words
[status 64]
$ moonflash -l
moonflash: these are options of dfu-util
  Here: moonflash list
  Or: moonflash dfu-util, with the same words
[status 64]
$ moonflash -U back.bin -s 0x08000000:4096
moonflash: these are options of dfu-util
  Here: moonflash read back.bin --address 0x08000000 --length 4096
  Or: moonflash dfu-util, with the same words
[status 64]
$ moonflash -p 1-4.2 -w -D 'my firmware.bin'
moonflash: these are options of dfu-util
  Here: moonflash --wait 60 -d 1-4.2 flash 'my firmware.bin'
  Or: moonflash dfu-util, with the same words
[status 64]
$ moonflash -s :mass-erase:force
moonflash: these are options of dfu-util
  Here: moonflash erase --all
  Or: moonflash dfu-util, with the same words
[status 64]
$ moonflash -V
moonflash: these are options of dfu-util
  Here: moonflash --version
  Or: moonflash dfu-util, with the same words
[status 64]
$ moonflash flash -s 0x08000000 ch.bin
moonflash: unknown option '-s'
  dfu-util's -s is --address, or FILE@ADDRESS; ':leave' is --leave.
[status 64]
$ moonflash --nonsense
moonflash: unknown option '--nonsense'
  moonflash --help    shows the options
[status 64]
$ moonflash write ch.bin
moonflash: there is no recipe 'write' (did you mean 'flash'?)
  moonflash recipes    lists them
[status 64]
$ moonflash dump
moonflash: there is no recipe 'dump' (did you mean 'read'?)
  moonflash recipes    lists them
[status 64]
$ moonflash help help | head -1
Usage: moonflash [options] RECIPE [its options]
$ moonflash -e 'sim.new("f407,serial=AA") sim.new("f407,serial=BB") dfu.open()'
moonflash: 2 boards match; choose one, or all of them:
  -d sim:f407#1,serial=AA    AA  STM32  BOOTLOADER
  -d sim:f407#2,serial=BB    BB  STM32  BOOTLOADER
  --every-board
[status 81]
$ moonflash -e 'sim.new("f407,serial=AA") dfu.open("serial=ABC")'
moonflash: no board matches serial=ABC
  In DFU mode:
    sim:f407#1,serial=AA  0483:df11  AA  STM32  BOOTLOADER
[status 69]
$ moonflash --virtual-time -d sim:f407,fault=corrupt@60 flash ch.bin
moonflash: sim:f407,fault=corrupt@60: verify failed at 0x08000C00: expected f3 a1 bb 78, found e3 a1 bb 78
  0x08000000..0x08003FFF is in doubt; 0x08004000..0x0800E5D3 is verified; the rest is untouched.
  1 of 4 sectors differs.
  Run the same command again. No write protection is set there; if it fails
  again at this address, the flash may be worn out.
[status 79]
$ moonflash help plan | sed -n 1,4p
flash.plan(board, image, options?)

Returns the plan that flash.write would carry out. It reads the board (not with full or
erase_all), and changes nothing.
$ moonflash help boards | tail -1
There is a chapter, too: docs/boards (moonflash help docs/boards).
$ moonflash help trace | tail -1
There is a chapter, too: docs/trace (moonflash help docs/trace).
$ moonflash help docs/trace.md | sed -n 1p
Traces and captures
$ moonflash help product | sed -n 1p
A product of your own
$ moonflash help exit | sed -n 1p
Exit statuses
$ moonflash recipes --show examples/product | sed -n 1p
-- SPDX-License-Identifier: MIT
$ moonflash recipes --show examples/nosuch
moonflash: examples/nosuch: No such file or directory
[status 66]
