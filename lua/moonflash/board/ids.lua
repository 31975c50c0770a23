-- SPDX-License-Identifier: MIT
-- USB ids: of boot loaders that speak DfuSe, with the udev rule for each, and of debug probes.
local M = {}

-- dfu-util's and Betaflight's lists; QMK
M.known = {
  { 0x0483, 0xDF11, "STMicroelectronics ROM" },
  { 0x28E9, 0x0189, "GigaDevice GD32" },
  { 0x2E3C, 0xDF11, "Artery AT32" },
  { 0x314B, 0x0106, "Geehy APM32" },
  { 0x3997, 0xDF11, "X32" },
  { 0x1EAF, 0x0003, "Leaflabs Maple" },
  { 0x1D50, 0x6017, "Black Magic Probe" },
  { 0x1D50, 0x607F, "Spark Core" },
  { 0x2B04, 0xD006, "Particle Photon" },
  { 0x2341, 0x035B, "Arduino Portenta" },
}

-- Programs that enter a DFU boot loader when their serial port is touched (1200 baud): those whose
-- upload tool is dfu-util and that have use_1200bps_touch (ArduinoCore-mbed @04ccf55c boards.txt,
-- seen).
local TOUCHED = {
  [0x2341] = { [0x005B] = true, [0x025B] = true, [0x045B] = true, [0x055B] = true, -- Portenta H7
               [0x025F] = true, [0x045F] = true, [0x055F] = true,                  -- Nicla Vision
               [0x0064] = true, [0x0164] = true, [0x0264] = true },                -- Opta
  [0x35D1] = { [0x0064] = true, [0x0164] = true, [0x0264] = true },                -- Opta
}

---Whether a program with these ids enters its boot loader when its serial port is touched.
---@param vid integer
---@param pid integer
---@return boolean
function M.is_touched(vid, pid)
  return TOUCHED[vid] ~= nil and TOUCHED[vid][pid] == true
end

-- ST's debug probes. They are not boards, but some boards have one (their udev rules; stlink's
-- list).
local ST_LINKS = { [0x3744] = true, [0x3748] = true, [0x374A] = true, [0x374B] = true,
                   [0x374D] = true, [0x374E] = true, [0x374F] = true, [0x3752] = true,
                   [0x3753] = true, [0x3754] = true }

---@param vid integer
---@param pid integer
---@return boolean
function M.is_st_link(vid, pid)
  return vid == 0x0483 and ST_LINKS[pid] == true
end

---The udev rule that lets the user at the computer open a device.
---@param vid integer
---@param pid integer
---@return string
function M.udev_rule(vid, pid)
  return ('SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="%04x", '
    .. 'ATTR{idProduct}=="%04x", TAG+="uaccess"'):format(vid, pid)
end

---Whether `moonflash udev` has a rule for these ids.
---@param vid integer
---@param pid integer
---@return boolean
function M.has_rule(vid, pid)
  for _, row in ipairs(M.known) do
    if row[1] == vid and row[2] == pid then return true end
  end
  return false
end

return M
