-- SPDX-License-Identifier: MIT
-- info.lua: shows everything a board reports about itself. Changes nothing on it.
local list = require "moonflash.ui.list"

return {
  api     = 1,
  summary = "Show everything a board reports about itself",

  run = function(board)
    return list.details(board)
  end,
}
