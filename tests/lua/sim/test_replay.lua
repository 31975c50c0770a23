-- SPDX-License-Identifier: MIT
-- Boards that answer from a capture, and the reader of captures.
local capture = require "moonflash.sim.capture"
local compare = require "moonflash.trace.compare"
local dfu = require "dfu"
local flash = require "moonflash.flash"
local image = require "moonflash.image"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local trace = require "moonflash.trace"

local BASE = 0x08000000
local raises = support.assert_raises

local TestReplay = {}

local function of(...)
  local segments = {}
  for i, pair in ipairs { ... } do segments[i] = { address = pair[1], bytes = pair[2] } end
  return image.new { name = "it", segments = segments }
end

local function contents(name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read("a")
end

local function save(bytes)
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "wb"))
  file:write(bytes)
  return name
end

-- Runs f on a board of a kind, and returns the name of a capture of it.
local function recorded(kind, f, blank)
  local name = os.tmpname()
  os.remove(name)
  trace.capture(name)
  if blank then trace.blank() end
  do
    local place <close> = sim.new(kind)
    local board <close> = dfu.open(place.path)
    f(board, place)
  end
  lu.assertNil(trace.finish())
  require("moonflash.trace.pcap").blank = false
  return name
end

local PROGRAM = "\0\4\0\x20\1\1\0\8" .. ("firmware"):rep(600)

local function write(board) flash.write(board, of { BASE, PROGRAM }, { full = true }) end

local function replayed(name, more)
  local place = sim.new("replay=" .. name .. (more or ""))
  local board = dfu.open(place.path)
  return board, place, support.close_with(function()
    board:close()
    place:close()
  end)
end

-- ---- replaying ----

