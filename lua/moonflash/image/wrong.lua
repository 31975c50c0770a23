-- SPDX-License-Identifier: MIT
-- Says where a file breaks which rule: raises `image`.
local errors = require "moonflash.errors"

local M = {}

---The whole file: "app.dfu: ..."
---@param name string of the file
---@param message string for string.format
function M.file(name, message, ...)
  errors.raise { code = "image", message = name .. ": " .. message:format(...) }
end

---A line of a text file: "app.hex:412: ..."
---@param name string of the file
---@param line integer
---@param message string for string.format
function M.line(name, line, message, ...)
  M.file(name .. ":" .. line, message, ...)
end

---A place in a binary file: "app.elf: offset 0x34: ..."
---@param name string of the file
---@param offset integer from 0
---@param message string for string.format
function M.offset(name, offset, message, ...)
  M.file(name, ("offset 0x%X: "):format(offset) .. message, ...)
end

return M
