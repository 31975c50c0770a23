-- SPDX-License-Identifier: MIT
-- Data files that a user writes in Lua. Such a file returns a table and has no functions to call.
local files = require "moonflash.base.files"

local M = {}

-- The command line's task reads the file, and no signal ends a loop there.
local MOST_STEPS = 1000000

---Returns true and the file's value, or false and the reason. Raises `file` if it can't be read.
---@param file string
---@param most integer bytes
---@return boolean ok
---@return any value, or the reason without the file's name
function M.load(file, most)
  local chunk, why = load(files.read(file, most), "@" .. file, "t", {})
  local ok, value
  if chunk then
    debug.sethook(function() error("it takes too long", 2) end, "", MOST_STEPS)
    ok, value = pcall(chunk)
    debug.sethook()
    if ok then return true, value end
    why = value
  end
  why = tostring(why) -- most of Lua's own messages begin with the file's name
  return false, why:sub(1, #file + 1) == file .. ":" and why:sub(#file + 2) or why
end

return M
