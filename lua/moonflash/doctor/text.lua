-- SPDX-License-Identifier: MIT
-- The report of `doctor` as text: one line a check, the advice indented below it, in 80 columns.
local text = require "moonflash.base.text"

local M = {}

local WIDTH = 80
local FOUND_AT = 14 -- the column of a finding
local TODO_AT = 6
local MARKS = { ok = "ok", note = "--", fail = "!!" }

local function length(s) return utf8.len(s) or #s end

-- Wraps words at the last column; a longer word stays whole.
local function wrap(s, at, lines, first)
  local line = first
  local empty = true
  for blanks, word in s:gmatch("(%s*)(%S+)") do
    if not empty and length(line) + #blanks + length(word) > WIDTH then
      lines[#lines + 1] = line
      line, empty = (" "):rep(at), true
    end
    line = line .. (empty and "" or blanks) .. word
    empty = false
  end
  lines[#lines + 1] = line
end

-- A line of advice that begins with a blank is a command to copy, so it is not wrapped.
local function add_todo(todo, lines)
  for line in todo:gmatch("[^\n]+") do
    if line:find("^%s") then
      lines[#lines + 1] = (" "):rep(TODO_AT) .. line
    else
      wrap(line, TODO_AT, lines, (" "):rep(TODO_AT))
    end
  end
end

local function add_check(check, lines)
  wrap(check.found, FOUND_AT, lines, ("%s  %-10s"):format(MARKS[check.level], check.check))
  if check.todo then add_todo(check.todo, lines) end
end

local function heading(info)
  return ("%s  %04x:%04x  %s%s"):format(info.path, info.vid, info.pid,
    info.product or "a board without a name",
    info.serial and info.serial ~= "" and "  serial " .. info.serial or "")
end

---@param checks table[]
---@param boards table[] in the format of dfu.list()
---@return table report that prints as text
function M.new(checks, boards)
  local by_path = {}
  for _, info in ipairs(boards) do by_path[info.path] = info end
  return setmetatable({ checks = checks }, { __tostring = function()
    local lines, path, bad, notes = {}, nil, false, 0
    for _, check in ipairs(checks) do
      if check.path ~= path then
        path = check.path
        lines[#lines + 1] = ""
        wrap(heading(by_path[path]), 2, lines, "")
      end
      add_check(check, lines)
      bad = bad or check.level == "fail"
      if check.level == "note" then notes = notes + 1 end
    end
    if not bad then
      lines[#lines + 1] = ""
      lines[#lines + 1] = notes == 0 and "Nothing is wrong."
        or ("Nothing is wrong; %s to note (--)."):format(text.count(notes, "thing"))
    end
    return table.concat(lines, "\n")
  end })
end

return M
