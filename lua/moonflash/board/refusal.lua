-- SPDX-License-Identifier: MIT
-- The errors for boards that can't be opened: the cause, and the names of the remedies.
local bus = require "moonflash.board.bus"
local errors = require "moonflash.errors"
local selectors = require "moonflash.board.selector"

local M = {}

local refusals = {
  busy = { "usb.busy", "another program, or this one, has the board open", "close-other" },
  permission = { "usb.permission", "no permission to open the board", "udev" },
}

---Raises the error for a device that is present and can't be opened.
---@param path string
---@param why string "busy", "permission", ... from link.attach
function M.refuse(path, why)
  local row = refusals[why] or { "usb.io", "the board can't be opened (" .. why .. ")", "replug" }
  errors.raise { code = row[1], message = path .. ": " .. row[2], remedy = { row[3] }, path = path }
end

local function raise_absent(path, was_there, message, remedy)
  errors.raise { code = "usb.no-device", path = path, was_there = was_there, remedy = remedy,
                 message = (path and path .. ": " or "") .. message }
end

-- The first device that matches the selector, but in another mode.
local function in_mode(wanted, mode)
  return bus.find { path = wanted.path, vid = wanted.vid, pid = wanted.pid,
                    serial = wanted.serial, mode = mode }[1]
end

---Raises the error for a selector that no device matches.
---@param wanted table a selector
---@param path? string the place, where it was named
---@param was_there? boolean the Board was open on a device there before
---@param no_wait? boolean --wait would not help: it was given, or board:open() has its own
function M.no_device(wanted, path, was_there, no_wait)
  local forbidden = (wanted.serial or wanted.alt) and bus.forbidden(wanted)
  if forbidden then M.refuse(forbidden, "permission") end
  if wanted.mode == "runtime" then
    local here = in_mode(wanted, "dfu")
    raise_absent(path, was_there, "no board that runs its program" .. (here
      and ("; %s (%s) is in DFU mode"):format(here.path, here.product or "no name") or ""),
      here and { "leave", path = here.path })
  end
  local running = in_mode(wanted, "runtime")
  if running then
    raise_absent(path, was_there, ("no board in DFU mode; %s (%s) runs its program"):format(
      running.path, running.product or "no name"), { "detach", path = running.path })
  end
  local others = was_there and {} or bus.find { mode = "dfu" }
  local meant = selectors.text(wanted)
  if #others > 0 then
    raise_absent(path, was_there, meant == "" and "no board in DFU mode"
      or "no board matches " .. meant, { "others", wanted.path and "enter-dfu" or nil,
      boards = others, probe = bus.st_link(), no_wait = no_wait })
  end
  raise_absent(path, was_there, "no board in DFU mode",
    { "enter-dfu", probe = bus.st_link(), no_wait = no_wait })
end

---Raises the error for a device that does not match the selector.
---@param info table
---@param wanted table a selector
function M.another(info, wanted)
  errors.raise { code = "usb.no-device", path = info.path, remedy = { "right-board" },
    message = ("%s: the board there is %s, %04x:%04x, serial number %s, and not %s"):format(
      info.path, info.product or "one without a name", info.vid, info.pid, info.serial or "-",
      selectors.text(wanted)) }
end

---Raises the error for a selector that several devices match.
---@param found table[] infos
function M.several(found)
  local paths = {}
  for i, info in ipairs(found) do paths[i] = info.path end
  errors.raise { code = "usb.several", remedy = { "choose", paths = paths, boards = found },
    message = ("%d boards match; choose one, or all of them:"):format(#found) }
end

return M
