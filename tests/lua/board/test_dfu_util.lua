-- SPDX-License-Identifier: MIT
-- Tests the simulated board with what dfu-util, which is not ours, sends to it: a log that the
-- kernel bed recorded (docs/testing.md), request by request, with the pauses that the answers ask
-- for.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local task = require "task"

local LOG = "tests/data/dfu-util-0.11-f407.log"

local function image()
  local lines = {}
  for i = 1, 2000 do lines[i] = i .. "\n" end
  return table.concat(lines):sub(1, 5000)
end

local function bytes(hex)
  return (hex:gsub("%x%x", function(two) return string.char(tonumber(two, 16)) end))
end

-- The data of a request, of which the log has 32 bytes: the rest is the image's.
local function whole(data, length)
  if #data == length then return data end
  local first = image():find(data, 1, true)
  return image():sub(first, first + length - 1)
end

local function replay(board, line)
  local setup, data, answer = line:match("^(%x+ %x+ %x+ %x+ %x+) ?(%x*) %-> (%w+)$")
  local kind, request, value, index, length = setup:match("(%x+) (%x+) (%x+) (%x+) (%x+)")
  kind, length = tonumber(kind, 16), tonumber(length, 16)
  local reads = kind >= 0x80
  local got = board:control(kind, tonumber(request, 16), tonumber(value, 16), tonumber(index, 16),
    reads and length or whole(bytes(data), length))
  if not reads then
    lu.assertEquals(tonumber(answer), length, line)
    return
  end
  lu.assertEquals(got, whole(bytes(answer), length), line)
  if tonumber(request, 16) == 3 then task.sleep(("<I3"):unpack(got, 2) / 1000) end
end

local TestDfuUtil = {}

function TestDfuUtil.test_it_is_answered_as_then()
  local place <close> = sim.new("f407")
  local board <close> = dfu.open(place.path)
  local n = 0
  for line in io.lines(LOG) do
    if not line:find("^#") then
      replay(board, line)
      n = n + 1
    end
  end
  lu.assertEquals(n, 45)
  lu.assertTrue(place:peek(0x08000000, 5000) == image())
  lu.assertEquals(place:peek(0x08000000 + 5000, 1), "\xFF")
  lu.assertEquals(place.started.address, 0x08000000)
end

return { TestDfuUtil = TestDfuUtil }
