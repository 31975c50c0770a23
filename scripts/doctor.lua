-- SPDX-License-Identifier: MIT
-- doctor.lua: finds out why flashing does not work. Changes nothing on any board.
local doctor = require "moonflash.doctor"

return {
  api         = 1,
  summary     = "Find out why flashing does not work",
  description = "Checks this computer and each board. Marks: ok, !! (bad), -- (worth knowing).\n"
    .. "Writes and erases nothing, but clears dfuERROR, as any command does.\n"
    .. "The exit status is that of the first !! line.",
  args        = {},

  setup = function()
    return doctor.judge(doctor.examine())
  end,
}
