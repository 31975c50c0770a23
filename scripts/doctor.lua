-- SPDX-License-Identifier: MIT
-- doctor.lua: finds out why flashing does not work. Changes nothing on any board.
local doctor = require "moonflash.doctor"

return {
  api         = 1,
  summary     = "Look for what is wrong when it does not work",
  description = "Looks at this computer and at each board: ok, !! (bad), or -- (worth knowing).\n"
    .. "It writes and erases nothing; dfuERROR is cleared, as any command does. The exit\n"
    .. "status is that of the first thing that is bad.",
  args        = {},

  setup = function()
    return doctor.judge(doctor.examine())
  end,
}
