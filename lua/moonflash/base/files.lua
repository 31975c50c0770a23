-- SPDX-License-Identifier: MIT
-- Reads and writes whole files. Errors name the file and the cause.
local errors = require "moonflash.errors"
local sys = require "moonflash.system"
local text = require "moonflash.base.text"

local M = {}

local CHUNK = 64 * 1024

-- Returns the bytes of a file, up to somewhat more than `most`, or nil and the reason. read()
-- allocates the size that it is asked for, so `size` is the expected size of the file.
local function read_all(file, size, most)
  local parts, total = {}, 0
  while total <= most do
    local bytes, why = file:read(size)
    if why then return nil, why end
    if not bytes or bytes == "" then break end
    parts[#parts + 1], total, size = bytes, total + #bytes, CHUNK
  end
  return table.concat(parts)
end

---The bytes of a file. Raises `file` if the file can't be read, `image` if it is too large or
---empty.
---@param name string
---@param most integer bytes
---@param may_be_empty? boolean
---@return string
function M.read(name, most, may_be_empty)
  local stat, why = sys.stat(name)
  if not stat then
    errors.raise { code = "file", message = ("%s: %s"):format(name, why) }
  elseif stat.type == "directory" then
    errors.raise { code = "file", message = name .. " is a directory, not a file" }
  elseif stat.size > most then
    errors.raise { code = "image", message = ("%s has %s: more than any flash"):format(name,
      text.size(stat.size)) }
  end
  local file, cause = io.open(name, "rb")
  if not file then errors.raise { code = "file", message = cause } end
  local bytes
  bytes, cause = read_all(file, stat.type == "file" and stat.size + 1 or CHUNK, most)
  file:close()
  if not bytes then
    errors.raise { code = "file", message = ("%s: %s"):format(name, cause) }
  elseif bytes == "" and not may_be_empty then
    errors.raise { code = "image", message = name .. " is empty" }
  elseif #bytes > most then
    errors.raise { code = "image", message = name .. " is larger than any flash" }
  end
  return bytes
end

local function cannot_write(name, why)
  errors.raise { code = "file.write", message = ("%s can't be written: %s"):format(name,
    tostring(why):gsub("^.*: ", "")) }
end

---Returns a file name that is not in use: before .. after, or with "-2", "-3", ... between them.
---@param before string
---@param after string
---@param exists? fun(name: string): any whether that name is in use; default: sys.stat
---@return string
function M.unused(before, after, exists)
  local name, n = before .. after, 1
  exists = exists or sys.stat
  while exists(name) do
    n = n + 1
    name = ("%s-%d%s"):format(before, n, after)
  end
  return name
end

local TRIES = 8

-- Creates a temporary file beside the one to be written. write() renames it when it is complete.
-- Its name is random, so that no other program can create it first. Returns the file and its name,
-- or nil and the reason.
local function create_part(name)
  local file, why
  for _ = 1, TRIES do
    local part = ("%s.%08x.part"):format(name, math.random(0, 0xFFFFFFFF))
    file, why = sys.create(part)
    if file or not sys.stat(part) then return file, file and part or why end
  end
  return nil, why
end

-- Names that were found to be unused, for files that are written later.
local free = {}

local function try(name)
  if name == "" then cannot_write("a file", "it has no name") end
  local file, part = create_part(name)
  if not file then cannot_write(name, part) end
  file:close()
  os.remove(part)
  free[name] = sys.stat(name) == nil or nil
end

---Raises `file.write` if a file exists or can't be created. Called before the work for it begins.
---@param name string
function M.check_writable(name)
  if sys.stat(name) then
    errors.raise { code = "file.write", message = name .. " exists already",
                   remedy = { "other-name" } }
  end
  try(name)
end

---Raises `file.write` if a file can't be created, or if an existing one must not be replaced.
---@param name string
---@param may_replace fun(beginning: string): boolean called with the first bytes of the file
---@param what string "a report"
function M.check_replaceable(name, may_replace, what)
  local stat = sys.stat(name)
  if stat and stat.type ~= "file" then
    errors.raise { code = "file.write",
                   message = name .. " is not a regular file; not overwritten" }
  elseif stat then
    local file, why = io.open(name, "rb")
    if not file then cannot_write(name, why) end
    local beginning = file:read(256) or ""
    file:close()
    if not may_replace(beginning) then
      errors.raise { code = "file.write",
                     message = ("%s exists and is not %s; not overwritten"):format(name, what),
                     remedy = { "other-name" } }
    end
  end
  try(name)
end

---Writes a whole file, and syncs it to the disk; on failure no part of it is left. A file that was
---created after its name was found to be unused is not replaced. Raises `file.write`.
---@param name string
---@param bytes string
function M.write(name, bytes)
  local is_new = free[name] or sys.stat(name) == nil
  free[name] = nil
  local file, part = create_part(name)
  if not file then cannot_write(name, part) end
  local ok, why = file:write(bytes)
  if ok then ok, why = sys.sync(file) end
  local closed, cause = file:close()
  ok, why = ok and closed, why or cause
  if ok then ok, why = (is_new and sys.rename_new or os.rename)(part, name) end
  if not ok then
    os.remove(part)
    cannot_write(name, why)
  end
end

---The value of an environment variable; an empty one counts as not set.
---@param name string
---@param otherwise string
---@return string
function M.setting(name, otherwise)
  local value = os.getenv(name)
  return value and value ~= "" and value or otherwise
end

---The folder of a user's own recipes and slots.
---@return string
function M.config_folder()
  return M.setting("XDG_CONFIG_HOME", (os.getenv("HOME") or "") .. "/.config") .. "/moonflash"
end

return M
