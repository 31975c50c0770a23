Which board, several boards, and output for programs.

$ moonflash list
No boards found.
$ moonflash -d sim:f407 -d sim:g474 -d sim:l452 -d sim:dfu11 list
PATH       ID         SERIAL        BOARD
sim:f407   0483:df11  315A28A0B956  STM32  BOOTLOADER, 1 MB flash (simulated)
sim:g474   0483:df11  20474A0B1C2D  DFU in FS Mode, 512 KB flash (simulated)
sim:l452   0483:df11  20433A0B1C2D  STM32  BOOTLOADER, 512 KB flash (simulated)
sim:dfu11  1209:0001  D110000001    Simulated DFU 1.1 board (running; 'moonflash detach' puts it into DFU mode)
$ moonflash -d sim:f407 list --json
{"event":"result","outcome":"PASS","data":[{"path":"sim:f407","alts":[{"layout":{"name":"Internal Flash","segments":[{"address":134217728,"count":4,"erasable":true,"readable":true,"size":16384,"writable":true},{"address":134283264,"count":1,"erasable":true,"readable":true,"size":65536,"writable":true},{"address":134348800,"count":7,"erasable":true,"readable":true,"size":131072,"writable":true}]},"name":"@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg","number":0},{"layout":{"name":"Option Bytes","segments":[{"address":536854528,"count":1,"erasable":false,"readable":true,"size":16,"writable":true}]},"name":"@Option Bytes  /0x1FFFC000/01*016 g","number":1},{"layout":{"name":"OTP Memory","segments":[{"address":536836096,"count":1,"erasable":false,"readable":true,"size":512,"writable":true},{"address":536836608,"count":1,"erasable":false,"readable":true,"size":16,"writable":true}]},"name":"@OTP Memory /0x1FFF7800/01*512 g,01*016 g","number":2},{"layout":{"name":"Device Feature","segments":[{"address":4294901760,"count":1,"erasable":false,"readable":true,"size":4,"writable":true}]},"name":"@Device Feature/0xFFFF0000/01*004 g","number":3}],"mode":"dfu","pid":57105,"product":"STM32  BOOTLOADER","serial":"315A28A0B956","version":8448,"vid":1155}]}
$ moonflash -d sim:f407 info
STM32  BOOTLOADER  0483:df11  version 21.00  serial 315A28A0B956  at sim:f407
found in dfuERROR; transfers of 2048 bytes; DFU 1.1a (DfuSe)
chip: STM32F2 or STM32F405/407; status is polled early (this ROM tolerates it)
  0 Internal Flash  0x08000000..0x0800FFFF  4 x 16 KB   read erase write
                    0x08010000..0x0801FFFF  1 x 64 KB   read erase write
                    0x08020000..0x080FFFFF  7 x 128 KB  read erase write
  1 Option Bytes    0x1FFFC000..0x1FFFC00F  1 x 16 B    read write
  2 OTP Memory      0x1FFF7800..0x1FFF79FF  1 x 512 B   read write
                    0x1FFF7A00..0x1FFF7A0F  1 x 16 B    read write
  3 Device Feature  0xFFFF0000..0xFFFF0003  1 x 4 B     read write
option bytes: ef aa ff ff ff ff ff ff ff 0f ff ff ff ff ff ff
mind: STM32F2: the ROM V3.2 announces wrong poll times (AN2606)
mind: STM32F405/407: the ROM V3.0 announces wrong poll times (AN2606)
$ moonflash -d sim:g474 info
DFU in FS Mode  0483:df11  version 2.00  serial 20474A0B1C2D  at sim:g474
found in dfuERROR; transfers of 1024 bytes; DFU 1.1a (DfuSe)
chip: STM32G47x/48x; the full poll times are waited for
  0 Internal Flash  0x08000000..0x0807FFFF  256 x 2 KB  read erase write
  1 Option Bytes    0x1FFF7800..0x1FFF782F  1 x 48 B    read write
                    0x1FFFF800..0x1FFFF82F  1 x 48 B    read write
  2 OTP Memory      0x1FFF7000..0x1FFF73FF  1 x 1 KB    read write
option bytes: aa f8 ef ff 55 07 10 00 ff 7f ff ff 00 80 00 00 00 00 00 00 ff ff ff ff ff ff 00 ff 00 00 ff 00 ff ff 00 ff 00 00 ff 00 00 00 00 00 ff ff ff ff
mind: V13.3 can't start a program from the second bank (AN2606)
$ moonflash -d sim:f407 -d sim:f407#2 -d 0483:df11 flash ch.bin
moonflash: 2 boards match; choose one, or all of them:
  -d sim:f407    315A28A0B956  STM32  BOOTLOADER
  -d sim:f407#2    315A28A0B956  STM32  BOOTLOADER
  --every-board
[status 81]
$ moonflash --virtual-time -d sim:f407 -d sim:f407#2 flash ch.bin
sim:f407: wrote 57.5 KB, verified (1.3 s)
sim:f407#2: wrote 57.5 KB, verified (1.3 s)
2 boards passed.
$ moonflash --virtual-time -d sim:f407,fault=unplug@50 -d sim:f407#2 flash ch.bin --full
moonflash: sim:f407,fault=unplug@50: the board went away while writing 0x08003000
  0x08000000..0x08002FFF is written but not verified; 0x08003000..0x080037FF is in doubt; 0x08003800..0x0800FFFF is erased but not read back; the rest is untouched.
  Reconnect the board (BOOT0 high) and run the same command again.
