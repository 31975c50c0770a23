-- SPDX-License-Identifier: MIT
-- slots.lua: shows the named places of a fixture, and what is in them.
local list = require "moonflash.list"

return {
  api     = 1,
  summary = "Show the slots of a fixture, and what is in them",
  args    = {},

  setup = function()
    return list.slots()
  end,
}
