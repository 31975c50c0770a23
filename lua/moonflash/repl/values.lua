-- SPDX-License-Identifier: MIT
-- What can be told of a value without calling anything of it.
local M = {}

-- What values of ours are called in the manual, by the name of their type.
local CLASSES = { ["dfu.Board"] = "board", ["task.Task"] = "task", ["sim.Sim"] = "sim",
                  ["sim.Server"] = "server" }

---The word for what a value is: "board" for a Board; nil for what is not ours.
---@param value any
---@return string?
function M.class(value)
  local meta = debug.getmetatable(value)
  return type(value) == "userdata" and type(meta) == "table" and CLASSES[meta.__name] or nil
end

---@param value any
---@return boolean
function M.is_board(value)
  return M.class(value) == "board"
end

---The table of methods of a value that is no table; nil where it has none.
---@param value any
---@return table?
function M.methods(value)
  local meta = debug.getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index") or nil
  if type(index) == "function" then -- C's: its first upvalue
    local _, methods = debug.getupvalue(index, 1)
    index = methods
  end
  return type(index) == "table" and index or nil
end

return M