sim:f407#2: erased 4 sectors, wrote 57.5 KB, verified (2.8 s)
1 board passed; 1 of 2 did not pass: sim:f407,fault=unplug@50
[status 74]
$ printf 'return { api = 1, run = function(board) board:step("look") return "seen" end }' >look.lua
$ moonflash --virtual-time -d sim:f407 -d sim:f407#2 look.lua 2>&1
sim:f407: step look
sim:f407#2: step look
sim:f407: PASS (0.0 s)
sim:f407#2: PASS (0.0 s)
2 boards passed.
sim:f407: seen
sim:f407#2: seen
$ printf 'return { api = 1, run = function(board) if board.path:find("2") then board = board.no.thing end end }' >wrong.lua
$ moonflash --virtual-time -d sim:f407 -d sim:f407#2 wrong.lua 2>&1
sim:f407: PASS (0.0 s)
moonflash: sim:f407#2: wrong.lua:1: a Board has no 'no'
1 board passed; 1 of 2 did not pass: sim:f407#2
[status 1]
$ printf 'return { api = 1, run = function(board) task.spawn(fail, "the lamp is out") task.sleep(1) end }' >beside.lua
$ moonflash --virtual-time -d sim:f407 -d sim:f407#2 beside.lua 2>&1
sim:f407: PASS (1.0 s)
sim:f407#2: PASS (1.0 s)
moonflash: sim:f407: the lamp is out
[status 1]
$ printf 'return { api = 1, run = function(board) if board.path:find("2") then os.exit(3) end task.sleep(1) end }' >leave.lua
$ moonflash --virtual-time -d sim:f407 -d sim:f407#2 leave.lua 2>&1
  sim:f407: ERROR: exit 3
  sim:f407#2: ERROR: exit 3
0 boards passed; 2 of 2 did not pass: sim:f407, sim:f407#2
[status 3]
$ printf 'return { api = 1, run = function(board) if board.path:find("2") then fail("no power") end task.sleep(1) for i = 1, 30 do board:note("volt", i) end end }' >long.lua
$ moonflash --virtual-time -d sim:f407 -d sim:f407#2 -d sim:f407#3 long.lua 2>&1 | grep -v volt
moonflash: sim:f407#2: no power
  The flash is untouched.
sim:f407: PASS (1.0 s)
sim:f407#3: PASS (1.0 s)
  sim:f407#2: FAIL: no power
2 boards passed; 1 of 3 did not pass: sim:f407#2
$ moonflash --virtual-time --json -d sim:f407,usb=ideal flash ch.bin | tail -n 1
{"event":"result","path":"sim:f407,usb=ideal","outcome":"PASS","board_seconds":1.0944986666667,"bytes_skipped":0,"bytes_verified":58836,"bytes_written":58836,"images":[{"name":"ch.bin","sha256":"a52056b9e8a7eff2099cd67ffc37ab85c732b202726b4b59e9b6b57501d9b4e6"}],"pid":57105,"sectors_erased":0,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":true,"version":"~.~.~","vid":1155}
$ moonflash --virtual-time --json -d sim:f407,rdp=1 flash ch.bin 2>&1
{"event":"board","path":"sim:f407,rdp=1","mode":"dfu","pid":57105,"product":"STM32  BOOTLOADER","serial":"315A28A0B956","vid":1155}
{"event":"progress","path":"sim:f407,rdp=1","phase":"compare","done":0,"total":58836}
moonflash: sim:f407,rdp=1: read 0x08000000: read protection is on (errVENDOR)
  The flash is untouched.
  --unprotect removes the protection first, and ERASES THE WHOLE CHIP.
{"event":"result","path":"sim:f407,rdp=1","outcome":"FAIL","code":"board.protected","board_seconds":0.0024,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"flash":"The flash is untouched.","images":[{"name":"ch.bin","sha256":"a52056b9e8a7eff2099cd67ffc37ab85c732b202726b4b59e9b6b57501d9b4e6"}],"message":"sim:f407,rdp=1: read 0x08000000: read protection is on (errVENDOR)","pid":57105,"ranges":[],"remedy":["unprotect"],"sectors_erased":0,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~","vid":1155}
[status 80]
$ moonflash --json flash no-such.bin 2>/dev/null
{"event":"result","outcome":"ERROR","code":"file","message":"no-such.bin: No such file or directory"}
[status 66]
$ moonflash udev
# The user at this computer may use boards in DFU mode (made by 'moonflash udev').
# In /etc/udev/rules.d or /usr/lib/udev/rules.d, by a name whose number is below 73.
# STMicroelectronics ROM
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="0483", ATTR{idProduct}=="df11", TAG+="uaccess"
# GigaDevice GD32
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="28e9", ATTR{idProduct}=="0189", TAG+="uaccess"
# Artery AT32
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="2e3c", ATTR{idProduct}=="df11", TAG+="uaccess"
# Geehy APM32
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="314b", ATTR{idProduct}=="0106", TAG+="uaccess"
# X32
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="3997", ATTR{idProduct}=="df11", TAG+="uaccess"
# Leaflabs Maple
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="1eaf", ATTR{idProduct}=="0003", TAG+="uaccess"
# Black Magic Probe
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="1d50", ATTR{idProduct}=="6017", TAG+="uaccess"
# Spark Core
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="1d50", ATTR{idProduct}=="607f", TAG+="uaccess"
# Particle Photon
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="2b04", ATTR{idProduct}=="d006", TAG+="uaccess"
# Arduino Portenta
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="2341", ATTR{idProduct}=="035b", TAG+="uaccess"
