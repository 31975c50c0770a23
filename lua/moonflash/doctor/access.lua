-- SPDX-License-Identifier: MIT
-- Checks of whether boards can be opened: the user's permissions, and other programs or drivers
-- that have a board open.
local errors = require "moonflash.errors"
local finding = require "moonflash.doctor.finding"
local ids = require "moonflash.board.ids"

local M = {}

local ok, note, fail = finding.ok, finding.note, finding.fail

-- ---- permissions ----

local INSTALL = "moonflash udev | sudo tee /etc/udev/rules.d/70-moonflash.rules"
local RELOAD = "sudo udevadm control --reload && sudo udevadm trigger"
local INSTALL_RULE = ("  %s\n  %s"):format(INSTALL, RELOAD)
local LATE = "%s comes too late to work: its number must be below 73"

---If no board is present: whether a udev rule exists for one that comes later. If a board is
---present, M.rights shows more.
---@param all moonflash.Examination
---@return moonflash.Finding?
function M.rule(all)
  local uid = all.machine:user()
  if all.simulated or all.real or all.no_usb or uid == 0 then return nil end
  local st = ids.known[1]
  local rule = all.machine:rule_for(st[1], st[2])
  if not rule then
    return note("no udev rule lets users open boards",
      "To allow access for the user at this computer:\n" .. INSTALL_RULE)
  elseif rule.late then
    return note(LATE:format(rule.path), INSTALL_RULE)
  end
  return ok("%s lets you open %s boards", rule.path, "ST's")
end

local function says_of_node(machine, node)
  local stat = machine:stat(node)
  if not stat then return node end
  return ("%s (%s:%s, mode %04o)"):format(node, machine:name_of("passwd", stat.uid),
    machine:name_of("group", stat.gid), stat.mode)
end

-- The advice that gives this user access, depending on the installed udev rules.
local function way_in(patient, machine)
  local vid, pid = patient.info.vid, patient.info.pid
  local rule = machine:rule_for(vid, pid)
  local reload = "  " .. RELOAD
  if not machine:stat("/run/udev") and machine:kind() == "container" then
    return "udev does not run in this container. Start the container as root, or with --group-add."
  elseif rule and rule.late then
    return LATE:format(rule.path) .. ".\n" .. INSTALL_RULE
  elseif rule and rule.gives == "uaccess" then
    return rule.path .. " allows access for the user at this computer, not over ssh. If that is "
      .. "you: reconnect the board, or\n" .. reload
  elseif rule then
    local stat = machine:stat(machine:node(patient.path) or "")
    local group = stat and machine:name_of("group", stat.gid)
    return ("%s allows access for a group%s. If the rule is new, reconnect the board; else "
      .. "join the group and log in again.%s"):format(rule.path,
      group and group ~= "root" and (", '%s'"):format(group) or "",
      group and group ~= "root" and ("\n  sudo usermod -aG %s $USER"):format(group) or "")
  elseif ids.has_rule(vid, pid) then
    return "To allow access for the user at this computer:\n" .. INSTALL_RULE
  end
  return ("'moonflash udev' has no rule for %04x:%04x; this is one:\n  echo '%s' |\n"
    .. "    sudo tee /etc/udev/rules.d/70-moonflash-%04x.rules\n%s"):format(vid, pid,
    ids.udev_rule(vid, pid), vid, reload)
end

---@param patient moonflash.Patient
---@param all moonflash.Examination
---@return moonflash.Finding?
function M.rights(patient, all)
  if patient.simulated then return nil end
  local machine = all.machine
  local node = machine:node(patient.path)
  if patient.info.forbidden or errors.matches(patient.err, "usb.permission") then
    return fail("usb.permission", "you may not open " .. (node and says_of_node(machine, node)
      or "it"), way_in(patient, machine))
  elseif not node or patient.err and not errors.matches(patient.err, "usb.busy") then
    return nil -- unknown: the board was not opened
  elseif machine:user() == 0 then
    return ok("you are root, and may open it")
  end
  local rule = machine:rule_for(patient.info.vid, patient.info.pid)
  return ok("you may open it%s", rule and not rule.late and ", by " .. rule.path or "")
end

-- ---- other programs ----

-- Programs that open a newly connected device to identify it.
local CURIOUS = { "fwupd", "ModemManager" }

local function curious(machine)
  for _, name in ipairs(CURIOUS) do
    if machine:runs(name) then return name end
  end
end

---@param patient moonflash.Patient
---@param all moonflash.Examination
---@return moonflash.Finding?
function M.others(patient, all)
  if patient.simulated or patient.info.forbidden then return nil end
  local machine = all.machine
  local node = machine:node(patient.path)
  local holders, unseen = machine:holders(node or "")
  local who = table.concat(holders, ", ")
  local driver, interface = machine:driver(patient.path, patient.info.interface)
  local claimed = driver == "usbfs" and not patient.board -- otherwise the claim is our own
  local nosy = curious(machine)
  if driver and driver ~= "usbfs" then
    return fail("usb.busy", ("the kernel driver %s uses the board"):format(driver),
      ("To detach the driver:\n  echo %s | sudo tee /sys/bus/usb/drivers/%s/unbind"):format(
        interface, driver))
  elseif errors.matches(patient.err, "usb.busy") or claimed then
    if #holders > 0 then
      return fail("usb.busy", who .. " has it open", "End that program, or wait for it.")
    end
    return fail("usb.busy", "another program has it open", (unseen > 0
      and ("'sudo moonflash doctor' shows which: %s hidden from you.\n"):format(
        unseen == 1 and "one process's open files are" or "other processes' open files are") or "")
      .. (nosy and ("%s is running, which opens new devices:\n  sudo systemctl stop %s"):format(
        nosy, nosy) or "End that program, or wait for it."))
  elseif #holders > 0 then
    return note(who .. " has it open too, but does not use its DFU interface")
  elseif nosy then
    return note(("no program has it open; %s is running, which opens new devices"):format(nosy),
      "If a board is busy when it was just connected: --wait 10 waits for it.")
  end
  return ok("no other program has it open")
end

return M
