-- SPDX-License-Identifier: MIT
-- What the library tells of its work, and that it shows nothing of it itself.
local events = require "moonflash.base.events"
local flash = require "moonflash.flash"
local image = require "moonflash.image"
local lu = require "luaunit"
local sim = require "sim"
local dfu = require "dfu"
local sys = require "sys"

local TestEvents = {}

local FLASH = 0x08000000

-- The modules that a module loads, by name. moonflash itself, which shows what a script does, has
-- loaded others before: they are forgotten first.
local function loaded_by(module)
  local result = sys.run { os.getenv("MOONFLASH"), "-e", ([[
    for name in pairs(package.loaded) do
      if name:find("^moonflash%%.") then package.loaded[name] = nil end
    end
    local loaded = require %q
    for name in pairs(package.loaded) do print(name) end]]):format(module) }
  local names, count = {}, 0
  for name in result.output:gmatch("[^\n]+") do
    names[name] = true
    count = count + (name:find("^moonflash%.") and 1 or 0)
  end
  return names, count
end

local KNOWS_A_TERMINAL = { "moonflash.ui", "moonflash.prompt", "moonflash.report",
                           "moonflash.trace", "moonflash.cli" }

function TestEvents.test_the_library_knows_no_terminal()
  local names, count = loaded_by("moonflash.flash")
  lu.assertTrue(names["moonflash.flash.plan"])
  lu.assertTrue(count < 85, count)
  for name in pairs(names) do
    for _, other in ipairs(KNOWS_A_TERMINAL) do lu.assertNotStrContains(name, other) end
  end
end

-- A subscriber that keeps what it hears, as words.
local function listener(names)
  local heard = {}
  local subscriber = {}
  for _, name in ipairs(names) do
    subscriber[name] = function(_, ...)
      local board, second = ...
      if name:find("^phase") or name == "advance" then
        heard[#heard + 1] = ("%s %s %d/%d"):format(name, board.name, board.done, board.total)
      else
        heard[#heard + 1] = name .. (type(second) == "string" and " " .. second or "")
      end
    end
  end
  return subscriber, heard
end

function TestEvents.test_a_write()
  local simulated <close> = sim.new("f407,usb=none")
  local board <close> = dfu.open(simulated.path)
  local subscriber, heard = listener { "image", "plan", "phase", "phase_end", "left" }
  local _ <close> = events.on(subscriber)
  local bytes = ("<I4I4"):pack(0x20001000, FLASH + 9) .. ("x"):rep(92)
  flash.write(board, image.new { name = "it", segments = { { address = FLASH, bytes = bytes } } },
    { leave = true })
  lu.assertEquals(heard, { "image", "phase compare 0/100", "phase_end compare 100/100", "plan",
    "phase write 0/100", "phase_end write 100/100",
    "phase verify 0/100", "phase_end verify 100/100", "left" })
end

function TestEvents.test_apart()
  local subscriber, heard = listener { "remark", "question" }
  local _ <close> = events.on(subscriber)
  do
    local _ <close> = events.apart("question")
    events.emit("remark", nil, "unheard")
    events.emit("question", nil, "heard")
  end
  events.emit("remark", nil, "heard again")
  lu.assertEquals(heard, { "question heard", "remark heard again" })
end

function TestEvents.test_a_subscriber_that_leaves_while_it_hears()
  local heard = 0
  local first = {}
  function first.remark() events.off(first) end
  local second = { remark = function() heard = heard + 1 end }
  local _ <close> = events.on(first)
  local _ <close> = events.on(second)
  events.emit("remark")
  lu.assertEquals(heard, 1)
end

return { TestEvents = TestEvents }
