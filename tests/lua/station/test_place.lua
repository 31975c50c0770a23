-- SPDX-License-Identifier: MIT
-- The states of a station's place, without a clock or a bus.
local lu = require "luaunit"
local places = require "moonflash.station.place"

local TestPlace = {}

local function new(start)
  return places.new("1-4.1", "one", { settle = 0.3, empty = 1.0, start = start or "plug" })
end

-- Lets time pass in looks of 50 ms with one device. Returns what is to be done, in the order.
local function pass(place, at, seconds, device)
  local acts = {}
  for i = 0, math.floor(seconds / 0.05 + 0.5) do
    acts[#acts + 1] = place:see(at + i * 0.05, device)
  end
  return acts
end

local function dfu(generation) return { generation = generation, fits = true } end
local function program(generation) return { generation = generation, fits = false } end

local function judged(outcome, left)
  local place = new()
  lu.assertEquals(pass(place, 0, 0.4, dfu(1)), { "start" })
  place:judge(10, outcome, left)
  return place
end

function TestPlace.test_a_board_settles()
  local place = new()
  lu.assertEquals(place.state, "EMPTY")
  pass(place, 0, 0.2, dfu(1))
  lu.assertEquals(place.state, "SETTLING")
  lu.assertEquals(pass(place, 0.25, 0.1, dfu(1)), { "start" })
  lu.assertEquals(place.state, "RUNNING")
end

function TestPlace.test_a_new_generation_settles_anew()
  local place = new()
  pass(place, 0, 0.25, dfu(1))
  lu.assertEquals(pass(place, 0.3, 0.25, dfu(2)), {})
  lu.assertEquals(pass(place, 0.55, 0.1, dfu(2)), { "start" })
end

function TestPlace.test_bounces_are_told_once_in_five()
  local place, told = new(), {}
  for i = 1, 6 do
    for _, act in ipairs(pass(place, i * 2, 0.1, dfu(i))) do told[#told + 1] = act end
    for _, act in ipairs(pass(place, i * 2 + 0.15, 0.1)) do told[#told + 1] = act end
    lu.assertEquals(place.state, "EMPTY")
  end
  lu.assertEquals(told, { "contact" })
end

function TestPlace.test_the_verdict_stands_until_the_next_board_settles()
  local place = judged("PASS", false)
  pass(place, 10, 5)
  lu.assertEquals(place:shown(), "PASS")
  pass(place, 15.05, 0.2, dfu(2))
  lu.assertEquals(place.state, "SETTLING")
  lu.assertEquals(place:shown(), "PASS")
  lu.assertEquals(pass(place, 15.3, 0.2, dfu(2)), { "start" })
end

function TestPlace.test_a_board_that_stays_is_no_new_unit()
  local place = judged("FAIL", false)
  lu.assertEquals(pass(place, 10, 100, dfu(1)), {})
  lu.assertEquals(place.state, "FAIL")
end

-- An F042 that leaves: off for 0.375 s, two bus resets, its program within 0.75 s.
function TestPlace.test_what_a_board_does_after_leave_is_no_new_unit()
  local place = judged("PASS", true)
  pass(place, 10, 0.35)
  for i, generation in ipairs { 2, 3, 4 } do
    lu.assertEquals(pass(place, 10.3 + i * 0.1, 0.05, program(generation)), {})
  end
  lu.assertEquals(place.state, "PASS")
  -- a ROM that BOOT0 keeps in DFU mode
  place = judged("PASS", true)
  pass(place, 10, 0.4)
  lu.assertEquals(pass(place, 10.5, 60, dfu(2)), {})
  lu.assertEquals(place.state, "PASS")
end

function TestPlace.test_a_board_that_comes_too_soon_has_to_come_again()
  local place = judged("FAIL", false)
  pass(place, 10, 0.4)
  lu.assertEquals(pass(place, 10.5, 0.4, dfu(2)), { "too-soon" })
  lu.assertEquals(place.state, "BLOCKED")
  lu.assertEquals(pass(place, 11, 10, dfu(2)), {})
  pass(place, 21, 1.1)
  lu.assertEquals(place.state, "EMPTY")
  lu.assertEquals(pass(place, 22.2, 0.4, dfu(3)), { "start" })
end

function TestPlace.test_a_place_with_its_program_is_not_empty()
  local place = judged("PASS", true)
  pass(place, 10, 0.4)
  pass(place, 10.5, 5, program(2))
  pass(place, 15.5, 0.3)
  lu.assertEquals(pass(place, 15.9, 0.4, dfu(3)), { "too-soon" })
end

function TestPlace.test_a_bounce_does_not_end_the_emptiness()
  local place = judged("PASS", false)
  pass(place, 10, 3)
  pass(place, 13.05, 0.1, dfu(2))
  pass(place, 13.2, 0.1)
  lu.assertEquals(place.state, "PASS")
  lu.assertEquals(pass(place, 13.35, 0.4, dfu(3)), { "start" })
end

function TestPlace.test_a_hub_that_comes_back_is_no_row_of_units()
  local place = judged("PASS", false)
  pass(place, 10, 2)
  place:lose_hub(12)
  pass(place, 12, 5)
  lu.assertEquals(pass(place, 17.05, 0.5, dfu(2)), { "hub-back" })
  lu.assertEquals(place.state, "PASS")
  pass(place, 18, 2)
  lu.assertEquals(pass(place, 20.1, 0.4, dfu(3)), { "start" })
end

function TestPlace.test_which_hubs_went()
  local function at(path, when) return { place = { path = path }, at = when } end
  local two = { at("1-4.1", 1), at("1-4.2", 1.05) }
  local function nothing() return false end
  lu.assertNotNil(places.lost_hubs(two, nothing)["1-4"])
  lu.assertNil(places.lost_hubs(two, function(path) return path == "1-4" end)["1-4"])
  lu.assertNil(places.lost_hubs({ at("1-4.1", 1), at("1-4.2", 1.3) }, nothing)["1-4"])
  lu.assertNil(places.lost_hubs({ at("1-4.1", 1), at("1-5.2", 1) }, nothing)["1-4"])
  lu.assertNil(places.lost_hubs({ at("sim:f407#1", 1), at("sim:f407#2", 1) }, nothing)["sim"])
end

function TestPlace.test_enter_and_scan_wait()
  local place = new("enter")
  lu.assertEquals(pass(place, 0, 5, dfu(1)), { "ready" })
  lu.assertEquals(place.state, "READY")
  pass(place, 6, 0.1)
  lu.assertEquals(place.state, "EMPTY")
end

function TestPlace.test_a_stop_is_ended_by_a_person_only()
  local place = new()
  pass(place, 0, 0.4, dfu(1))
  place:block("5 failures in a row", true)
  pass(place, 1, 2)
  pass(place, 3.1, 2, dfu(2))
  lu.assertEquals(place.state, "BLOCKED")
  place:release()
  lu.assertEquals(pass(place, 6, 0.4, dfu(2)), { "start" })
end

return { TestPlace = TestPlace }
