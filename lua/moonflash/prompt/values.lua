-- SPDX-License-Identifier: MIT
-- Facts about values, found without calling anything.
local M = {}

-- The manual's names of the library's types.
local CLASSES = { ["dfu.Board"] = "board", ["task.Task"] = "task", ["sim.Sim"] = "sim",
                  ["sim.Server"] = "server" }

---The manual's name of a value's type: "board" for a Board; nil for other types.
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

---The Board in a session's `board`, a local or a global; nil if it is none.
---@param session table env, scope
---@return table?
function M.board_of(session)
  local known, value = session.scope:value("board")
  if not known then value = rawget(session.env, "board") end
  return M.is_board(value) and value or nil
end

local function methods_in(meta)
  local index = type(meta) == "table" and rawget(meta, "__index") or nil
  if type(index) == "function" then -- in C: its first upvalue
    local _, methods = debug.getupvalue(index, 1)
    index = methods
  end
  return type(index) == "table" and index or nil
end

---The table of methods of a userdata or string; nil if there is none.
---@param value any
---@return table?
function M.methods(value)
  return methods_in(debug.getmetatable(value))
end

---The table of methods of a type, "dfu.Board" for example.
---@param name string
---@return table?
function M.methods_of(name)
  return methods_in(debug.getregistry()[name])
end

return M
