Recipes as steps of others: for which boards they are, how long they may take, and circles.

$ echo 'return { api = 1, run = function(b) use("./theirs.lua")(b) end }' >uses.lua; echo 'return { api = 1, board = "0483:df12", run = function(b) b:note("at", b.path) end }' >theirs.lua; moonflash --virtual-time -d sim:f407 uses.lua
moonflash: sim:f407 is not a board for recipe './theirs.lua' (0483:df12)
  The flash is untouched.
[status 69]
$ echo 'return { api = 1, seconds = 5, run = function(b) b:step("sleep", 9) task.sleep(7) end }' >theirs.lua; moonflash --virtual-time -d sim:f407 uses.lua
moonflash: sim:f407: recipe './theirs.lua' not done within 5 s (it was at ./theirs.lua:1)
  The flash is untouched.
[status 82]
$ echo 'return { api = 1, run = function(b) use("./self.lua")(b) end }' >self.lua; moonflash --virtual-time -d sim:f407 self.lua
moonflash: sim:f407: self.lua uses itself: self.lua -> self.lua
  The flash is untouched.
[status 1]
$ mkdir sub; echo 'return { api = 1, setup = function() return use("sub/b.lua") end, run = print }' >a.lua; echo 'return { api = 1, setup = function() use("../a.lua") end, run = print }' >sub/b.lua; moonflash --virtual-time -d sim:f407 a.lua
moonflash: a.lua uses itself: a.lua -> sub/b.lua -> a.lua
[status 1]
$ echo 'use("./self.lua"); return { api = 1, run = print }' >self.lua; moonflash help ./self.lua
moonflash: self.lua uses itself: self.lua -> self.lua
[status 1]
$ echo 'return { api = 1, setup = function() use("list") end, run = print }' >a.lua; moonflash a.lua
moonflash: a.lua:1: 'list' is not a recipe that runs on a board
[status 1]
