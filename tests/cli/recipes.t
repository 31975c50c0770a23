Recipes and plain scripts of a user's own.

$ printf 'print(arg[0], arg[1], #arg, dfu ~= nil)' >plain.lua; moonflash plain.lua one two
plain.lua	one	2	true
$ printf '#!/usr/bin/env moonflash\nprint(..., arg[1])' >run.lua; chmod +x run.lua; ./run.lua one
one	one
$ moonflash -e 'print(1 + 1, arg[1])' x
2	x
$ moonflash -e 'pritn(1)'
moonflash: -e:1: 'pritn' is not defined (did you mean 'print'?)
[status 1]
$ moonflash -e 'local function f() cuont = 1 end f()'
moonflash: -e:1: 'cuont' is not declared; make it local, or set it at the top level
[status 1]
$ moonflash -e 'x = 1; print(x)'
1
$ moonflash -e '-- a comment' && moonflash -e '-- another' -q list
$ MOONFLASH_DEVICE=nonsense moonflash --version
moonflash ~.~.~, Lua 5.4
$ moonflash -d nonsense --json list
moonflash: 'nonsense' is not a board selector: 'nonsense' is no path, slot, VID:PID or NAME=VALUE
  Use a path (1-4.2), a slot, VID:PID (0483:df11), serial=..., alt=...,
  mode=runtime, several of them with commas between, or sim:f407.
{"event":"result","outcome":"ERROR","code":"usage","message":"'nonsense' is not a board selector: 'nonsense' is no path, slot, VID:PID or NAME=VALUE","remedy":["selector"]}
[status 64]
$ moonflash -e 'error("mine")'
moonflash: -e:1: mine
[status 1]
$ moonflash -e 'fail("the meter reads %d", 7)'
moonflash: the meter reads 7
[status 1]
$ moonflash -e 'os.exit(7)'
[status 7]
$ moonflash -e 'require "cjson"; print(require("cjson").encode({1}))'
[1]
$ mkdir sub; echo 'return { api = 1, sumary = "x", run = print }' >sub/a.lua; moonflash sub/a.lua
moonflash: sub/a.lua: a recipe has no field 'sumary' (did you mean 'summary'?)
[status 1]
$ echo 'return { summary = "x", run = print }' >sub/a.lua; moonflash sub/a.lua
moonflash: sub/a.lua: missing field: api = 1
[status 1]
$ echo 'return { api = 2, run = print }' >sub/a.lua; moonflash sub/a.lua
moonflash: sub/a.lua: it is for api 2; this is 1
[status 1]
$ echo 'return { api = 1 }' >sub/a.lua; moonflash sub/a.lua
moonflash: sub/a.lua: it has neither setup nor run
[status 1]
$ echo 'return { api = 1, run = print, args = { { "--device", "x" } } }' >sub/a.lua; moonflash sub/a.lua
moonflash: sub/a.lua: argument '--device' is moonflash's own, and can't be declared again
[status 1]
$ echo 'return { api = 1, run = print, args = { { "--x", "x", typ = 1 } } }' >sub/a.lua; moonflash sub/a.lua
moonflash: sub/a.lua: argument '--x' has an unknown field 'typ' (did you mean 'type'?)
[status 1]
$ echo 'return { api = 1, run = function(b, opt) return opt.adress end, args = { { "--address", "x", default = 1 } } }' >sub/a.lua; moonflash -d sim:f407 sub/a.lua
moonflash: sub/a.lua:1: there is no option 'adress' (did you mean 'address'?)
[status 1]
$ echo 'return { api = 1, run = function(b) return b.serail end }' >sub/a.lua; moonflash -d sim:f407 sub/a.lua
moonflash: sub/a.lua:1: a Board has no 'serail' (did you mean 'serial'?)
[status 1]
$ echo 'return { api = 1, run = function(b) return b.serial end }' >sub/a.lua; moonflash -d sim:f407 sub/a.lua
315A28A0B956
$ echo 'return { api = 1, board = "1234:5678", run = print }' >sub/a.lua; moonflash -d sim:f407 sub/a.lua
moonflash: sim:f407 is not a board for this recipe (1234:5678)
[status 69]
$ echo 'local b = dfu.open(); return { api = 1, run = print }' >sub/a.lua; moonflash help sub/a.lua
moonflash: sub/a.lua:1: a recipe can't open a board while it is loaded
[status 1]
$ moonflash -d sim:f407 sub/a.lua
moonflash: sub/a.lua: a recipe can't open a board while it is loaded; its run can
[status 1]
$ echo 'return { api = 1, seconds = 1, run = function() while true do end end }' >sub/a.lua; moonflash --virtual-time -d sim:f407 sub/a.lua
moonflash: sim:f407: not done within 1 s (it was at sub/a.lua:1)
  The flash is untouched.
