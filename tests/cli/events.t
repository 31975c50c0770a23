What programs read of steps, of notes, and of a board that its recipe opens, once though it does so
twice; dry runs that come to their end; and fixture.lua: a meter whose answer has a sign, or is none, a
relay that says why not, on one line, and links that don't stay behind.

$ printf 'return { api = 1, start = "operator", run = function(board)\n  board:step("power", 5)\n  board:open { wait = 5 }\n  board:step("measure")\n  board:note("supply", 3.31, { min = 3, unit = "V" })\n  board:note("current", tonumber("OVERLOAD"), { max = 1, unit = "A" })\nend }' >steps.lua
$ moonflash --virtual-time --json -d sim:f407 steps.lua 2>/dev/null
{"event":"step","path":"sim:f407","limit":5,"name":"power"}
{"event":"board","path":"sim:f407","mode":"dfu","pid":57105,"product":"STM32  BOOTLOADER","serial":"315A28A0B956","vid":1155}
{"event":"step","path":"sim:f407","name":"power","seconds":0.0037270161290323}
{"event":"step","path":"sim:f407","name":"measure"}
{"event":"note","path":"sim:f407","min":3,"name":"supply","ok":true,"unit":"V","value":3.31}
{"event":"note","path":"sim:f407","max":1,"name":"current","ok":false,"unit":"A"}
{"event":"step","path":"sim:f407","name":"measure","seconds":0.0}
{"event":"result","path":"sim:f407","outcome":"FAIL","code":"fail","board_seconds":0.0037270161290323,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"flash":"The flash is untouched.","message":"sim:f407: current: nothing was measured; it should be at most 1 A","notes":[{"min":3,"name":"supply","ok":true,"step":"measure","unit":"V","value":3.31},{"max":1,"name":"current","ok":false,"step":"measure","unit":"A"}],"pid":57105,"ranges":[],"sectors_erased":0,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","step":"measure","steps":[{"began":0.0,"limit":5,"name":"power","seconds":0.0037270161290323},{"began":0.0037270161290323,"name":"measure","seconds":0.0}],"verified":false,"version":"~.~.~","vid":1155}
[status 1]
$ moonflash --virtual-time -d sim:f407 steps.lua
supply: 3.31 V
current: nothing was measured
moonflash: sim:f407: current: nothing was measured; it should be at most 1 A
  The flash is untouched.
[status 1]
$ printf 'return { api = 1, run = function(board)\n  board:read_unprotect()\n  board:open { wait = 60 }\nend }' >again.lua
$ moonflash --virtual-time --json -d sim:f407 again.lua | grep -c '"event":"board"'
1
$ moonflash --virtual-time --dry-run -d sim:f407 again.lua
sim:f407: would remove the read protection (erases the whole chip)
Nothing was written.
$ printf 'return { api = 1, run = function(board)\n  board:leave(0x08000000)\n  return board.dry and next(board:wait_app(5)) == nil and "nothing known"\nend }' >app.lua
$ moonflash --virtual-time --dry-run -d sim:f407 app.lua
sim:f407: would start 0x08000000
sim:f407: would wait for its program
Nothing was written.
nothing known
$ printf 'return { left = "sim:f407#1" }' >slots.lua
$ VOLTS=left=-3.30 tests/fixture/serial meter=meter -- moonflash --virtual-time --slots slots.lua -d left scripts/examples/fixture.lua --relay tests/fixture/relay --meter meter
supply: -3.3 V
moonflash: sim:f407#1: supply is -3.3 V, and should be from 3.2 V to 3.4 V
[status 1]
$ VOLTS=left=OVERLOAD tests/fixture/serial meter=meter -- moonflash --virtual-time --slots slots.lua -d left scripts/examples/fixture.lua --relay tests/fixture/relay --meter meter
moonflash: sim:f407#1: the meter reports 'OVERLOAD V'
[status 1]
$ printf '#!/bin/sh\ntest $2 = off || { echo no such relay; exit 3; }\n' >relay; chmod +x relay
$ tests/fixture/serial meter=meter -- moonflash --virtual-time --slots slots.lua -d left scripts/examples/fixture.lua --relay relay --meter meter
moonflash: sim:f407#1: relay left on: no such relay
[status 71]
$ tests/fixture/serial meter=meter -- moonflash --virtual-time --dry-run --slots slots.lua -d left scripts/examples/fixture.lua --relay tests/fixture/relay --meter meter
supply: 3.3 V
ch.bin + app.bin  115 KB in 2 pieces, starts at 0x08000000
  0x08000000     16 KB   blank    write 16 KB
  0x08004000     16 KB   blank    write 16 KB
  0x08008000     16 KB   blank    write 16 KB
  0x0800C000     16 KB   blank    write 9.5 KB
  0x08010000     64 KB   blank    write 57.5 KB
About 2.6 s, instead of 5.2 s for everything.
BOR_LEV: 3 -> 1, brownout reset level 2
nWRP: 0xFFF -> 0xFFE, write-protected: sector 0 of 12
sim:f407#1: would write 0x1FFFC000, 16 B
sim:f407#1: would start 0x08000000
sim:f407#1: would wait for its program
Nothing was written.
$ ls -l meter
ls: cannot access 'meter': No such file or directory
[status 2]
$ echo 'return { api = 1, summary = "x", run = function() error({ code = "usb.gone", message = "it went" }) end }' >own.lua
$ moonflash --virtual-time --json -d sim:f407 ./own.lua 2>/dev/null | tail -1
{"event":"result","path":"sim:f407","outcome":"FAIL","code":"usb.gone","board_seconds":0.0,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"flash":"The flash is untouched.","message":"sim:f407: it went","pid":57105,"ranges":[],"sectors_erased":0,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~","vid":1155}
$ echo 'return { base = "dfu11", starts_idle = true }' >plain.lua; moonflash --virtual-time -d sim:./plain.lua --dry-run leave
sim:./plain.lua: would start the program
Nothing was written.
