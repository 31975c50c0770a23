-- SPDX-License-Identifier: MIT
-- fixture.lua: makes the product of product.lua in a fixture: a relay powers each slot, and one
-- meter measures all of them.
local factory = require "factory"

return {
  api     = 1,
  summary = "Make products in a fixture with relays and a meter",
  board   = "0483:df11",                      -- what board:open() waits for
  start   = "operator",                       -- there is no board before its relay is on
  args    = {
    { "--relay", "the program that switches: RELAY SLOT on|off", default = "relay" },
    { "--meter", "the meter's serial port", default = "/dev/ttyUSB0" },
    { "--scan", "ask for each board's barcode", default = false },
    { "--boot-loader", "at 0x08000000", default = "build/ch.bin", type = "file" },
    { "--application", "at 0x08010000", default = "build/app.bin", type = "file" },
    { "--no-check", "don't ask the program", default = false },
  },

  setup = function(opt)
    return {
      make  = use("./product.lua", { boot_loader = opt.boot_loader, no_check = opt.no_check,
                                     application = opt.application }),
      meter = sys.serial(opt.meter),          -- closed after the last board, whatever happens
      one   = task.semaphore(1),              -- one slot at a time has the meter
      seen  = {},
    }
  end,

  run = function(board, opt, shared)
    local slot = board.slot or board.path
    if opt.scan then
      board:step("scan")                      -- takes as long as the operator does: no deadline
      local code = sys.ask { text = "Barcode?", check = function(line)
        if line == "" then return false, "the barcode is empty" end
        return not shared.seen[line], "it was scanned already"
      end }
      shared.seen[code] = true
      board:note("barcode", code)
    end

    board:step("power", 60)                   -- the last of 16 slots waits for the meter
    task.at_end(function() factory.switch(opt.relay, slot, "off") end)    -- whatever happens
    factory.switch(opt.relay, slot, "on")
    local volts = factory.measure(shared.meter, shared.one, slot)
    board:note("supply", volts, { min = 3.2, max = 3.4, unit = "V" })
    board:open { wait = 5 }

    shared.make(board)
  end,
}
