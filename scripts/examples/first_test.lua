-- SPDX-License-Identifier: MIT
-- Tests of first.lua, on simulated boards: moonflash test
local FLASH = 0x08000000

-- A program that can start: the top of its stack, its first instruction, and 2000 bytes.
local PROGRAM = ("<I4I4"):pack(0x20020000, FLASH + 0x101) .. ("moonflash "):rep(200)

local function firmware()
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "wb"))
  file:write(PROGRAM)
  return name
end

return {
  ["the program is on the board, and was started"] = function()
    local name = firmware()
    local results = sim.run("first.lua", { file = name })
    os.remove(name)
    local made = results[1]
    assert(made.outcome == "PASS", made.err)
    assert(made.sim:peek(FLASH, #PROGRAM) == PROGRAM)
    assert(made.steps[#made.steps].name == "start")
  end,

  ["it keeps its promises when the cable is pulled"] = function()
    local name = firmware()
    sim.rehearse("first.lua", { file = name }, { most = 5 })
    os.remove(name)
  end,
}
