-- SPDX-License-Identifier: MIT
-- sim:close() after sim:close() was an error: even to find the method asked for an open one. And
-- a board of sim.new's that was closed came to life again, empty, when its path was opened.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"

local TestSimClosedTwice = {}

function TestSimClosedTwice.test()
  local place = sim.new("f407,usb=ideal")
  local path = place.path
  place:close()
  place:close()
  lu.assertEquals(dfu.list(path), {})
end

return { TestSimClosedTwice = TestSimClosedTwice }
