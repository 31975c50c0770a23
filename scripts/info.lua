-- SPDX-License-Identifier: MIT
-- info.lua: what a board says of itself. Changes nothing on it.
local list = require "moonflash.ui.list"

return {
  api     = 1,
  summary = "Say all that a board says of itself",

  run = function(board)
    return list.details(board)
  end,
}
