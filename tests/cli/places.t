Which boards a run is for: slots, empty or with the wrong board; places that are named twice.

$ echo 'return { left = "sim:f407#1", rear = "1-99.1", right = "sim:f407#2" }' >slots.lua; moonflash --virtual-time --slots slots.lua --every-slot flash ch.bin
rear (1-99.1): no board for this recipe
left: wrote 57.5 KB, verified (1.3 s)
right: wrote 57.5 KB, verified (1.3 s)
2 boards passed.
$ moonflash --virtual-time --slots slots.lua --every-slot --json erase --address 0x08000000
rear (1-99.1): no board for this recipe
{"event":"empty","path":"1-99.1","slot":"rear"}
{"event":"board","path":"sim:f407#1","slot":"left","mode":"dfu","pid":57105,"product":"STM32  BOOTLOADER","serial":"315A28A0B956","vid":1155}
{"event":"board","path":"sim:f407#2","slot":"right","mode":"dfu","pid":57105,"product":"STM32  BOOTLOADER","serial":"315A28A0B956","vid":1155}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"erase","done":0,"total":1}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"erase","done":0,"total":1}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"erase","done":1,"total":1}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"erase","done":1,"total":1}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"look","done":0,"total":16384}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"erase","done":1,"total":1}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"erase","done":1,"total":1}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"look","done":0,"total":16384}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"look","done":16384,"total":16384}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"look","done":16384,"total":16384}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"look","done":16384,"total":16384}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"look","done":16384,"total":16384}
{"event":"result","path":"sim:f407#1","slot":"left","outcome":"PASS","board_seconds":0.4424,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"pid":57105,"sectors_erased":1,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~","vid":1155}
{"event":"result","path":"sim:f407#2","slot":"right","outcome":"PASS","board_seconds":0.4424,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"pid":57105,"sectors_erased":1,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~","vid":1155}
$ echo 'return { left = "sim:f407#1", rear = "sim:dfu11", right = "sim:f407#2" }' >wrong.lua; moonflash --virtual-time --slots wrong.lua --every-slot flash ch.bin
moonflash: rear: sim:dfu11: no board in DFU mode; sim:dfu11 (Simulated DFU 1.1 board) runs its program
  'moonflash -d sim:dfu11 detach' puts it into DFU mode.
left: wrote 57.5 KB, verified (1.3 s)
right: wrote 57.5 KB, verified (1.3 s)
2 boards passed; 1 of 3 did not pass: rear
[status 69]
$ moonflash --virtual-time --slots wrong.lua --every-slot -q flash ch.bin
moonflash: rear: sim:dfu11: no board in DFU mode; sim:dfu11 (Simulated DFU 1.1 board) runs its program
  'moonflash -d sim:dfu11 detach' puts it into DFU mode.
2 boards passed; 1 of 3 did not pass: rear
[status 69]
$ moonflash --virtual-time --slots wrong.lua --every-slot --json erase --address 0x08000000
moonflash: rear: sim:dfu11: no board in DFU mode; sim:dfu11 (Simulated DFU 1.1 board) runs its program
  'moonflash -d sim:dfu11 detach' puts it into DFU mode.
{"event":"result","path":"sim:dfu11","slot":"rear","outcome":"ERROR","code":"usb.no-device","board_seconds":0,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"message":"sim:dfu11: no board in DFU mode; sim:dfu11 (Simulated DFU 1.1 board) runs its program","remedy":["detach"],"sectors_erased":0,"start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~"}
{"event":"board","path":"sim:f407#1","slot":"left","mode":"dfu","pid":57105,"product":"STM32  BOOTLOADER","serial":"315A28A0B956","vid":1155}
{"event":"board","path":"sim:f407#2","slot":"right","mode":"dfu","pid":57105,"product":"STM32  BOOTLOADER","serial":"315A28A0B956","vid":1155}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"erase","done":0,"total":1}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"erase","done":0,"total":1}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"erase","done":1,"total":1}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"erase","done":1,"total":1}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"look","done":0,"total":16384}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"erase","done":1,"total":1}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"erase","done":1,"total":1}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"look","done":0,"total":16384}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"look","done":16384,"total":16384}
{"event":"progress","path":"sim:f407#1","slot":"left","phase":"look","done":16384,"total":16384}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"look","done":16384,"total":16384}
{"event":"progress","path":"sim:f407#2","slot":"right","phase":"look","done":16384,"total":16384}
{"event":"result","path":"sim:f407#1","slot":"left","outcome":"PASS","board_seconds":0.4424,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"pid":57105,"sectors_erased":1,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~","vid":1155}
{"event":"result","path":"sim:f407#2","slot":"right","outcome":"PASS","board_seconds":0.4424,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"pid":57105,"sectors_erased":1,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~","vid":1155}
[status 69]
$ moonflash --virtual-time --slots wrong.lua --every-slot --wait 60 --json erase --address 0x08000000 2>/dev/null | grep rear
{"event":"result","path":"sim:dfu11","slot":"rear","outcome":"ERROR","code":"usb.no-device","board_seconds":0,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"message":"sim:dfu11: no board in DFU mode; sim:dfu11 (Simulated DFU 1.1 board) runs its program","remedy":["detach"],"sectors_erased":0,"start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~"}
$ echo 'return { api = 1, board = "0483:df11,serial=315A28A0B956", run = function(b) b:note("at", b.slot) end }' >ours.lua; echo 'return { left = "sim:f407#1", rear = "sim:l452", right = "sim:f407#2" }' >l452.lua; moonflash --virtual-time --slots l452.lua --every-slot ./ours.lua
moonflash: rear: sim:l452 is not a board for this recipe (0483:df11,serial=315A28A0B956)
left: at: left
right: at: right
left: PASS (0.0 s)
right: PASS (0.0 s)
2 boards passed; 1 of 3 did not pass: rear
[status 69]
$ echo 'return { rear = "sim:dfu11" }' >one.lua; moonflash --virtual-time --slots one.lua --every-slot flash ch.bin
moonflash: sim:dfu11: no board in DFU mode; sim:dfu11 (Simulated DFU 1.1 board) runs its program
  'moonflash -d sim:dfu11 detach' puts it into DFU mode.
[status 69]
$ moonflash --slots slots.lua -d left -d rear flash ch.bin
moonflash: rear: 1-99.1: no board in DFU mode
  In DFU mode:
    sim:f407#1  0483:df11  315A28A0B956  STM32  BOOTLOADER
  STM32: connect BOOT0 to VDD (on an F4 also PB2 to GND), press reset, then run
  the same command again, or add --wait 60.
  Without a board: --device sim:f407 is a simulated one.
[status 69]
$ moonflash --slots slots.lua -d left -d rear flash ch.bin --json 2>/dev/null
{"event":"result","path":"1-99.1","slot":"rear","outcome":"ERROR","code":"usb.no-device","message":"rear: 1-99.1: no board in DFU mode","remedy":["others","enter-dfu"]}
[status 69]
$ moonflash --virtual-time --slots l452.lua -d rear ./ours.lua
moonflash: rear: sim:l452 is not a board for this recipe (0483:df11,serial=315A28A0B956)
[status 69]
$ moonflash --slots slots.lua --every-slot -d left flash ch.bin
moonflash: --every-slot and --device exclude each other
[status 64]
$ moonflash --slots slots.lua flash ch.bin --every-slot --every-board
moonflash: --every-slot and --every-board exclude each other
[status 64]
$ MOONFLASH_DEVICE=1-99.9 moonflash --virtual-time --slots slots.lua --every-slot -q flash ch.bin
$ echo 'return {}' >none.lua; moonflash --slots none.lua --every-slot flash ch.bin
moonflash: there are no slots
  none.lua can name them:
    return { left = "1-4.1", right = "1-4.2" }
  'moonflash slots' shows them; --slots names another file.
[status 64]
$ moonflash --every-slot flash ch.bin 2>&1 | sed "s|/.*/slots|/.../slots|"
moonflash: there are no slots
  /.../slots.lua can name them:
    return { left = "1-4.1", right = "1-4.2" }
  'moonflash slots' shows them; --slots names another file.
$ echo 'return { left = "1-4." }' >path.lua; moonflash --slots path.lua slots
moonflash: path.lua: left = '1-4.' is not a place: use a USB path like 1-4.2, or sim:...
  moonflash list    shows the paths of the boards that are connected
[status 64]
$ moonflash -d 1-4. info
moonflash: '1-4.' is not a board selector: '1-4.' is no path, slot, VID:PID or NAME=VALUE
  Use a path (1-4.2), a slot, VID:PID (0483:df11), serial=..., alt=...,
  mode=runtime, several of them with commas between, or sim:f407.
[status 64]
$ echo 'return { api = 1, start = "operator", run = function(b) b:open { wait = 1 } b:note("at", b.slot) end }' >brings.lua; moonflash --virtual-time --slots slots.lua -d left -d left -d 'sim:f407#1' -d right ./brings.lua
left: at: left
right: at: right
left: PASS (0.0 s)
right: PASS (0.0 s)
2 boards passed.
$ moonflash --slots slots.lua -d rear ./brings.lua
moonflash: 1-99.1: no board in DFU mode
  STM32: connect BOOT0 to VDD (on an F4 also PB2 to GND), press reset, then run
  the same command again.
  Without a board: --device sim:f407 is a simulated one.
[status 69]
$ moonflash -d sim:f407 detach
moonflash: sim:f407: no board that runs its program; sim:f407 (STM32  BOOTLOADER) is in DFU mode
  'moonflash -d sim:f407 leave' starts its program.
[status 69]
$ echo 'return { api = 1, mode = "runtime", run = function(b) b:note("mode", b.mode) end }' >runs.lua; moonflash --virtual-time --slots wrong.lua --every-slot ./runs.lua
rear: mode: runtime
moonflash: left: sim:f407#1: no board that runs its program; sim:f407#1 (STM32  BOOTLOADER) is in DFU mode
  'moonflash -d sim:f407#1 leave' starts its program.
rear: PASS (0.0 s)
moonflash: right: sim:f407#2: no board that runs its program; sim:f407#2 (STM32  BOOTLOADER) is in DFU mode
  'moonflash -d sim:f407#2 leave' starts its program.
1 board passed; 2 of 3 did not pass: left, right
[status 69]
$ moonflash --slots slots.lua -d rear ./runs.lua
moonflash: rear: 1-99.1: no board that runs its program
[status 69]
$ printf 'return { a = "sim:f407#1", bad = "sim:nope", c = "1-4.2" }' >wrong.lua
$ moonflash --slots wrong.lua slots
SLOT  PATH        BOARD
a     sim:f407#1  STM32  BOOTLOADER
bad   sim:nope    ENTRY IS WRONG: there is no simulated board 'nope'
c     1-4.2       nothing in it
$ moonflash --virtual-time --slots wrong.lua --every-slot flash ch.bin
moonflash: slot 'bad': sim:nope: there is no simulated board 'nope'
  'moonflash sim --kinds' lists the kinds. 'moonflash help sim:' explains the
  parameters.
[status 64]
