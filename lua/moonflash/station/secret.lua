-- SPDX-License-Identifier: MIT
-- Secret values: records hold an HMAC-SHA-256 (RFC 2104) of them, and text for people "***".
local sys = require "sys"
local system = require "moonflash.system"

local M = {}

local BLOCK = 64 -- bytes that SHA-256 works on at once
local MASK = "***"

-- The values that were given out in this process.
local values = {}
local any = false -- a pool with secrets is open

local function raw_sha256(bytes)
  return system.unhex(sys.sha256(bytes), 1, 32)
end

local function with_each(key, byte)
  return (key:gsub(".", function(c) return string.char(c:byte() ~ byte) end))
end

---@param key string
---@param message string
---@return string 64 hex digits
function M.hmac(key, message)
  if #key > BLOCK then key = raw_sha256(key) end
  key = key .. ("\0"):rep(BLOCK - #key)
  return sys.sha256(with_each(key, 0x5C) .. raw_sha256(with_each(key, 0x36) .. message))
end

---A random key.
---@return string 32 bytes
function M.random()
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  return assert(file:read(32))
end

---The key of a store's folder; it is made when it is first needed.
---@param folder? string nil: a store in memory
---@return string
function M.key(folder)
  if not folder then return M.random() end
  local path = folder .. "/key"
  local file = io.open(path, "rb")
  if not file then
    local new <close> = assert(system.create(path)) -- for this user alone
    new:write(M.random())
    assert(sys.sync(new))
    file = assert(io.open(path, "rb"))
  end
  local key = file:read("a")
  file:close()
  return key
end

---Records that a pool with secrets is open.
function M.begin() any = true end

---@return boolean
function M.is_any() return any end

---Remembers a value, so that it is masked from now on.
---@param value string
function M.remember(value)
  if #value > 0 then values[value] = true end
end

-- Bytes that a message about flash shows: "expected f3 a1 bb 78", "found e3 a1 bb 78".
local function mask_bytes(s)
  return (s:gsub("%f[%w]%x%x %x%x[%x ]*%f[%W]", MASK))
end

---Text in which no secret can be read.
---@param s? string
---@return string?
function M.mask(s)
  if not any or type(s) ~= "string" then return s end
  for value in pairs(values) do
    local from = 1
    while true do
      local first, last = s:find(value, from, true)
      if not first then break end
      s = s:sub(1, first - 1) .. MASK .. s:sub(last + 1)
      from = first + #MASK
    end
  end
  return mask_bytes(s)
end

-- Takes secrets out of an error, a result, or a measurement, for all that see it.
local function clean(value)
  if type(value) == "string" then return M.mask(value) end
  if type(value) ~= "table" then return value end
  for _, field in ipairs { "message", "value", "text", "name" } do
    local text = rawget(value, field)
    if type(text) == "string" then value[field] = M.mask(text) end
  end
  return value
end

-- An error without a code is text, and its traceback may repeat it.
local function clean_result(result)
  result.err, result.data = clean(result.err), clean(result.data)
  result.traceback = M.mask(result.traceback)
  for i, failure in ipairs(result.at_end) do result.at_end[i] = clean(failure) end
end

---The arguments of an event without secrets, for events.filter.
---@param event string
function M.filter(event, ...)
  if not any then return ... end
  if event == "result" then clean_result((...)) end
  local args = table.pack(...)
  for i = 1, args.n do
    local is_own = event == "measurement" or event == "failure" or event == "complaint"
      or event == "step"
    if type(args[i]) == "string" or is_own then args[i] = clean(args[i]) end
  end
  return table.unpack(args, 1, args.n)
end

---Forgets all secrets.
function M.reset()
  values, any = {}, false
end

return M
