-- SPDX-License-Identifier: MIT
-- What several test files need.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local task = require "task"

local M = {}

---A value whose __close is f, for a <close> variable; close() calls f, too.
---@param f function
function M.close_with(f)
  return setmetatable({ close = f }, { __close = f })
end

---An empty folder, and what removes it.
---@return string path
---@return table to be closed
function M.folder()
  local pipe = assert(io.popen("mktemp -d"))
  local path = pipe:read("l")
  pipe:close()
  return path, M.close_with(function() os.execute("rm -rf '" .. path .. "'") end)
end

---The name of a new file that holds these bytes. The caller removes it.
---@param bytes string
---@return string
function M.file_with(bytes)
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "wb"))
  file:write(bytes)
  return name
end

---A Board, open, on a new simulated board.
---@param spec string
---@return table board
---@return table to be closed: closes both
---@return table simulated
function M.open(spec)
  local place = sim.new(spec)
  local board = dfu.open(place.path)
  return board, M.close_with(function()
    board:close()
    place:close()
  end), place
end

---A file with a product of that description, until it is closed.
---@param description string a table, in Lua
---@return table name=
function M.product(description)
  local name = os.tmpname() .. ".lua"
  local file <close> = assert(io.open(name, "w"))
  file:write("return " .. description)
  return setmetatable({ name = name }, { __close = function() os.remove(name) end })
end

---What f raises, as text.
---@param f function
---@return string
function M.message_of(f, ...)
  local ok, err = pcall(f, ...)
  lu.assertFalse(ok, "no error")
  return tostring(err)
end

---f must raise something that says `text`.
---@param text string
---@param f function
function M.assert_fails(text, f, ...)
  lu.assertStrContains(M.message_of(f, ...), text)
end

---f must raise an error object with that code; returns it.
---@param code string
---@param f function
---@return table
function M.assert_raises(code, f, ...)
  local ok, err = pcall(f, ...)
  lu.assertFalse(ok, "no error")
  lu.assertIsTable(err, tostring(err))
  if err.code ~= code then lu.assertEquals(err.code, code, tostring(err)) end
  return err
end

---How many seconds f takes, on the loop's clock; and what it returns.
---@param f function
---@return number
function M.seconds(f, ...)
  local before = task.now()
  local result = table.pack(f(...))
  return task.now() - before, table.unpack(result, 1, result.n)
end

---How often another task gets its turn, ten times a second, while f runs.
---@param f function
---@return integer
function M.turns(f, ...)
  local n, over = 0, false
  local ticker = task.spawn(function()
    while not over do
      task.sleep(0.1)
      n = n + 1
    end
  end)
  f(...)
  local counted = n
  over = true
  ticker:join()
  return counted
end

return M
