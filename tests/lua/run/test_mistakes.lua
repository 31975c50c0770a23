-- SPDX-License-Identifier: MIT
-- Mistakes in recipes, and what is said of each: the line of the recipe, the name that was meant.
local lu = require "luaunit"
local support = require "support"

local TestMistakes = {}

local MOONFLASH = os.getenv("MOONFLASH") or "build/moonflash"
if not MOONFLASH:find("^/") then MOONFLASH = os.getenv("PWD") .. "/" .. MOONFLASH end

-- { fields of the recipe, or a whole script with `whole`; the first line of what is said, or its
-- end; status = 1 }
local mistakes = {
  { "sumary = 'y', run = function() end",
    "a recipe has no field 'sumary' (did you mean 'summary'?)" },
  { "run = function() count = 1 end",
    "r.lua:1: 'count' is not declared; make it local, or set it at the top level" },
  { "dfu.open('sim:f407') return { api = 1, run = function() end }", whole = true,
    "r.lua: a recipe can't open a board while it is loaded; its run can" },
  { "run = function(b) task.spawn(b.read, b, 0x08000000, 9999) b:read(0x08000000, 4) end",
    "sim:f407 is busy: one operation at a time on a board" },
  { "run = function(b) b:leave(0x08000000) b:read(0x08000000, 4) end",
    "r.lua:1: sim:f407 is not open: board:open() opens it" },
  { "seconds = 2, run = function() while true do end end", status = 82,
    "sim:f407: not done within 2 s (it was at ./r.lua:1)" },
  { "run = function() task.deadline(1, function() while true do end end) end", status = 82,
    "sim:f407: not done within 1 s (it was at ./r.lua:1)" },
  { "run = function(b) b:note('a', 'b', { min = 1 }) end",
    "r.lua:1: board:note(\"a\", value, limits): a value with limits is a number, not a string" },
  { "run = function(b) b:write(0x08100000, 'abcd') end", status = 76,
    "write 0x08100000: the board has no memory at this address; nothing was sent" },
  { "run = function(b) b.erase_page(0x08000000) end",
    "r.lua:1: Board expected, got number; write board:erase_page(...), with the colon" },
  { "run = function(b) b:erase(0x08000000) end",
    "r.lua:1: a Board has no 'erase' (did you mean 'erase_page'?)" },
  { "run = function(b) flash.wirte(b) end",
    "r.lua:1: flash has no 'wirte' (did you mean 'write'?)" },
  { "run = function(b) optbytes.wirte(b) end",
    "r.lua:1: optbytes has no 'wirte' (did you mean 'write'?)" },
  { "run = function() memory.prase('x') end",
    "r.lua:1: memory has no 'prase' (did you mean 'parse'?)" },
  { "run = function() image.new({ segments = { { address = 0, bytes = 'x' } } }):sav('x') end",
    "r.lua:1: an image has no 'sav' (did you mean 'save'?)" },
  { "run = function() catch('usb.nodevice', print) end",
    "r.lua:1: catch: there is no error code 'usb.nodevice' (did you mean 'usb.no-device'?)" },
  { "run = function(b, fw) flash.write(b, fw) end",
    "r.lua:1: flash.write(board, image, options): an image, not the recipe's options; a recipe's "
      .. "run has (board, opt, value)" },
  { "run = function(b) flash.write(b, 'ch.bin') end",
    'r.lua:1: flash.write(board, image, options): an image, not a string: image.load("ch.bin")' },
  { "local m = require 'module' return { api = 1, run = function(b) m.go(b) end }", whole = true,
    "module.lua:1: 'flash' is not defined in a module: local flash = require \"moonflash.flash\"" },
  { "run = function(b) b:write(0x08000000, {}) end",
    "r.lua:1: board:write(address, data): data is a string, not a table; an image is written by "
      .. "flash.write(board, image)" },
  { "run = function() sleep(1) end",
    "r.lua:1: 'sleep' is not defined (did you mean 'task.sleep'?)" },
  { "run = function(b) optbytes.write(b, { BOR = 2 }) end", status = 64,
    "has no option 'BOR' (did you mean 'BOR_LEV'?)" },
  { "require 'modul' return { api = 1, run = function() end }", whole = true,
    "r.lua:1: there is no module 'modul': no modul.lua beside the recipe (did you mean "
      .. "'module'?)" },
  { "run = function() assert(false, nil) end", "r.lua:1: error(nil) was raised" },
  { "run = function() error(nil) end", "r.lua:1: error(nil) was raised" },
  { "run = function() fail('%d V', 3.3) end",
    "r.lua:1: fail(message, ...): number has no integer representation" },
  { "local r = { api = 1, run = function() end }", whole = true,
    "r.lua returned nothing, and has opened no board" },
  { "args = { { '--n', '', default = 1.5, type = 'integer' } }, run = function() end",
    "argument '--n': its default, 1.5, is no integer" },
  { "args = { { '--n', '', type = 'seconds' } }, run = function() end", words = "--n abc",
    status = 64, "--n: 'abc' is not a number of seconds" },
  { "args = { { '--n', 'the serial number', required = true } }, run = function() end",
    status = 64, "--n is missing: the serial number" },
  { "args = { { '--n', '', choices = { 'left', 'right' } } }, run = function() end",
    words = "--n lef", status = 64, "--n: 'lef' is not one of left, right (did you mean 'left'?)" },
  { "args = { { '--n', '', default = 1, min = 1, max = 9 } }, run = function() end",
    words = "--n 10", status = 64, "--n: 10 is not 1 to 9" },
  { "args = { { '--n', '', default = 10, max = 9 } }, run = function() end",
    "argument '--n': its default 10 is not 9 or less" },
  { "args = { { '--n', '', default = 'x', choices = { 'left' } } }, run = function() end",
    "argument '--n': its default 'x' is not one of left" },
  { "args = { { '--n', '', default = true, required = true } }, run = function() end",
    "argument '--n': it is required, and has a default" },
  { "run = function(b) local _, e = pcall(b.read, b, 0, 4) error('first: ' .. e) end",
    "r.lua:1: first: sim:f407: read 0x00000000: the board has no memory at this address; nothing "
      .. "was sent" },
  { "run = function(b) flash.verify(b, image.new { segments = { { address = 0, bytes = 'x' } } },"
      .. " { no_verfy = true }) end",
    "there is no option 'no_verfy' (did you mean 'no_verify'?)" },
  { "run = function(b) b:read(0x08000000) end",
    "r.lua:1: bad argument #2 to 'read' (number expected, got no value); it is "
      .. "board:read(address, length)" },
  { "run = function() sys.run('ls') end", "r.lua:1: sys.run{...}: a list, the program first" },
}

