-- SPDX-License-Identifier: MIT
-- What an operator does after a failure, in plain words, by the error's code: the recipe's
-- fail_text, or ours. Advice for a single run ("run the same command again") is none for a station.
local errors = require "moonflash.errors"
local remedies = require "moonflash.ui.remedies"

local M = {}

local TEXT = {
  usb = "Take it out, check the contact, put it in again.",
  dfu = "Try it once more; if it fails again, set it aside.",
  verify = "The flash does not hold what was written: set it aside.",
  timeout = "It took too long: try it once more, then set it aside.",
  board = "The board is protected: set it aside.",
  fail = "Set it aside.",
}

---@param recipe table
---@param code? string
---@return string? text nil: the code has none, nor has a parent of it
function M.todo(recipe, code)
  local own = recipe.table.fail_text or {}
  while code do
    local text = own[code] or TEXT[code]
    if text then return text end
    code = code:match("^(.*)%.[^.]*$")
  end
end

---Makes it the hint of errors, until the returned value is closed.
---@param recipe table
---@return table to close
function M.begin(recipe)
  errors.set_advice(function(err)
    if err.path then return M.todo(recipe, err.code) end -- of a unit
    return remedies.hint(err)
  end)
  return setmetatable({}, { __close = function() errors.set_advice(remedies.hint) end })
end

return M
