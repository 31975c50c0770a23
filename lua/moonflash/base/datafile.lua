-- SPDX-License-Identifier: MIT
-- Files of data that a user writes in Lua: they return a table, and have nothing to call.
local files = require "moonflash.base.files"

local M = {}

-- Such a file is read by the command line itself, whose loops no signal ends.
local MOST_STEPS = 1000000

---What the file returns; or false, and why it can't be had. Raises `file` where it can't be read.
---@param file string
---@param most integer bytes
---@return boolean ok
---@return any value or why, without the file's name
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
  why = tostring(why) -- Lua's own messages begin with the file's name, most of them
  return false, why:sub(1, #file + 1) == file .. ":" and why:sub(#file + 2) or why
end

return M
