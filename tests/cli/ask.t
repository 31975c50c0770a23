Questions to the operator, where standard input is no terminal: a line is an answer.

$ printf 'return { api = 1, run = function(board) return "It has " .. sys.ask("Serial number?") end }' >ask.lua
$ printf 'A17\r\nB 18\n' | moonflash --virtual-time -d sim:f407 -d sim:f407#2 ask.lua
sim:f407: Serial number?
sim:f407#2: Serial number?
sim:f407: PASS (0.0 s)
sim:f407#2: PASS (0.0 s)
2 boards passed.
sim:f407: It has A17
sim:f407#2: It has B 18
$ printf 'A17' | moonflash -d sim:f407 ask.lua
Serial number?
It has A17
$ moonflash -d sim:f407 ask.lua
Serial number?
moonflash: sim:f407: no answer to 'Serial number?': standard input has ended
  The flash is untouched.
[status 71]
$ printf 'A17\n' | moonflash --virtual-time -d sim:f407 -d sim:f407#2 ask.lua
sim:f407: Serial number?
sim:f407#2: Serial number?
sim:f407: PASS (0.0 s)
moonflash: sim:f407#2: no answer to 'Serial number?': standard input has ended
  The flash is untouched.
1 board passed; 1 of 2 did not pass: sim:f407#2
sim:f407: It has A17
[status 71]
$ printf 'A17\n' | moonflash --quiet -d sim:f407 ask.lua
Serial number?
It has A17
$ printf 'A17\n' | moonflash --json -d sim:f407 ask.lua 2>/dev/null | head -n 2
{"event":"board","path":"sim:f407","mode":"dfu","pid":57105,"product":"STM32  BOOTLOADER","serial":"315A28A0B956","vid":1155}
{"event":"question","path":"sim:f407","text":"Serial number?"}
$ head -c 10000 /dev/zero | moonflash -d sim:f407 ask.lua 2>&1
Serial number?
moonflash: sim:f407: no answer to 'Serial number?': a line of more than 4096 bytes
  The flash is untouched.
[status 71]
$ moonflash -d sim:f407 ask.lua <&-
Serial number?
moonflash: sim:f407: no answer to 'Serial number?': standard input has ended
  The flash is untouched.
[status 71]
$ moonflash -e 'sys.ask(7)'
moonflash: -e:1: sys.ask(text): a text is a string
[status 1]
$ printf '1\n2\n3\n' | moonflash -e 'for i = 1, 3 do print(sys.ask(i .. "?")) end'
1?
1
2?
2
3?
3
$ printf 'return { api = 1, run = function() return sys.ask { text = "Code?", tries = 2, check = function(code) return code == "W7", code == "" and "nothing was scanned" or nil end } end }' >check.lua
$ printf '\nW7\n' | moonflash -d sim:f407 check.lua
Code?
'' is not accepted: nothing was scanned
Code?
W7
$ printf 'A\nB\nW7\n' | moonflash -d sim:f407 check.lua
Code?
'A' is not accepted
Code?
moonflash: sim:f407: 'B' is not accepted (Code?, 2 of 2 tries)
  The flash is untouched.
[status 1]
$ printf '\nW7\n' | moonflash --json -d sim:f407 check.lua 2>/dev/null | grep refusal
{"event":"refusal","path":"sim:f407","message":"'' is not accepted: nothing was scanned"}
$ moonflash -e 'sys.ask { text = "?", try = 2 }'
moonflash: -e:1: sys.ask: there is no option 'try'
[status 1]
$ moonflash -e 'sys.ask { text = "?", tries = 0 }'
moonflash: -e:1: sys.ask: tries is an integer, 1 or more
[status 1]
$ moonflash -e 'sys.ask { check = print }'
moonflash: -e:1: sys.ask: text is a string
[status 1]
