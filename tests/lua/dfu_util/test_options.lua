-- SPDX-License-Identifier: MIT
-- How dfu-util's command line is read: getopt's habits, and what the options mean.
local getopt = require "moonflash.dfu_util.getopt"
local lu = require "luaunit"
local options = require "moonflash.dfu_util.options"
local statuses = require "moonflash.dfu_util.status"
local errors = require "moonflash.errors"

local TestGetopt, TestRequest, TestStatus = {}, {}, {}

local ROWS = {
  { letter = "a", long = "alpha", takes = "value" },
  { letter = "a", long = "alternate", takes = "value" },
  { letter = "b", long = "beta" }, { letter = "c", long = "better", takes = "value" },
  { letter = "m", long = "may", takes = "maybe" }, { letter = "q" },
}

-- Options as "a=1 b", then the other words after "|"; or the reason.
local function read(...)
  local found, rest = getopt.read(ROWS, { ... })
  if not found then return rest end
  local words = {}
  for i, option in ipairs(found) do
    words[i] = option.letter .. (option.value and "=" .. option.value or "")
  end
  return table.concat(words, " ") .. "|" .. table.concat(rest, " ")
end

function TestGetopt.test_letters()
  lu.assertEquals(read("-b", "-a", "1", "x"), "b a=1|x")
  lu.assertEquals(read("-ba1"), "b a=1|")
  lu.assertEquals(read("-a", "-b"), "a=-b|") -- a value may look like an option
  lu.assertEquals(read("-bqb"), "b q b|")
  lu.assertStrContains(read("-a"), "needs a value")
  lu.assertStrContains(read("-x"), "no option '-x'")
  lu.assertEquals(read("-"), "|-")
end

function TestGetopt.test_long_names()
  lu.assertEquals(read("--alpha=1", "--beta"), "a=1 b|")
  lu.assertEquals(read("--alpha", "1"), "a=1|")
  lu.assertEquals(read("--alpha="), "a=|")
  lu.assertEquals(read("--al", "1"), "a=1|") -- both names are the same option
  lu.assertEquals(read("--beta"), "b|")      -- a whole name is not the beginning of another
  lu.assertStrContains(read("--bet"), "ambiguous: --beta, --better")
  lu.assertStrContains(read("--beta=1"), "has no value")
  lu.assertStrContains(read("--gamma"), "no option '--gamma'")
  lu.assertStrContains(read("--alpha"), "needs a value")
end

function TestGetopt.test_order_and_ends()
  lu.assertEquals(read("x", "-b", "y", "-q"), "b q|x y")
  lu.assertEquals(read("-b", "--", "-q", "x"), "b|-q x")
  lu.assertEquals(read("--may", "x"), "m|x") -- a value only behind "="
  lu.assertEquals(read("--may=1"), "m=1|")
end

local function request(text)
  local words = {}
  for word in text:gmatch("%S+") do words[#words + 1] = word end
  return options.read(words)
end

local function refused(text, why)
  local ok, err = pcall(request, text)
  lu.assertFalse(ok, text)
  lu.assertEquals(statuses.of(err), 64)
  lu.assertStrContains(err.message, why)
end

function TestRequest.test_ids()
  local function ids(text) return request("-l -d " .. text).ids end
  lu.assertEquals(ids "0483:df11", { runtime = { vid = 0x483, pid = 0xDF11 } })
  lu.assertEquals(ids "0x0483:0xDF11", { runtime = { vid = 0x483, pid = 0xDF11 } })
  lu.assertEquals(ids "0483", { runtime = { vid = 0x483 } })
  lu.assertEquals(ids "*:df11", { runtime = { pid = 0xDF11 } })
  lu.assertEquals(ids ",0483:df11",
    { runtime = { vid = false, pid = false }, dfu = { vid = 0x483, pid = 0xDF11 } })
  lu.assertEquals(ids "1d50:6018,:6017", -- the missing part is that of the first pair
    { runtime = { vid = 0x1D50, pid = 0x6018 }, dfu = { vid = 0x1D50, pid = 0x6017 } })
  lu.assertEquals(ids "1:2,3:4,5:6", -- a third pair is ignored
    { runtime = { vid = 1, pid = 2 }, dfu = { vid = 3, pid = 4 } })
  refused("-d zzzz:df11", "is not an id")
  refused("-d 10000:1", "is not an id")
end

function TestRequest.test_dfuse_words()
  local function dfuse(text) return request("-s " .. text).dfuse end
  lu.assertEquals(dfuse "0x08000000:leave", { address = 0x08000000, leave = true })
  lu.assertEquals(dfuse ":mass-erase:force", { mass_erase = true, force = true })
  lu.assertEquals(dfuse "0x10:0x20:leave", { address = 16, length = 32, leave = true })
  lu.assertEquals(dfuse "020", { address = 16 }) -- octal, as C has it
  lu.assertEquals(dfuse "0x10::leave:", { address = 16, leave = true })
  refused("-s 08000000", "Invalid dfuse address: 08000000")
  refused("-s 0x100000000", "Invalid dfuse address")
  refused("-s :lea", "Invalid dfuse modifier: lea")
  refused("-s :mass:force", "Invalid dfuse modifier: mass")
end

function TestRequest.test_values()
  local r = request("-a 0x1 -t 64 -n 7 -c 0 -i 2 -E 3 -w -R -vv -S A,B")
  lu.assertEquals({ r.alt, r.transfer_size, r.devnum, r.interface, r.delay, r.verbose },
    { 1, 64, 7, 2, 3, 2 })
  lu.assertNil(r.configuration) -- 0 is any
  lu.assertEquals(r.serial, { runtime = "A", dfu = "B" })
  lu.assertEquals(request("-a firmware -l").alt, "firmware")
  lu.assertEquals(request("-S A -l").serial, { runtime = "A", dfu = "A" })
  refused("-t 64x", "transfer-size")
  refused("-D x y", "Unexpected argument: y")
  refused("-D x -e", "exclude each other")
end
function TestRequest.test_modes()
  lu.assertEquals(request("-s :leave").mode, "command")
  lu.assertEquals(request("-l -D x").mode, "download") -- the last one counts
  lu.assertEquals(request("-D x -l").mode, "list")
  lu.assertEquals(request("-U x -D y").file, "y")
  lu.assertNil(request("-v").mode)
  lu.assertEquals(request("-l -h").mode, "help")
end

function TestStatus.test_codes()
  local expected = {
    ["usage"] = 64, ["image"] = 65, ["file"] = 66, ["file.write"] = 73, ["usb.no-device"] = 74,
    ["usb.gone"] = 74, ["usb.busy"] = 74, ["usb.permission"] = 74, ["usb.several"] = 74,
    ["dfu.stall"] = 74, ["timeout"] = 74, ["sys"] = 74, ["verify"] = 79,
    ["verify.bystander"] = 79, ["board.protected"] = 74, ["board.write-protected"] = 79,
    ["fail"] = 70, ["cancelled"] = 130,
  }
  for code, status in pairs(expected) do
    lu.assertEquals(statuses.of(errors.new { code = code, message = "" }), status, code)
  end
  lu.assertEquals(statuses.of("an error in Lua"), 70)
end

return { TestGetopt = TestGetopt, TestRequest = TestRequest, TestStatus = TestStatus }
