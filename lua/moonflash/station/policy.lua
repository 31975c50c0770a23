-- SPDX-License-Identifier: MIT
-- station.lua in a store's folder: rules that another person has made. Its hash is in the audit
-- rows. From the first start that finds the file, its absence or a change stops the station until a
-- person types "accept".
--
--   return { id = "line4", approved = "approved.txt", operators = { "anna", "ben" } }
local datafile = require "moonflash.base.datafile"
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local sys = require "sys"

---@class moonflash.Policy
---@field id? string of the station
---@field operators? string[]
---@field approved? table<string, string> names by SHA-256
---@field hash string of the file; "" without one
---@field changed? string why the station stops
local M = {}

local MOST = 1 << 20 -- bytes of a file
local FIELDS = { id = "string", approved = "string", operators = "table" }

local function bad(path, why)
  errors.raise { code = "station.policy", message = ("%s: %s"):format(path, why) }
end

-- "HASH NAME" a line, as sha256sum writes it; # begins a comment.
local function read_approved(path)
  local approved = {}
  for line in files.read(path, MOST, true):gmatch("[^\r\n]+") do
    local hash, name = line:match("^%s*(%x+)%s+%*?(.-)%s*$")
    if hash and #hash == 64 then
      approved[hash:lower()] = name
    elseif not line:find("^%s*#") and line:find("%S") then
      bad(path, ("'%s' is no SHA-256 and a name"):format(line))
    end
  end
  return approved
end

---Reads the file.
---@param folder? string nil: a store in memory
---@return moonflash.Policy
function M.load(folder)
  local path = folder and folder .. "/station.lua"
  if not path or not sys.stat(path) then return { hash = "" } end
  local ok, value = datafile.load(path, MOST)
  if not ok then bad(path, value) end
  if type(value) ~= "table" then bad(path, "it returns no table") end
  for key, item in pairs(value) do
    if FIELDS[key] ~= type(item) then
      bad(path, FIELDS[key] and ("%s is no %s"):format(key, FIELDS[key])
        or ("it has no field '%s'"):format(tostring(key)))
    end
  end
  local policy = { id = value.id, operators = value.operators, path = path }
  policy.hash = sys.sha256(files.read(path, MOST, true))
  if value.approved then
    policy.approved = read_approved(value.approved:find("^/") and value.approved
      or folder .. "/" .. value.approved)
  end
  return policy
end

---Compares the file with the one that was seen before. The first one that is seen is accepted.
---@param policy moonflash.Policy
---@param store moonflash.Store
function M.compare(policy, store)
  local seen = store:get("policy")
  if seen == nil and policy.hash ~= "" then
    M.accept(policy, store, nil)
  elseif seen ~= nil and seen ~= policy.hash then
    policy.changed = policy.hash == "" and "station.lua is missing" or "station.lua was changed"
  end
end

---@param policy moonflash.Policy
---@param store moonflash.Store
---@param who? string
function M.accept(policy, store, who)
  policy.changed = nil
  store:set("policy", policy.hash)
  store:audit("policy", who, policy.hash)
end

---Raises `station.policy` if an image has a file that is not approved, or comes from no file.
---@param policy moonflash.Policy
---@param image table
function M.check_image(policy, image)
  if not policy.approved then return end
  local list = image.files or {}
  if #list == 0 then
    errors.raise { code = "station.policy",
      message = ("%s comes from no file, and %s wants approved ones"):format(image.name
        or "an image", policy.path) }
  end
  for _, file in ipairs(list) do
    if not policy.approved[file.sha256 or ""] then
      errors.raise { code = "station.policy",
        message = ("%s is not approved (SHA-256 %s)"):format(file.name, file.sha256 or "unknown"),
        hint = "The list of approved images is named in " .. policy.path .. "." }
    end
  end
end

return M
