-- SPDX-License-Identifier: MIT
-- --quiet: shows failures and questions, unverified writes, and the values that recipes return.
local console = require "moonflash.ui.console"
local lines = require "moonflash.ui.lines"
local text = require "moonflash.base.text"
local words = require "moonflash.ui.words"

local M = setmetatable({}, lines)
M.__index = M

---@return table a new subscriber
function M.new() return setmetatable(lines.new(), M) end

function M.print() end

function M.all_passed() end

function M.passed(_, board, stats)
  if not stats.unverified then return end
  local size = words.is_partly_verified(stats) and text.size(stats.bytes_unverified) .. " " or ""
  console.say(("%s: %sNOT VERIFIED (%s)\n"):format(text.plain(console.who(board)), size,
    stats.unverified))
end

return M
