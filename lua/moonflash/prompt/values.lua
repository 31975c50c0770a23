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

---The Board that `board` means in a session, where a local comes first; nil where it is none.
---@param session table env, scope
---@return table?
function M.board_of(session)
  local known, value = session.scope:value("board")
  if not known then value = rawget(session.env, "board") end
  return M.is_board(value) and value or nil
end

local function methods_in(meta)
  local index = type(meta) == "table" and rawget(meta, "__index") or nil
  if type(index) == "function" then -- C's: its first upvalue
    local _, methods = debug.getupvalue(index, 1)
    index = methods
  end
  return type(index) == "table" and index or nil
end

---The table of methods of a value that is no table; nil where it has none.
---@param value any
---@return table?
function M.methods(value)
  return methods_in(debug.getmetatable(value))
end

---The table of methods of a type of ours, "dfu.Board" say.
---@param name string
---@return table?
function M.methods_of(name)
  return methods_in(debug.getregistry()[name])
end

return M
