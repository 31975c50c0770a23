-- SPDX-License-Identifier: MIT
-- Colours on a terminal's standard error: outcomes, errors, warnings. NO_COLOR takes them away
-- (no-color.org: set, and not empty). Text is cut and cleaned before it is coloured.
local sys = require "sys"

local M = {}

local GREEN, RED, YELLOW = "32", "1;31", "33"
local OUTCOMES = { PASS = GREEN, FAIL = RED, ERROR = RED, TIMEOUT = RED, ABORTED = YELLOW,
                   STOP = YELLOW }

---Whether standard error is a terminal that can draw.
---@return boolean
function M.can_draw()
  local term = os.getenv("TERM")
  return sys.is_terminal(2) and term ~= nil and term ~= "dumb"
end

local function paint(s, code)
  if (os.getenv("NO_COLOR") or "") ~= "" or not M.can_draw() then return s end
  return ("\27[%sm%s\27[0m"):format(code, s)
end

---@param s string that has an outcome in it, or is one
---@param outcome string PASS, FAIL, ...
---@return string
function M.outcome(s, outcome) return paint(s, OUTCOMES[outcome] or RED) end

---@param s string
---@return string
function M.good(s) return paint(s, GREEN) end

---@param s string
---@return string
function M.bad(s) return paint(s, RED) end

---@param s string
---@return string
function M.warning(s) return paint(s, YELLOW) end

return M
