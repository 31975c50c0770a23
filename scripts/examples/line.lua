-- SPDX-License-Identifier: MIT
-- line.lua: makes units at a station. Each gets a serial number and a MAC address of its own.
--   moonflash station --folder line4 --page 8080 scripts/examples/line.lua build/ch.bin
local SERIAL_AT, MAC_AT = 0x0800E000, 0x0800E010      -- the program reads them from there
local SERIAL = "^WX%-%d%d%d%d%d%d$"
local label                                             -- of setup, for finish_unit

return {
  api     = 1,
  summary = "Make units with serial numbers and MAC addresses",
  board   = "0483:df11",
  seconds = 60,
  station = { stop = { failures_in_a_row = 5 } },
  fail_text = { ["usb.gone"] = "Press it into the socket, and press retry.",
                ["fail"] = "Red box." },
  args    = {
    { "file", "the firmware", type = "file" },
    { "--label", "the program that prints a label: LABEL NUMBER", type = "string" },
  },

  setup = function(opt)
    label = opt.label
    return {
      firmware = image.load(opt.file),
      serials  = units.open("WX-%06d"),
      macs     = units.open("macs.csv", { name = "mac" }),
    }
  end,

  run = function(board, _, line)
    local serial, mac = line.serials:take(board), line.macs:take(board)

    board:step("flash", 40)
    flash.write(board, line.firmware:patch(SERIAL_AT, serial.value):patch(MAC_AT, mac.value))

    board:step("check", 5)
    local found = board:read(SERIAL_AT, #serial.value)
    if found ~= serial.value then fail("the number on the board is %q", found) end

    board:step("start", 5)
    board:leave()
  end,

  -- After a power cut: which number a board has.
  identify = function(board)
    local found = board:read(SERIAL_AT, 9)
    return found:find(SERIAL) and found or nil
  end,

  -- When PASS is on the disk.
  finish_unit = function(unit)
    if label then sys.run { label, unit.value } end
  end,
}
