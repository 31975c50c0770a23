-- SPDX-License-Identifier: MIT
-- list.lua: lists the boards that are connected.
local list = require "moonflash.ui.list"

return {
  api     = 1,
  summary = "List the boards that are connected",
  args    = {},

  setup = function()
    return list.boards()
  end,
}