[status 82]
$ echo 'return { value = 42 }' >sub/help.lua; echo 'print(require("help").value, here("x.bin"))' >sub/a.lua; moonflash sub/a.lua
42	sub/x.bin
$ echo 'print("from the working directory")' >evil.lua; echo 'require "evil"' >sub/a.lua; moonflash sub/a.lua 2>&1 | head -n 1
moonflash: sub/a.lua:1: there is no module 'evil': no evil.lua beside the recipe
$ moonflash -e 'for template in package.cpath:gmatch("[^;]+") do assert(template:find("^/"), template) end'
$ echo 'return { api = 1, run = function(b) use("flash", { file = "ch.bin" })(b) b:leave() end }' >sub/a.lua; moonflash --virtual-time -d sim:f407 sub/a.lua
wrote 57.5 KB, verified, started 0x08000000 (1.3 s)
$ echo 'return { api = 1, run = function(b) use("flash", { flie = "ch.bin" })(b) end }' >sub/a.lua; moonflash --virtual-time -d sim:f407 sub/a.lua
moonflash: sub/a.lua:1: recipe 'flash' has no option 'flie' (did you mean 'file'?)
[status 1]
$ printf 'return { api = 1, summary = "x", run = function() error{ msg = "hm", n = 3 } end }' >own.lua
$ moonflash -d sim:f407 ./own.lua
moonflash: an error that is a table: { msg = "hm", n = 3 }
[status 1]
$ moonflash --virtual-time --json -d sim:f407 ./own.lua | tail -n 1
moonflash: an error that is a table: { msg = "hm", n = 3 }
{"event":"result","path":"sim:f407","outcome":"ERROR","board_seconds":0.0,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"message":"an error that is a table: { msg = \"hm\", n = 3 }","pid":57105,"sectors_erased":0,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~","vid":1155}
$ printf 'return { api = 1, summary = "x", run = function() local t = { a = 1 } t.t = t return t end }' >own.lua
$ moonflash --virtual-time --json -d sim:f407 ./own.lua | tail -n 1
{"event":"result","path":"sim:f407","outcome":"PASS","board_seconds":0.0,"bytes_skipped":0,"bytes_verified":0,"bytes_written":0,"data":{"a":1,"t":"<the same again>"},"pid":57105,"sectors_erased":0,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":false,"version":"~.~.~","vid":1155}
$ printf 'return { api = 1, summary = "x", run = function() local t = {} for i = 1, 200000 do t = { t } end return t end }' >own.lua
$ moonflash --virtual-time --json -d sim:f407 ./own.lua | tail -n 1 | grep -c '"outcome":"PASS"'
1
$ printf 'return { api = 1, summary = "x", run = function(board) board:erase_page(0x08000000) local x x.y = 1 end }' >own.lua
$ moonflash --virtual-time -d sim:f407 ./own.lua
moonflash: ./own.lua:1: attempt to index a nil value (local 'x')
  0x08000000..0x08003FFF is erased but not read back; the rest is untouched.
[status 1]
$ moonflash -e 'catch("usb.gon", print)'
moonflash: -e:1: catch: there is no error code 'usb.gon' (did you mean 'usb.gone'?)
[status 1]
$ moonflash -e 'print(catch("relay.stuck", tostring, 1))'
1
$ XDG_DATA_DIRS=/nonexistent moonflash recipes --new blink && ls -A blink blink/library
blink/ has blink.lua, its test blink_test.lua, and .luarc.json for your editor.
  cd blink && moonflash test
  moonflash -d sim:f407 blink/blink.lua firmware.bin
blink:
.luarc.json
blink.lua
blink_test.lua
library

blink/library:
moonflash.lua
$ moonflash recipes --new blink
moonflash: blink exists already
  Give another name, or remove the file.
[status 73]
$ moonflash recipes --new 'not a name'
moonflash: 'not a name' is no name for a recipe: use letters, digits, _ and -
[status 64]
$ cd blink && ../moonflash test
TAP version 13
1..2
ok 1 - ./blink_test.lua: it keeps its promises when the cable is pulled
ok 2 - ./blink_test.lua: the program is on the board, and was started
$ moonflash -d sim:f407 --virtual-time blink/blink.lua ch.bin
wrote 57.5 KB, verified, started 0x08000000 (1.3 s)
$ mkdir -p data/moonflash/library && touch data/moonflash/library/moonflash.lua
$ XDG_DATA_DIRS=$PWD/data moonflash recipes --new other && sed "s,$PWD,HERE," other/.luarc.json
other/ has other.lua, its test other_test.lua, and .luarc.json for your editor.
  cd other && moonflash test
  moonflash -d sim:f407 other/other.lua firmware.bin
{
  "runtime.version": "Lua 5.4",
  "workspace.library": ["HERE/data/moonflash/library"]
}
