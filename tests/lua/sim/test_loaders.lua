-- SPDX-License-Identifier: MIT
-- Boot loaders other than ST's: what a run reports is true, however they differ.
local lu = require "luaunit"
local dfu = require "dfu"
local flash = require "moonflash.flash"
local fw = require "firmware"
local sim = require "sim"
local support = require "support"

local of = fw.of
local raises = support.assert_raises

local DFUSE = { "bmp", "cherry", "gd32", "mboot", "particle", "stlib" }
local PLAIN = { "dapboot", "maple", "uboot" } -- and tinyusb, which corrupts what it gets

local TestLoaders = {}


-- The first address that can be erased and written; 0 in plain DFU.
local function place_of_program(board)
  for _, s in ipairs(board.alts[1].layout.segments) do
    if s.erasable and s.writable then return s.address end
  end
  return 0
end

-- A program of so many bytes.
local function program(address, length)
  return (fw.program(address) .. ("x"):rep(length)):sub(1, length)
end

local function plug_again(place, board)
  if board.is_open then board:close() end
  place:unplug()
  place:plug()
  board:open { wait = 5 }
end

function TestLoaders.test_flash_and_again()
  for _, kind in ipairs(DFUSE) do
    local place <close> = sim.new(kind .. ",usb=none,times=zero")
    local board <close> = dfu.open(place.path)
    local at = place_of_program(board)
    local first = program(at, 5001) -- an odd length
    local changed = first:sub(1, 4000) .. "?" .. first:sub(4002)
    for _, step in ipairs { { first }, { first }, { changed }, { changed, { full = true } },
                            { first, { keep = true } }, { changed, { retry = 1 } } } do
      flash.write(board, of(at, step[1]), step[2])
      lu.assertTrue(place:peek(at, #first) == step[1], kind)
      if board.alts[1].layout.segments[1].readable then flash.verify(board, of(at, step[1])) end
    end
    board:leave(at)
    lu.assertFalse(board.is_open, kind)
  end
end

-- The board is unplugged at each request, and the same command is run again.
function TestLoaders.test_interrupted_at_any_request()
  for _, kind in ipairs(DFUSE) do
    local place <close> = sim.new(kind .. ",usb=none,times=zero")
    local board <close> = dfu.open(place.path)
    local at = place_of_program(board)
    local old, new = program(at, 5001), ("n"):rep(5001)
    for _, fault in ipairs { "unplug", "stall" } do
      local n = 0
      while true do
        n = n + 1
        plug_again(place, board)
        flash.write(board, of(at, old))
        place:fault(fault, place.requests + n)
        local before = place.requests
        local ok, err = pcall(flash.write, board, of(at, new), { force = true })
        local done = place.requests - before < n
        if ok then
          lu.assertTrue(place:peek(at, #new) == new, ("%s: %s %d"):format(kind, fault, n))
        else
          lu.assertNotNil(err.hint, ("%s: %s %d"):format(kind, fault, n))
        end
        if done then break end -- the fault was not met
        plug_again(place, board)
        flash.write(board, of(at, new), { force = true })
        lu.assertTrue(place:peek(at, #new) == new, ("%s: %s %d, again"):format(kind, fault, n))
      end
    end
  end
end

function TestLoaders.test_plain()
  for _, kind in ipairs(PLAIN) do
    local place <close> = sim.new(kind .. ",usb=none,times=zero")
    local board <close> = dfu.open(place.path)
    local bytes = program(0x08002000, 5000)
    flash.write(board, of(0, bytes))
    lu.assertTrue(place:peek(0, #bytes) == bytes, kind)
  end
  local corrupting = dfu.open("sim:tinyusb")
  raises("verify", flash.write, corrupting, of(0, ("x"):rep(1000)))
  corrupting:close()
end

-- ---- leaving ----

-- A board that was told to leave and stayed is not reported as left.
function TestLoaders.test_a_board_that_stays()
  local product <close> = support.product
    [[{ base = "f407", product = "x", habits = { "stays" } }]]
  local place <close> = sim.new(product.name .. ",usb=none")
  local board <close> = dfu.open(place.path)
  place:poke(0x08000000, fw.program(0x08000000))
  local err = raises("dfu.still-there", board.leave, board)
  lu.assertStrContains(err.message, "was told to leave, and is still in DFU mode")
  lu.assertNil(dfu.fields(board).stats.left)
end

-- A boot loader in flash may find nothing to start, and be back before the bus was listed.
function TestLoaders.test_a_board_that_comes_back()
  local product <close> = support.product
    [[{ base = "f407", product = "x", habits = { "comes-back" } }]]
  local place <close> = sim.new(product.name)
  local board = dfu.open(place.path)
  raises("dfu.still-there", board.leave, board, 0x08000000)
  lu.assertNil(dfu.fields(board).stats.left)
  board:close()
  place:poke(0x08000000, fw.program(0x08000000))
  local again <close> = dfu.open(place.path)
  again:leave()
  lu.assertEquals(dfu.fields(again).stats.left, 0x08000000)
end

-- ---- errors ----

-- A board may name a string with more details.
function TestLoaders.test_the_board_says_why()
  local board <close> = dfu.open("sim:mboot")
  local err = raises("dfu.errADDRESS", board.set_address, board, 0x09000000)
  lu.assertStrContains(err.message, [[the board reports "Address out of range"]])
end

-- A board that says that it can't be read is not asked.
function TestLoaders.test_a_board_that_cannot_be_read()
  local product <close> = support.product
    [[{ base = "f407", product = "x", habits = { "no-upload" } }]]
  local place <close> = sim.new(product.name .. ",usb=none")
  local board <close> = dfu.open(place.path)
  local requests = place.requests
  raises("dfu.unreadable", flash.verify, board, of(0x08000000, "x"))
  raises("dfu.unreadable", flash.read, board, 0x08000000, 16)
  lu.assertEquals(place.requests, requests)
end

-- The board's own description is shown, also where its option bytes can't be read.
function TestLoaders.test_info_without_option_bytes()
  local product <close> = support.product
    [[{ base = "f407", product = "x", habits = { "no-upload" } }]]
  local board <close> = dfu.open("sim:" .. product.name)
  local said = tostring(require("moonflash.ui.list").details(board))
  lu.assertStrContains(said, "7 x 128 KB")
  lu.assertStrContains(said, "option bytes: can't be read (dfu.stall)")
end

-- errVENDOR is ST's word for read protection, and other people's for anything.
function TestLoaders.test_the_error_of_a_vendor()
  local board <close> = dfu.open("sim:f407,rdp=1")
  raises("board.protected", board.read, board, 0x08000000, 4)
  local product <close> = support.product
    [[{ base = "f407", product = "x", habits = { "vendor-errors" } }]]
  local other <close> = dfu.open("sim:" .. product.name .. ",rdp=1")
  local err = raises("dfu.errVENDOR", other.read, other, 0x08000000, 4)
  lu.assertStrContains(err.hint, "while the chip is read-protected; other boot")
end

return { TestLoaders = TestLoaders }
