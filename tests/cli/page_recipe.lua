-- SPDX-License-Identifier: MIT
-- The recipe of page.lua: a unit a scan.
return {
  api = 1, start = "scan", board = "0483:df11",
  fail_text = { fail = "Red box." },
  setup = function() return units.open("N%d") end,
  run = function(board, _, numbers)
    numbers:take(board)
    board:step("work")
    task.sleep(0.6)
    local scan = units.scan(board)
    if scan == "BAD" then fail("cold joint") end
    if scan == "ASK" then sys.ask "LED on?" end
  end,
}
