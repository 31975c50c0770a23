-- SPDX-License-Identifier: MIT
-- Tests of product.lua, on simulated boards: moonflash test scripts/examples/product_test.lua
local BASE = 0x08000000

return {
  ["a protected board becomes a product"] = function()
    local results = sim.run("product.lua", { no_check = true }, { "f407,rdp=1" })
    local made = results[1]
    assert(made.outcome == "PASS", made.err)
    assert(made.sim:peek(BASE, 4) == image.load("build/ch.bin"):read(BASE, 4))
    assert(made.steps[#made.steps].name == "start")
  end,

  ["two boards at once, one of them with a fault"] = function()
    local good, bad = sim.new("f407"), sim.new("f407,fault=unplug@60")
    local results = sim.run("product.lua", { no_check = true }, { good, bad })
    assert(results[1].outcome == "PASS" and results[2].outcome == "FAIL")
    assert(results[2].err.code == "usb.gone")
    assert(results.status == 74)
  end,

  ["it keeps its promises"] = function()
    sim.rehearse("product.lua", { no_check = true }, { most = 2 })
  end,
}