-- The first line that a recipe makes moonflash say, and its exit status.
local function said(folder, mistake)
  local source = mistake.whole and mistake[1] or "return { api = 1, " .. mistake[1] .. " }"
  local file <close> = assert(io.open(folder .. "/r.lua", "w"))
  file:write(source)
  file:flush()
  local pipe = io.popen(("cd '%s' && '%s' --virtual-time -d sim:f407 ./r.lua %s 2>&1"):format(
    folder, MOONFLASH, mistake.words or ""))
  local line = pipe:read("l")
  pipe:read("a")
  local _, _, status = pipe:close()
  return line or "", status
end

function TestMistakes.test_each()
  local folder, _ <close> = support.folder()
  local module <close> = assert(io.open(folder .. "/module.lua", "w"))
  module:write("return { go = function(board) flash.erase_all(board) end }")
  module:flush()
  for _, mistake in ipairs(mistakes) do
    local line, status = said(folder, mistake)
    lu.assertEquals(line:sub(-#mistake[2]), mistake[2], mistake[1] .. " said: " .. line)
    lu.assertEquals(status, mistake.status or 1, mistake[1])
  end
end

-- Without boards on the command line a plain script may do nothing.
function TestMistakes.test_a_plain_script()
  local folder, _ <close> = support.folder()
  local file <close> = assert(io.open(folder .. "/r.lua", "w"))
  file:write("local x = 1")
  file:flush()
  lu.assertTrue(os.execute(("'%s' '%s/r.lua'"):format(MOONFLASH, folder)))
end

-- A recipe that another one uses is checked in the same way.
function TestMistakes.test_used_recipes()
  local folder, _ <close> = support.folder()
  local used <close> = assert(io.open(folder .. "/used.lua", "w"))
  used:write("return { api = 1, args = { { '--n', '', default = 1, max = 9 },"
    .. " { '--who', '', required = true } }, run = function() end }")
  used:flush()
  local function of(options)
    return said(folder, { whole = true, ("return { api = 1, run = use('used', %s) }"):format(
      options) })
  end
  lu.assertStrContains(of("{ n = 10, who = 'x' }"), "--n: 10 is not 9 or less")
  lu.assertStrContains(of("{ n = '3', who = 'x' }"), "'used': n is of type integer, not string")
  lu.assertStrContains(of("{}"), "--who is missing")
end

return { TestMistakes = TestMistakes }
