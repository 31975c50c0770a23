-- SPDX-License-Identifier: MIT
-- "vid=0483" in a selector was compared as a string with a number, and never held.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"

local TestIdsInASelector = {}

function TestIdsInASelector.test()
  local place <close> = sim.new("f407,usb=ideal,serial=IDS")
  lu.assertEquals(#dfu.list("vid=0483,pid=df11,serial=IDS"), 1)
  lu.assertEquals(dfu.list("vid=0484,serial=IDS"), {})
  support.assert_raises("usage", dfu.list, "vid=x")
  lu.assertFalse(pcall(dfu.list, { vid = "0483" }))
  lu.assertIsString(place.path)
end

return { TestIdsInASelector = TestIdsInASelector }
