-- SPDX-License-Identifier: MIT
-- A recipe of a station for tests: a number, written with 4 KB.
return {
  api = 1, board = "0483:df11", seconds = 60,
  setup = function() return units.open("U%06d") end,
  run = function(board, _, numbers)
    local item = numbers:take(board)
    board:step("flash", 40)
    flash.write(board, image.new { segments = { { address = 0x08000000,
      bytes = item.value .. ("\255"):rep(4096 - #item.value) } } })
    board:note("vdd", 3.3, { min = 3.2, max = 3.4, unit = "V" })
  end,
}
