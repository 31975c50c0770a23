-- SPDX-License-Identifier: MIT
-- Raises `image` for a file that breaks a rule of its format, with the place in the file.
local errors = require "moonflash.errors"

local M = {}

---An error in the whole file: "app.dfu: ..."
---@param name string of the file
---@param message string for string.format
function M.file(name, message, ...)
  errors.raise { code = "image", message = name .. ": " .. message:format(...) }
end

---An error in a line of a text file: "app.hex:412: ..."
---@param name string of the file
---@param line integer
---@param message string for string.format
function M.line(name, line, message, ...)
  M.file(name .. ":" .. line, message, ...)
end

---An error at an offset of a binary file: "app.elf: offset 0x34: ..."
---@param name string of the file
---@param offset integer from 0
---@param message string for string.format
function M.offset(name, offset, message, ...)
  M.file(name, ("offset 0x%X: "):format(offset) .. message, ...)
end

return M
