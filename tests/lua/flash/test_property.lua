-- SPDX-License-Identifier: MIT
-- Random images on random boards with random options and faults: whatever happens, the flash is
-- what was said of it, what --keep kept is not lost, and the same command, run again, does it all.
-- MOONFLASH_RUNS says how many, MOONFLASH_SEED with which one to begin; a failure names its seed.
local lu = require "luaunit"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local flash = require "moonflash.flash"
local image = require "moonflash.image"
local kept = require "moonflash.flash.kept"
local run = require "moonflash.run"
local sim = require "sim"

local RUNS = 150
local BASE, AREA = 0x08000000, 0x20000 -- the part of the flash that images go to
local WATCHED = 0x30000                -- and that is compared

-- ---- chance ----

-- Numbers that a seed alone decides.
local function generator(seed)
  local state = seed * 7919 + 1
  local function random(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return (state >> 33) % n + 1
  end
  return random
end

local function pick(random, list) return list[random(#list)] end

local function noise(random, length)
  local bytes = {}
  for i = 1, length do bytes[i] = string.char(random(256) - 1) end
  return table.concat(bytes)
end

-- Few different bytes, long runs: images and flash have those.
local function stuff(random, length)
  local kind = random(4)
  if kind == 1 then return ("\255"):rep(length) end
  if kind == 2 then return ("\0"):rep(length) end
  local block = noise(random, math.min(length, 97 + random(900)))
  return (block:rep(length // #block + 1)):sub(1, length)
end

-- ---- a scene ----

local TO_END = "{ base = 'f407', product = 'other', habits = { 'erases-to-end' } }"
local UNKNOWN = "{ base = 'f407', product = 'other' }"
local boards = {
  { "f407" }, { "l433" }, { "g474" }, { "f407,wrp=0x6", protected = true },
  { "l433,wrp=0x5", protected = true }, { "", UNKNOWN }, { "", TO_END, lies = true },
}

-- With a serial number that no other board has: by it the file of --keep is known.
local function new_place(scene)
  local board, name = scene.board, nil
  if board[2] then
    name = os.tmpname() .. ".lua"
    local file <close> = assert(io.open(name, "w"))
    file:write("return " .. board[2])
  end
  local place = sim.new(("%s%s,usb=none,times=zero,serial=P%d"):format(name or "", board[1],
    scene.seed))
  if name then os.remove(name) end
  return place
end

local function new_image(random)
  local segments, at = {}, BASE + (random(2) == 1 and 0 or random(0x8000))
  for i = 1, random(4) do
    local bytes = stuff(random, random(3) == 1 and random(40) or random(9000))
    if i == 1 and random(2) == 1 then
      bytes = ("<I4I4"):pack(0x20010000, at + 9) .. bytes
    end
    segments[i] = { address = at, bytes = bytes }
    at = at + #bytes + random(0x4000)
    if at > BASE + AREA - 0x3000 then break end
  end
  return image.new { name = "random", segments = segments }
end

local function new_options(random, it)
  local function chance(n) return random(n) == 1 end
  local options = { full = chance(4), no_verify = chance(6), trust_erase = chance(5),
                    retry = random(3) - 1, start_last = it.start ~= nil and chance(3) }
  local beside = random(4)
  options.keep, options.lose = beside <= 2, beside == 3
  if not options.keep and chance(8) then options.erase_all = true end
  return options
end

local FAULTS = { "unplug", "stall", "error", "corrupt", "hang", "short" }

local function new_scene(seed)
  local random = generator(seed)
  local scene = { seed = seed, board = pick(random, boards), image = new_image(random) }
  scene.options = new_options(random, scene.image)
  scene.before = random(4) == 1 and ("\255"):rep(WATCHED) or stuff(random, WATCHED)
  scene.faults = {}
  for i = 1, random(4) - 1 do
    scene.faults[i] = { pick(random, FAULTS), random(random(2) == 1 and 40 or 200) }
  end
  return scene
end

-- ---- what must hold ----

local function same(found, address, bytes)
  return found:sub(address - BASE + 1, address - BASE + #bytes) == bytes
end

local function has_image(found, it)
  for _, segment in ipairs(it.segments) do
    if not same(found, segment.address, segment.bytes) then return false end
  end
  return true
end

-- The bytes that should stand there at the end, where that is certain: the image's, and with --keep
-- what stood beside it; false where it may be erased or old.
local function overlay(scene)
  local parts, at = {}, BASE
  for _, segment in ipairs(scene.image.segments) do
    parts[#parts + 1] = { at, segment.address - 1 }
    at = segment.address + #segment.bytes
  end
  parts[#parts + 1] = { at, BASE + WATCHED - 1 }
  return parts
end

-- What is beside the image: as it was, or, without --keep, erased.
local function beside_is_right(scene, found)
  for _, range in ipairs(overlay(scene)) do
    local first, last = range[1] - BASE + 1, range[2] - BASE + 1
    local now, old = found:sub(first, last), scene.before:sub(first, last)
    if now ~= old then
      if scene.options.keep then return false end
      for i = 1, #now do
        if now:byte(i) ~= 0xFF and now:byte(i) ~= old:byte(i) then return false end
      end
    end
  end
  return true
end

local truths = {}

-- A claim about [first, last]; what was written is the image's or, beside it, kept or filling.
function truths.verified(scene, found, first, last)
  for _, segment in ipairs(scene.image.segments) do
    local from = math.max(first, segment.address)
    local to = math.min(last, segment.address + #segment.bytes - 1)
    if from <= to and found:sub(from - BASE + 1, to - BASE + 1)
      ~= segment.bytes:sub(from - segment.address + 1, to - segment.address + 1) then
      return false
    end
  end
  return true
end

function truths.blank(_, found, first, last)
  return not found:sub(first - BASE + 1, last - BASE + 1):find("[^\255]")
end

function truths.untouched(scene, found, first, last)
  return found:sub(first - BASE + 1, last - BASE + 1)
    == scene.before:sub(first - BASE + 1, last - BASE + 1)
end

function truths.written(scene, found, first, last)
  return scene.corrupted or scene.board.protected or truths.verified(scene, found, first, last)
end

function truths.erased(scene, found, first, last) -- the board's word
  return scene.board.protected or truths.blank(scene, found, first, last)
end

function truths.doubt() return true end

local function false_claim(scene, found, ranges)
  local at = BASE
  local claims = {}
  for _, range in ipairs(ranges or {}) do
    if range.first > at then
      claims[#claims + 1] = { state = "untouched", first = at, last = range.first - 1 }
    end
    claims[#claims + 1] = range
    at = math.max(at, range.last + 1)
  end
  claims[#claims + 1] = { state = "untouched", first = at, last = BASE + WATCHED - 1 }
  for _, claim in ipairs(claims) do
    local first, last = math.max(claim.first, BASE), math.min(claim.last, BASE + WATCHED - 1)
    if first <= last and not truths[claim.state](scene, found, first, last) then
      return ("0x%08X..0x%08X is not %s"):format(first, last, claim.state)
    end
  end
end

local function perform(scene, place)
  local recipe = { name = "it", args = {}, table = { run = function(board)
    flash.write(board, scene.image, scene.options)
  end } }
  return run.on_board(recipe, dfu.at(place.path), {}, nil)
end

local function check_run(scene, result, found)
  if result.outcome == "PASS" and result.stats.verified then
    if not has_image(found, scene.image) then return "verified, and the image is not there" end
    local unseen = scene.board.lies and (scene.options.trust_erase or scene.options.erase_all)
    if not unseen and not scene.board.lies and not scene.options.erase_all
      and not beside_is_right(scene, found) then
      return "verified, and something beside the image is wrong"
    end
  elseif result.outcome == "PASS" and not result.stats.unverified then
    return "passed, without a word on verification"
  elseif result.outcome ~= "PASS" and not errors.is(result.err) then
    return "failed without a word about the board: " .. tostring(result.err)
  end
  if scene.board.lies then return nil end -- what it did beside its sectors only shows at the end
  return false_claim(scene, found, result.ranges)
end

-- The same again, on the board as it is then, and without faults.
local function check_again(scene, found_before)
  if scene.board.protected or scene.board.lies then return nil end
  local place <close> = new_place(scene)
  place:poke(BASE, found_before)
  local again = perform(scene, place)
  local found = place:peek(BASE, WATCHED)
  local may_refuse = not (scene.options.keep or scene.options.lose or scene.options.erase_all)
  if may_refuse and errors.matches(again.err, "image") then -- data before it is not blank
    return found ~= found_before and "it was refused, and has changed something" or nil
  end
  if again.outcome ~= "PASS" then return "run again, it failed: " .. tostring(again.err) end
  if not scene.options.no_verify and not again.stats.verified then
    return "run again, it was not verified"
  elseif not (scene.options.no_verify or has_image(found, scene.image)) then
    return "run again, the image is not there"
  elseif not (scene.options.erase_all or scene.options.no_verify)
    and not beside_is_right(scene, found) then
    return "run again, something beside the image is wrong"
  end
end

local function round(seed)
  local scene = new_scene(seed)
  local place = new_place(scene)
  local _ <close> = kept.in_memory()
  place:poke(BASE, scene.before)
  for _, fault in ipairs(scene.faults) do
    place:fault(fault[1], fault[2])
    scene.corrupted = scene.corrupted or fault[1] == "corrupt"
  end
  local result = perform(scene, place)
  local found = place:peek(BASE, WATCHED)
  place:close()
  local why = check_run(scene, result, found) or check_again(scene, found)
  if why then
    local words = {}
    for name, value in pairs(scene.options) do
      if value then words[#words + 1] = name .. "=" .. tostring(value) end
    end
    for _, fault in ipairs(scene.faults) do words[#words + 1] = fault[1] .. "@" .. fault[2] end
    lu.fail(("MOONFLASH_SEED=%d: %s (%s%s, %s; the run: %s)"):format(seed, why, scene.board[1],
      scene.board[2] or "", table.concat(words, " "), tostring(result.err or "passed")))
  end
end

local TestProperty = {}

function TestProperty.test_whatever_happens()
  local from = tonumber(os.getenv("MOONFLASH_SEED") or 1)
  for seed = from, from + tonumber(os.getenv("MOONFLASH_RUNS") or RUNS) - 1 do round(seed) end
end

return { TestProperty = TestProperty }
