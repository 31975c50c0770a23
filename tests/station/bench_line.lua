-- SPDX-License-Identifier: MIT
-- The recipe of bench_line.sh: it measures the station that runs it.
local events = require "moonflash.base.events"

local begun, cpu, arrived = task.now(), os.clock(), {}
local step_ended, count, late, early = {}, 0, 0, 0

events.on {
  place = function(_, place)
    if place.state == "SETTLING" then arrived[place.path] = arrived[place.path] or task.now() end
  end,
  unit = function(_, place)
    early = math.max(early, task.now() - (arrived[place.path] or begun))
  end,
  result = function(_, result)
    local at = step_ended[result.path]
    late = math.max(late, at and task.now() - at or 0)
    count = count + 1
    if count < 16 then return end
    print(("figure: 16 slots: %.0f %% of a core; from arrival to the unit %.2f s at most (0.3 s of "
      .. "it settling); from the end of a step to the verdict %.0f ms at most"):format(
      100 * (os.clock() - cpu) / (task.now() - begun), early, late * 1000))
  end,
}

return {
  api = 1, board = "0483:df11",
  args = { { "file", "the firmware", type = "file" } },
  setup = function(opt)
    begun, cpu = task.now(), os.clock()
    return { image = image.load(opt.file), numbers = units.open("B%03d") }
  end,
  run = function(board, _, line)
    local item = line.numbers:take(board)
    board:step("flash", 40)
    flash.write(board, line.image:patch(0x0800E000, item.value))
    step_ended[board.path] = task.now()
  end,
}
