-- SPDX-License-Identifier: MIT
-- sim.serve from Lua's side: arguments, events, closing. What goes over the socket is tested by
-- tests/c/usbip/test_usbip.c, and with a kernel by tests/usb/kernel.
local lu = require "luaunit"
local dfu = require "dfu"
local sim = require "sim"
local support = require "support"
local task = require "task"

local TestServe = {}

function TestServe.test_it_says_when_it_is_ready()
  local server <close> = sim.serve("127.0.0.1", 0, { "sim:f407#serve" })
  lu.assertEquals(server.address, "127.0.0.1")
  lu.assertTrue(server.port > 0)
  lu.assertEquals(server:event(), { event = "ready", address = "127.0.0.1", port = server.port })
  lu.assertStrMatches(tostring(server), "Server %(127%.0%.0%.1, port %d+%)")
  lu.assertTrue(sim.exists("sim:f407#serve"))
end

function TestServe.test_others_go_on_while_it_waits()
  local server <close> = sim.serve("127.0.0.1", 0, { "sim:f407#serve" })
  server:event()
  local waiting = task.spawn(server.event, server)
  local turns = support.turns(task.sleep, 0.25)
  lu.assertTrue(turns >= 1)
  waiting:cancel()
  local err = support.assert_raises("cancelled", waiting.join, waiting)
  lu.assertEquals(err.code, "cancelled")
end

function TestServe.test_one_task_waits()
  local server <close> = sim.serve("127.0.0.1", 0, { "sim:f407#serve" })
  server:event()
  local waiting = task.spawn(server.event, server)
  task.sleep(0)
  support.assert_fails("another task waits", server.event, server)
  server:close()
  lu.assertNil(waiting:join())
end

function TestServe.test_a_deadline_ends_it()
  local server <close> = sim.serve("127.0.0.1", 0, { "sim:f407#serve" })
  server:event()
  support.assert_raises("timeout", task.deadline, 0.05, server.event, server)
  support.assert_raises("timeout", task.deadline, 0.05, server.event, server)
end

function TestServe.test_closed()
  local server = sim.serve("127.0.0.1", 0, { "sim:f407#serve" })
  server:close()
  server:close()
  lu.assertNil(server:event())
  lu.assertNil(server.port)
  lu.assertEquals(tostring(server), "Server (closed)")
  support.assert_fails("a Server has no 'prot'", function() return server.prot end)
end

function TestServe.test_its_end_is_the_end_of_a_loop()
  local events = 0
  local server <close> = sim.serve("127.0.0.1", 0, { "sim:f407#serve" })
  for event in server.event, server do
    lu.assertEquals(event.event, "ready")
    events = events + 1
    server:close()
  end
  lu.assertEquals(events, 1)
end

function TestServe.test_what_is_collected_is_closed()
  local port
  do
    local server = sim.serve("127.0.0.1", 0, { "sim:f407#serve" })
    port = server.port
  end
  collectgarbage()
  collectgarbage()
  local server <close> = sim.serve("127.0.0.1", port, { "sim:f407#serve" })
  lu.assertEquals(server.port, port)
end

function TestServe.test_a_port_that_is_taken()
  local server <close> = sim.serve("127.0.0.1", 0, { "sim:f407#serve" })
  local err = support.assert_raises("usb.busy", sim.serve, "127.0.0.1", server.port,
    { "sim:f407#serve" })
  lu.assertStrContains(err.message, ("127.0.0.1:%d: "):format(server.port))
end

function TestServe.test_loopback_only()
  local err = support.assert_raises("usage", sim.serve, "0.0.0.0", 0, { "sim:f407#serve" })
  lu.assertStrContains(err.hint, "--anywhere")
  support.assert_raises("usage", sim.serve, "example.org", 0, { "sim:f407#serve" })
  local server <close> = sim.serve("0.0.0.0", 0, { "sim:f407#serve" }, { anywhere = true })
  lu.assertEquals(server.address, "0.0.0.0")
end

function TestServe.test_boards()
  local board <close> = sim.new("g474")
  local server <close> = sim.serve("127.0.0.1", 0, { "sim:f407#serve", board })
  lu.assertEquals(server:event().event, "ready")
  support.assert_raises("usage", sim.serve, "127.0.0.1", 0, { "1-4" })
  support.assert_raises("usage", sim.serve, "127.0.0.1", 0, { 5 })
  support.assert_raises("usage", sim.serve, "127.0.0.1", 0, { "sim:f999" })
  local err = support.assert_raises("usage", sim.serve, "127.0.0.1", 0,
    { "sim:f407,rdp=1", "sim:f407,rdp=1" })
  lu.assertStrContains(err.hint, "sim:f407#2,rdp=1")
  support.assert_fails("1 to 64 boards", sim.serve, "127.0.0.1", 0, {})
  support.assert_fails("a list of boards", sim.serve, "127.0.0.1", 0, "sim:f407")
  support.assert_fails("0 to 65535", sim.serve, "127.0.0.1", 65536, { "sim:f407#serve" })
end

-- A board that no client has imported can be opened here; events tell what is done to it.
function TestServe.test_events_of_a_board()
  local server <close> = sim.serve("127.0.0.1", 0, { "sim:f407#events,usb=none,times=zero" })
  local path = "sim:f407#events,usb=none,times=zero"
  server:event()
  do
    local board <close> = dfu.open(path)
    board:erase_page(0x08000000)
    board:write(0x08000000, ("\0\16\0\32\1\1\0\8"):rep(100))
    board:leave(0x08000000)
  end
  local flashed, left = server:event(), server:event()
  lu.assertEquals(flashed, { event = "flashed", bus_id = "1-1", path = path, bytes = 800,
                             first = 0x08000000, last = 0x0800031F })
  lu.assertEquals(left, { event = "left", bus_id = "1-1", path = path, address = 0x08000000,
                          sp = 0x20001000, pc = 0x08000101, works = true })
end

return { TestServe = TestServe }
