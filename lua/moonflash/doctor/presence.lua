-- SPDX-License-Identifier: MIT
-- Checks of presence: the system, USB, a board on the bus, and its mode.
local dfu = require "dfu"
local finding = require "moonflash.doctor.finding"
local ids = require "moonflash.board.ids"
local text = require "moonflash.base.text"

local M = {}

local ok, note, fail = finding.ok, finding.note, finding.fail

local WITHOUT = "Without a board: -d sim:f407 is a simulated one."
local BOOT0 = "STM32: BOOT0 to VDD (on an F4 also PB2 to GND), and press reset"

-- ---- the computer ----

---@param all moonflash.Examination
---@return moonflash.Finding?
function M.system(all)
  local v = all.machine.versions
  local found = ("%s %s, libusb %s, moonflash %s"):format(v.system or "?",
    (v.kernel or "?"):match("^[%d.]+") or v.kernel, v.libusb, v.moonflash)
  return ok(found)
end

local NO_USB = {
  wsl = { "WSL has no USB of its own",
    "On Windows, with usbipd-win installed, as administrator:\n"
    .. "  usbipd list\n  usbipd bind --busid 1-4\n  usbipd attach --wsl --busid 1-4" },
  container = { "this container has no access to USB devices",
    "Start it with the devices of the computer:\n"
    .. "  docker run -v /dev/bus/usb:/dev/bus/usb \\\n"
    .. "    --device-cgroup-rule='c 189:* rmw' ..." },
  vm = { "this virtual machine has no access to USB devices",
    "In the settings of the machine, add a USB controller and pass the board through.\n"
    .. "The board leaves the bus when it restarts: pass through the port, not the device." },
  other = { "no USB controller found",
    "  lspci | grep -i usb; sudo modprobe xhci-pci" },
}

---@param all moonflash.Examination
---@return moonflash.Finding?
function M.usb(all)
  if all.simulated then return nil end
  local devices, buses = all.machine:usb()
  local seen = all.real or buses and buses + devices > 0
  if seen and all.machine:has_nodes() then
    return ok("%s on %s", text.count(devices or 0, "device"),
      buses == 1 and "1 bus" or ("%d buses"):format(buses or 0))
  end
  -- buses without device nodes mean a container, even if no other sign of one was found
  local says = NO_USB[seen and "container" or all.machine:kind() or "other"]
  all.no_usb = true
  return fail("usb.no-device", says[1], says[2] .. "\n" .. WITHOUT)
end

-- ---- a board ----

-- Appends hints about other devices that may belong to the board.
local function suspects(lines)
  local probe, program
  for _, other in ipairs(dfu.others()) do
    if ids.is_st_link(other.vid, other.pid) then
      probe = probe or other
    elseif other.vid == 0x0483 then
      program = program or other
    end
  end
  if probe then
    lines[#lines + 1] = ("An ST-LINK is connected (%s): that is the Discovery's mini-USB socket. "
      .. "DFU needs its micro-USB socket too."):format(probe.path)
  end
  if program then
    lines[#lines + 1] = ("%s (%04x:%04x) has ST's vendor ID and no DFU interface. It may be your "
      .. "board, running its program."):format(program.path, program.vid, program.pid)
  end
end

---@param all moonflash.Examination
---@return moonflash.Finding?
function M.board(all)
  if #all.unmet > 0 then
    return fail("usb.no-device", ("nothing matches -d %s"):format(table.concat(all.unmet, " -d ")),
      "'moonflash list' shows the boards that are connected.")
  elseif #all.boards > 0 or all.no_usb then
    return nil
  end
  local lines = {}
  suspects(lines)
  lines[#lines + 1] = "An " .. BOOT0 .. "; then run this again."
  lines[#lines + 1] = "If 'lsusb' shows nothing new then, try another cable (many only charge) and "
    .. "another port."
  lines[#lines + 1] = WITHOUT
  return fail("usb.no-device", "no board with a DFU interface found", table.concat(lines, "\n"))
end

---@param patient moonflash.Patient
---@param all moonflash.Examination
---@return moonflash.Finding?
function M.mode(patient, all)
  local functional = patient.info.functional
  if patient.info.mode == "runtime" then
    local todo = ("'moonflash -d %s detach' puts it into DFU mode.\nIf it comes back unchanged "
      .. "and is an %s."):format(patient.path, BOOT0)
    local found = "runs its program; not in DFU mode"
    return all.in_dfu and note(found, todo) or fail("usb.no-device", found, todo)
  end
  return ok("in DFU mode: %s, transfers of %s bytes", functional.dfuse and "DfuSe 1.1a"
    or "DFU " .. text.dfu_version(functional.dfu_version), functional.transfer_size or "unknown")
end

return M
