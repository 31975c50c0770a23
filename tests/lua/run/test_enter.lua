-- SPDX-License-Identifier: MIT
-- Tests how boards are taken into DFU mode before a run: by DETACH, by a touch of their serial
-- port, by a text. A pseudo-terminal is the port.
local dfu = require "dfu"
local enter = require "moonflash.run.enter"
local events = require "moonflash.base.events"
local lu = require "luaunit"
local settings = require "moonflash.board.settings"
local sim = require "sim"
local support = require "support"
local sys = require "sys"
local task = require "task"

local TestEnter = {}

local LONG = 30 -- seconds for what must come, on however slow a machine

function TestEnter:setUp()
  self.far = sys.start { "script", "-qec", "stty raw -echo; tty; exec sleep 1000", "/dev/null" }
  self.tty = self.far:expect("(/dev/pts/%d+)\n", LONG)
  self.board = sim.new("dfu11,usb=ideal,tty=" .. self.tty)
  settings.selectors = { self.board.path }
  self.said = {}
  self.subscriber = { remark = function(_, _, name, facts)
    if name == "entering" then self.said[#self.said + 1] = facts.done end
  end }
  events.on(self.subscriber)
end

function TestEnter:tearDown()
  events.off(self.subscriber)
  settings.selectors, settings.entered, settings.dry = nil, nil, false
  self.board:close()
  self.far:close()
end

function TestEnter:mode()
  return dfu.list(self.board.path)[1].mode
end

-- What the board's program does when it is touched or told.
function TestEnter:enters_soon()
  return task.spawn(function()
    task.sleep(0.5)
    local board <close> = dfu.at(self.board.path):detach()
    lu.assertTrue(board.is_open)
  end)
end

function TestEnter:test_detach()
  enter.dfu_mode { detach = true }
  lu.assertEquals(self:mode(), "dfu")
  lu.assertEquals(settings.entered, { self.board.path })
  lu.assertEquals(self.said, { "sent DETACH" })
  enter.dfu_mode { detach = true } -- it is there already
  lu.assertEquals(self.said, { "sent DETACH" })
end

function TestEnter:test_touch()
  local job = self:enters_soon()
  enter.dfu_mode { touch = self.tty }
  job:join()
  lu.assertEquals(self:mode(), "dfu")
  lu.assertEquals(settings.entered, { self.board.path })
  lu.assertEquals(self.said, { "touched " .. self.tty })
end

-- A port that keeps what was written: on virtual time a real one is closed before it is read.
function TestEnter:test_say()
  local job, said = self:enters_soon(), {}
  local real = sys.serial
  local _ <close> = support.close_with(function() sys.serial = real end)
  sys.serial = function(tty)
    said[#said + 1] = tty
    return setmetatable({ write = function(_, text) said[#said + 1] = text end },
      { __close = function() end })
  end
  enter.dfu_mode { touch = self.tty, say = "dfu\\n\\x41" }
  job:join()
  lu.assertEquals(said, { self.tty, "dfu\nA" })
  lu.assertEquals(self.said, { "sent the text to " .. self.tty })
end

function TestEnter:test_that_stays_away()
  local err = support.assert_raises("usb.no-device", enter.dfu_mode, { touch = self.tty }, 3)
  lu.assertEquals(err.path, self.board.path)
  lu.assertNil(settings.entered)
end

function TestEnter:test_dry()
  settings.dry = true
  enter.dfu_mode { touch = self.tty }
  lu.assertEquals(self:mode(), "runtime")
  lu.assertStrContains(self.said[1], "would have touched")
end

-- No port is touched that is not named, unless its program is known.
function TestEnter:test_ports_that_are_not_named()
  local err = support.assert_raises("usage", enter.dfu_mode, { touch = "" })
  lu.assertStrContains(err.message, "no serial port")
  lu.assertStrContains(err.remedy.ports, self.tty)
  support.assert_raises("usage", enter.dfu_mode, { touch = "/dev/null" })
  support.assert_raises("sys.missing", enter.dfu_mode, { touch = "/dev/there-is-none" })
  lu.assertEquals(self.said, {})
end

function TestEnter.test_a_known_program()
  local ids = require "moonflash.board.ids"
  lu.assertTrue(ids.is_touched(0x2341, 0x0064))
  lu.assertFalse(ids.is_touched(0x2341, 0x0364)) -- its boot loader
  lu.assertFalse(ids.is_touched(0x1209, 0x0001))
end

return { TestEnter = TestEnter }
