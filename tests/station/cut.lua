-- SPDX-License-Identifier: MIT
-- Opens the store from every state that a power cut may have left: arg[1] the record of power.c.
-- What was synced is there; of what was written since, nothing, all, or any part may be.
local stores = require "moonflash.station.store"

local MOST_STATES = 400

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- ---- the record ----

local function parse(bytes)
  local list, at = {}, 1
  while at <= #bytes do
    local stop = bytes:find("\n", at, true)
    local line = bytes:sub(at, stop - 1)
    at = stop + 1
    local kind, rest = line:match("^(%l) (.*)$")
    local event = { kind = kind }
    if kind == "w" then
      local name, offset, length = rest:match("^(%S+) (%d+) (%d+)$")
      event.name, event.offset = name, tonumber(offset)
      event.bytes = bytes:sub(at, at + tonumber(length) - 1)
      at = at + tonumber(length)
    elseif kind == "t" then
      event.name, event.size = rest:match("^(%S+) (%d+)$")
      event.size = tonumber(event.size)
    elseif kind == "m" then
      event.mark, event.value = rest:match("^(%u) (%S+)$")
    else
      event.name = rest
    end
    list[#list + 1] = event
  end
  return list
end

-- A file as a string with one change.
local function apply(content, event)
  if event.kind == "d" then return nil end
  content = content or ""
  if event.kind == "t" then return content:sub(1, event.size) end
  local before = content:sub(1, event.offset)
  before = before .. ("\0"):rep(event.offset - #before)
  return before .. event.bytes .. content:sub(event.offset + #event.bytes + 1)
end

-- ---- the states ----

local folder = assert(arg[2])
local count, opened = 0, 0

local function write(name, content)
  os.remove(folder .. "/" .. name)
  if not content then return end
  local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(content)
end

local function judge(contents, marks, what)
  count = count + 1
  for _, name in ipairs { "station.db", "station.db-wal" } do write(name, contents[name]) end
  os.remove(folder .. "/station.db-shm")
  local ok, store = pcall(stores.open, folder)
  if not ok then error(("%s: it does not open: %s"):format(what, tostring(store)), 0) end
  opened = opened + 1
  for value, mark in pairs(marks) do
    local item = store:item("K%04d", value)
    if not item then error(("%s: %s was given out, and is not there"):format(what, value), 0) end
    if mark == "P" and item.state ~= "used" then
      error(("%s: %s was shown as PASS, and is %s"):format(what, value, item.state), 0)
    end
  end
  store:begin_run {}
  local highest = store:highest("K%04d") or 0
  for value in pairs(marks) do
    if tonumber(value:match("%d+")) > highest then error(what .. ": a number is forgotten", 0) end
  end
  store:close()
end

local record = parse(read(arg[1]))
local synced, now, pending = {}, {}, {} -- by name: contents, contents, changes since the sync
local marks, syncs = {}, 0
for _, event in ipairs(record) do
  if event.kind == "s" then syncs = syncs + 1 end
end
local step = math.max(1, syncs * 3 // MOST_STATES)
math.randomseed(5)

local function states(k)
  for _, kind in ipairs { "none", "all", "some" } do
    local contents = {}
    for name, content in pairs(synced) do contents[name] = content end
    for name, list in pairs(pending) do
      for _, event in ipairs(list) do
        local taken = kind == "all" or kind == "some" and math.random() < 0.5
        if taken then contents[name] = apply(contents[name], event) end
      end
    end
    judge(contents, marks, ("sync %d, %s of what came after"):format(k, kind))
  end
end

local k = 0
for _, event in ipairs(record) do
  if event.kind == "m" then
    marks[event.value] = event.mark == "P" and "P" or marks[event.value] or "K"
  elseif event.kind == "s" then
    if k % step == 0 then states(k) end
    k = k + 1
    synced[event.name], pending[event.name] = now[event.name], nil
  else
    now[event.name] = apply(now[event.name], event)
    pending[event.name] = pending[event.name] or {}
    table.insert(pending[event.name], event)
  end
end
states(k)
print(("%d states, %d syncs"):format(opened, syncs))