function TestReplay.test_the_same_run()
  for _, kind in ipairs { "f407", "f042", "g431", "l452" } do
    local name = recorded(kind, write)
    local board, place, _ <close> = replayed(name, ",strict")
    write(board)
    lu.assertNil(place.difference, kind)
    lu.assertTrue(dfu.fields(board).stats.verified)
    lu.assertEquals(place:peek(BASE, #PROGRAM), PROGRAM)
    os.remove(name)
  end
end

-- The recorded board says what it is: ids, strings, settings.
function TestReplay.test_what_it_is()
  local name = recorded("g431,serial=ABC123", write)
  local board, place, _ <close> = replayed(name)
  lu.assertEquals({ board.serial, board.product, board.version }, { "ABC123", "DFU in FS Mode",
    0x0200 })
  lu.assertEquals(#board.alts, 3)
  lu.assertEquals(sim.replays(place.path), { file = name, kind = "g431", lacking = {} })
  os.remove(name)
end

-- A run that does other things is answered by the kind where the capture has nothing.
function TestReplay.test_another_run()
  local name = recorded("f407", write)
  local board, place, _ <close> = replayed(name)
  flash.write(board, of({ BASE, "other" }, { BASE + 0x20000, "more" }), { lose = true })
  lu.assertEquals(place:peek(BASE + 0x20000, 4), "more")
  flash.verify(board, of { BASE, "other" })
  os.remove(name)
end

function TestReplay.test_strict_tells_both_lines()
  local name = recorded("f407", write)
  local board, place, _ <close> = replayed(name, ",strict")
  local err = raises("timeout", flash.write, board, of { BASE, PROGRAM .. "!" }, { full = true })
  lu.assertStrContains(err.message, "recorded: DNLOAD, value 4")
  lu.assertStrContains(err.message, "sent: DNLOAD, value 4")
  lu.assertNotNil(place.difference)
  os.remove(name)
end

-- Times are those of the capture: here of a slower host.
function TestReplay.test_times_as_they_were()
  local function seconds(spec)
    local place <close> = sim.new(spec)
    local board <close> = dfu.open(place.path)
    return support.seconds(write, board)
  end
  local name = recorded("f407,usb=real", write)
  lu.assertAlmostEquals(seconds("replay=" .. name .. ",usb=none"), seconds("f407,usb=real"), 0.05)
  os.remove(name)
end

-- After the board has left, the device that came next in the capture appears.
function TestReplay.test_what_comes_after_it()
  local product <close> = support.product [[{ base = "f407",
    application = { vid = 0x1209, pid = 0x0002, product = "Widget", seconds = 0.3 } }]]
  local name = recorded(product.name, function(board)
    flash.write(board, of { BASE, PROGRAM }, { full = true, leave = true })
    board:wait_app(2)
    for _, info in ipairs(dfu.list()) do lu.assertNotNil(info) end
  end)
  local board, _, _ <close> = replayed(name)
  flash.write(board, of { BASE, PROGRAM }, { full = true, leave = true })
  lu.assertFalse(board.is_open)
  os.remove(name)
end

-- ---- captures to give away ----

function TestReplay.test_blank_captures()
  local name = recorded("f407,serial=5EC2E7", write, true)
  local bytes = contents(name)
  lu.assertNil(bytes:find("firmware", 1, true))
  lu.assertNil(bytes:find("5\0E\0C\0002\0E\0007\0", 1, true))
  lu.assertStrContains(bytes, ("Internal Flash"):gsub(".", "%0\0"))
  local board, place, _ <close> = replayed(name, ",strict")
  write(board)
  lu.assertNil(place.difference)
  lu.assertEquals(board.serial, "000000")
  os.remove(name)
end

-- ---- comparing a kind with a capture ----

function TestReplay.test_compare()
  local name = recorded("f042", write)
  local same = compare("f042", name)
  lu.assertEquals(same.differences, {})
  lu.assertTrue(same.requests > 20)
  lu.assertStrContains(tostring(same), "all answers are the same")
  local other = compare("f303", name)
  lu.assertTrue(#other.differences > 2)
  lu.assertStrContains(tostring(other), "sim:f303")
  os.remove(name)
end

-- ---- link types ----

-- The transfers of a capture of ours in the format of another link type.
local function converted(transfers, link, order)
  local out = { (order .. "I4I2I2i4I4I4I4"):pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, link) }
  local function record(at, bytes)
    local micros = math.floor(at * 1e6 + 0.5)
    out[#out + 1] = (order .. "I4I4I4I4"):pack(1000 + micros // 1000000, micros % 1000000, #bytes,
      #bytes) .. bytes
  end
  for i, t in ipairs(transfers) do
    local bus, address = t.device:match("(%d+)%.(%d+)")
    local setup = ("<BBI2I2I2"):pack(t.type, t.request, t.value, t.index, t.length)
    local is_in = t.type & 0x80 ~= 0
    local sent, came = is_in and "" or t.data, is_in and t.data or ""
    if link == 249 then
      local function packet(info, stage, status, data)
        return ("<I2I8I4I2BI2I2BBI4B"):pack(28, i, status, 8, info, bus, address,
          is_in and 0x80 or 0, 2, #data, stage) .. data
      end
      record(t.at, packet(0, 0, 0, setup .. sent))
      record(t.at + t.seconds, packet(1, 3, t.result < 0 and 0xC0000004 or 0, came))
    else
      local function packet(kind, status, data)
        return (order .. "I8c1BBBI2c1c1i8i4i4I4I4c8"):pack(i, kind, 2, is_in and 0x80 or 0, address,
          bus, kind == "S" and "\0" or "-", data ~= "" and "\0" or "<", 0, 0, status, #data, #data,
          kind == "S" and setup or "") .. data
      end
      record(t.at, packet("S", -115, sent))
      record(t.at + t.seconds, packet("C", t.result < 0 and -32 or 0, came))
    end
  end
  return table.concat(out)
end

function TestReplay.test_link_types()
  local name = recorded("f407", write)
  local transfers = assert(capture.parse(contents(name)))
  lu.assertTrue(#transfers > 20)
  for _, case in ipairs { { 189, "<" }, { 189, ">" }, { 249, "<" } } do
    local other = save(converted(transfers, case[1], case[2]))
    local again = assert(capture.parse(contents(other)))
    lu.assertEquals(#again, #transfers)
    for i, t in ipairs(again) do
      lu.assertEquals({ t.type, t.request, t.value, t.length, t.data, t.result },
        { transfers[i].type, transfers[i].request, transfers[i].value, transfers[i].length,
          transfers[i].data, transfers[i].result })
    end
    local board, place, _ <close> = replayed(other, ",strict")
    write(board)
    lu.assertNil(place.difference)
    os.remove(other)
  end
  os.remove(name)
end

-- ---- files that are none, or are broken ----

function TestReplay.test_what_is_no_capture()
  for why, bytes in pairs {
    ["is not a pcap file"] = "hello, this is no capture at all",
    ["is a pcapng file"] = "\x0A\x0D\x0D\x0A" .. ("\0"):rep(40),
    ["link type 1:"] = ("<I4I2I2i4I4I4I4"):pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, 1),
    ["has no DFU requests"] = ("<I4I2I2i4I4I4I4"):pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, 220),
  } do
    local name = save(bytes)
    local err = raises("usage", sim.new, "replay=" .. name)
    lu.assertStrContains(err.message, why)
    os.remove(name)
  end
  raises("file", sim.new, "replay=/nonexistent/x.pcap")
end

function TestReplay.test_a_kind_has_to_be_said()
  local product <close> = support.product [[{ base = "f407",
    memories = { { name = "@Flash  /0x08000000/7*16Kg" } } }]]
  local name = recorded(product.name, function(board) board:read(BASE, 4) end)
  local err = raises("usage", sim.new, "replay=" .. name)
  lu.assertStrContains(err.message, "no kind has the layout '@Flash  /0x08000000/7*16Kg'")
  raises("usage", sim.new, "replay=" .. name .. ",kind=f408")
  sim.new("replay=" .. name .. ",kind=f407"):close()
  os.remove(name)
end

-- Bytes at random places of a capture: no crash, no endless loop.
function TestReplay.test_broken_captures()
  local name = recorded("f407", function(board) board:erase_page(BASE) end)
  local good = contents(name)
  local x = 7
  local function random(n)
    x = x * 1103515245 + 12345 & 0x7FFFFFFF
    return (x >> 8) % n
  end
  for _ = 1, 300 do
    local bad = good:sub(1, 1 + random(#good))
    for _ = 1, 1 + random(6) do
      local at = 1 + random(#bad)
      bad = bad:sub(1, at - 1) .. string.char(random(256)) .. bad:sub(at + 1)
    end
    local broken = save(bad)
    local ok, place = pcall(sim.new, "replay=" .. broken .. ",kind=f407,usb=none")
    if ok then
      local board = dfu.at(place.path)
      pcall(function()
        board:open()
        board.timeout = 0.5
        board:erase_page(BASE)
      end)
      board:close()
      place:close()
    end
    os.remove(broken)
  end
  os.remove(name)
end

return { TestReplay = TestReplay }
