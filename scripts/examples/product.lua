-- SPDX-License-Identifier: MIT
-- product.lua: writes a boot loader, an application and option bytes to a board in any state; then
-- starts the program and checks its version.
local factory = require "factory"

return {
  api     = 1,
  summary = "Make a product, and see that it answers",
  board   = "0483:df11",
  seconds = 180,
  args    = {
    { "--boot-loader", "at 0x08000000", default = "build/ch.bin", type = "file" },
    { "--application", "at 0x08010000", default = "build/app.bin", type = "file" },
    { "--version-is", "what the program must answer", default = "1.4" },
    { "--no-check", "don't ask the program", default = false },
  },

  setup = function(opt)
    return image.load { opt.boot_loader, opt.application .. "@0x08010000" }
  end,

  run = function(board, opt, firmware)
    board:step("unprotect", 60)
    factory.expect(board, 1024)
    if not factory.unprotect(board) then
      print("the flash can't be read: the whole product would be written")
      return
    end

    board:step("flash", 60)
    flash.write(board, firmware, { retry = 1, start_last = true })

    board:step("option bytes", 20)
    optbytes.write(board, { BOR_LEV = 1, nWRP = 0xFFE })    -- the boot loader is there to stay

    board:step("start", 10)
    board:leave(firmware.start)
    if opt.no_check then return end

    board:step("check", 20)
    local program = board:wait_app(10)
    if board.dry then return end
    if not program.tty then fail("the program has no serial port") end
    local version = factory.ask_program(program.tty, "version", "version ([%w.]+)\r?\n")
    board:note("version", version)
    if version ~= opt.version_is then fail("the version should be %s", opt.version_is) end
  end,
}
