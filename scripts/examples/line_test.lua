-- SPDX-License-Identifier: MIT
-- Tests of line.lua, on simulated boards: moonflash test scripts/examples/line_test.lua
return {
  ["200 units with faults, bounces and retries"] = function()
    local done = sim.station("line.lua", { file = "build/ch.bin" }, { units = 200, places = 8 })
    assert(done.passed > 150, done.shown)
    assert(done.used == 2 * done.passed, "a serial number and a MAC address for each unit")
  end,
}
