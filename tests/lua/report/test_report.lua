-- SPDX-License-Identifier: MIT
-- Reports: what stands in them, that nothing gets into a page that is not escaped, and that a page
-- is well-formed. tests/cli/test_report.sh opens them in a browser.
local lu = require "luaunit"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local facts = require "moonflash.report.facts"
local flash = require "moonflash.flash"
local html = require "moonflash.report.html"
local page = require "moonflash.report.page"
local picture = require "moonflash.report.picture"
local report = require "moonflash.report"
local run = require "moonflash.run"
local sim = require "sim"
local slots = require "moonflash.board.slots"
local task = require "task"
local support = require "support"

local TestReport = {}

local BASE = 0x08000000
local HOSTILE = [[<script>alert(1)</script>"'&amp; onload=x]] .. "\27[31m\u{202E}\xFF"

local VOID = { meta = true, br = true }

-- Every element is closed, in the right order; every attribute is quoted; no text has a bare "<".
local function assert_well_formed(text)
  local open = {}
  local body = text:gsub("^<!DOCTYPE html>", ""):gsub("<style>.-</style>", "")
  lu.assertNil(body:find("<[^%l/]"), "a bare <")
  for slash, name, rest in body:gmatch("<(/?)(%l[%l%d]*)([^<>]*)>") do
    if slash == "/" then
      lu.assertEquals(table.remove(open), name)
    else
      lu.assertEquals(rest:gsub(' [%a-]+="[^"]*"', ""):gsub(" open", ""), "", name)
      if not VOID[name] then open[#open + 1] = name end
    end
  end
  lu.assertEquals(open, {})
  local ids = {}
  for id in body:gmatch(' id="([^"]*)"') do
    lu.assertNil(ids[id], "two elements are called " .. id)
    ids[id] = true
  end
end

local function raw(address, bytes, name)
  return { name = name or "it.bin", format = "bin", size = #bytes, start = address,
           segments = { { address = address, bytes = bytes } } }
end

-- What run.on_board gives for a recipe that does `work`.
local function result_of(board, work)
  return run.on_board({ table = { run = work } }, dfu.at(board.path), {}, nil)
end

local function page_of(results, more)
  local about = { results = results, command = "moonflash flash it.bin", name = "flash",
                  seconds = 1, status = 0, began = 0 }
  for key, value in pairs(more or {}) do about[key] = value end
  local text = page.make(about)
  assert_well_formed(text)
  return text
end

local function fates(result, dry)
  local list = {}
  for _, memory in ipairs(facts.memories(result, dry)) do
    for _, r in ipairs(memory.runs) do
      list[#list + 1] = ("%d x %d %s"):format(r.count, r.size // 1024, r.fate)
    end
  end
  return table.concat(list, ", ")
end

function TestReport:setUp()
  self.sims = {}
end

function TestReport:tearDown()
  dfu.defaults.dry = false
  for _, board in ipairs(self.sims) do board:close() end
end

function TestReport:new(spec)
  local board = sim.new(spec)
  table.insert(self.sims, board)
  return board
end

-- A board whose first sectors hold the image already, and then something else.
function TestReport:changed(spec)
  local board = self:new(spec or "f407")
  local bytes = ("moonflash"):rep(16000) -- 16, 16, 16, 16, 64 and 12 KB of 128
  board:poke(BASE, bytes)
  board:poke(BASE + 0x4000, "\0")
  board:poke(BASE + 0x8000, ("\255"):rep(0x4000))
  return board, raw(BASE, bytes)
end

function TestReport:test_what_happened_to_each_sector()
  local board, image = self:changed()
  local result = result_of(board, function(b) flash.write(b, image) end)
  lu.assertEquals(fates(result), "1 x 16 same, 1 x 16 rewritten, 1 x 16 written, 1 x 16 same, "
    .. "1 x 64 same, 1 x 128 same, 6 x 128 untouched")
  local text = page_of({ result })
  for _, words in ipairs { "✓ Passed", "it.bin", "0x08004000", "0x08004000..0x08007FFF, 16 KB, "
    .. "erased, written", "0x08000000", "0x0802327F", "315A28A0B956", "0483:df11", "dfuERROR",
    "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", board.path, MOONFLASH_VERSION,
    "6 × 128 KB", "1 sector", "4 sectors the same", "by comparing first" } do
    lu.assertStrContains(text, words)
  end
end

function TestReport:test_sectors_are_to_scale_and_none_too_small_to_see()
  local board, image = self:changed()
  local result = result_of(board, function(b) flash.write(b, image) end)
  local memory = facts.memories(result)[1]
  local drawing, untrue = picture.memory(memory, 640)
  lu.assertNil(untrue)
  local heights = {}
  for height in html.text(drawing):gmatch('class="sector [^"]*" height="([%d.]+)"') do
    heights[#heights + 1] = tonumber(height)
  end
  lu.assertEquals(heights, { 40, 40, 40, 40, 160, 320, 44 }) -- the untouched ones are cut short
  -- of a memory that is much larger the smallest are drawn larger, and it is said
  memory.runs[#memory.runs].count = 600
  memory.runs[#memory.runs].last = memory.runs[#memory.runs].address + 600 * 0x20000 - 1
  drawing, untrue = picture.memory(memory, 640)
  lu.assertTrue(untrue > 16 * 1024)
  for height in html.text(drawing):gmatch('class="sector [^"]*" height="([%d.]+)"') do
    lu.assertTrue(tonumber(height) >= 5)
  end
end

function TestReport:test_seconds_of_each_sector()
  local board, image = self:changed()
  local result = result_of(board, function(b) flash.write(b, image) end)
  local runs = facts.memories(result)[1].runs
  lu.assertAlmostEquals(facts.seconds(runs[2], "erase"), 0.4, 0.05)
  lu.assertTrue(facts.seconds(runs[2], "write") > 0.2)
  lu.assertTrue(facts.seconds(runs[2], "verify") > 0)
  lu.assertNil(facts.seconds(runs[1], "write"))
  lu.assertNil(facts.seconds(runs[7]))
  local total = 0
  for _, r in ipairs(runs) do total = total + (facts.seconds(r) or 0) end
  lu.assertTrue(total <= result.seconds and total > result.seconds - 0.2)
end

function TestReport:test_a_run_that_fails()
  local board, image = self:changed()
  board:fault("unplug", "write 0x08008800")
  local result = result_of(board, function(b) flash.write(b, image, { full = true }) end)
  lu.assertEquals(fates(result), "1 x 16 rewritten, 1 x 16 rewritten, 1 x 16 doubt, "
    .. "1 x 16 erased, 1 x 64 erased, 1 x 128 erased, 6 x 128 untouched")
  local text = page_of({ result }, { status = 74 })
  lu.assertStrContains(text, "✗ Failed")
  for line in errors.text(result.err):gmatch("[^\n]+") do
    lu.assertStrContains(text, html.escape(line))
  end
  lu.assertStrContains(text, "IN DOUBT")
  lu.assertStrContains(text, "exit status 74")
end

function TestReport:test_a_run_that_fails_before_the_plan()
  local board, image = self:changed()
  board:fault("unplug", 3)
  local result = result_of(board, function(b) flash.write(b, image) end)
  lu.assertEquals(fates(result), "4 x 16 untouched, 1 x 64 untouched, 7 x 128 untouched")
  page_of({ result })
end

function TestReport:test_recipes_without_a_plan()
  -- a board each: another Board of the same device has its journal
  local erased = result_of(self:new("f407"), function(b) b:erase_page(BASE + 0x4000) end)
  lu.assertEquals(fates(erased), "1 x 16 untouched, 1 x 16 erased, 2 x 16 untouched, "
    .. "1 x 64 untouched, 7 x 128 untouched")
  local verified = result_of(self:new("f407"), function(b)
    flash.verify(b, raw(BASE, ("\255"):rep(0x5000)))
  end)
  lu.assertStrContains(fates(verified), "1 x 16 verified, 1 x 16 verified, 2 x 16 untouched")
  local nothing = result_of(self:new("f407"), function() return "said <this>" end)
  lu.assertEquals(facts.memories(nothing), {})
  lu.assertStrContains(page_of({ nothing }), "said &lt;this&gt;")
end

function TestReport:test_a_mass_erase()
  local board, image = self:changed("f407,times=zero")
  local result = result_of(board, function(b) flash.write(b, image, { erase_all = true }) end)
  lu.assertStrContains(fates(result), "1 x 128 rewritten, 6 x 128 erased")
  lu.assertStrContains(page_of({ result }), "12 sectors, by a mass erase of")
end

function TestReport:test_a_dry_run_says_would()
  dfu.defaults.dry = true
  local board, image = self:changed()
  local result = result_of(board, function(b) flash.write(b, image) end)
  local text = page_of({ result }, { dry = true })
  lu.assertStrContains(text, "Dry run: nothing was changed")
  lu.assertStrContains(text, "would be erased, written")
  lu.assertNil(text:find("Passed"))
end

function TestReport:test_what_was_not_verified_does_not_just_pass()
  local board, image = self:changed()
  local result = result_of(board, function(b) flash.write(b, image, { no_verify = true }) end)
  local text = page_of({ result })
  lu.assertStrContains(text, "Passed, NOT VERIFIED")
  lu.assertNil(text:find("✓ Passed"))
end

function TestReport:test_plain_dfu()
  local board = self:new("dfu11")
  local result = result_of(board, function() end)
  lu.assertEquals(result.outcome, "ERROR") -- it runs its program
  page_of({ result })
  result = run.on_board({ table = { mode = "runtime", run = function(b)
    b:detach()
    flash.write(b, raw(0, "plain"))
  end } }, dfu.at(board.path), {}, nil)
  lu.assertEquals(result.outcome, "PASS")
  lu.assertStrContains(page_of({ result }), "NOT VERIFIED: plain DFU")
end

function TestReport:test_pages_in_a_row_are_one_row_and_each_by_itself()
  local board = self:new("g474,times=zero,usb=none")
  local image = raw(BASE, ("moonflash"):rep(20000))
  local text = page_of({ result_of(board, function(b) flash.write(b, image) end) })
  lu.assertStrContains(text, "88 × 2 KB")
  lu.assertStrContains(text, "Each sector by itself")
  lu.assertStrContains(text, "0x08002800..0x08002FFF")
end

-- What failed at the end is in the page, beside what failed before; and no step is blamed for it.
function TestReport:test_what_failed_at_the_end()
  local function off() error("relay <stuck>", 0) end
  local both = page_of { result_of(self:new("f407"), function()
    task.at_end(off)
    error("broken", 0)
  end) }
  lu.assertStrContains(both, "broken")
  lu.assertStrContains(both, "at the end: relay &lt;stuck&gt;")
  local only = result_of(self:new("f407"), function(board)
    board:step("measure")
    task.at_end(off)
  end)
  lu.assertNil(only.step)
  lu.assertStrContains(page_of { only }, "at the end: relay &lt;stuck&gt;")
end

function TestReport:test_a_hostile_layout_is_never_counted_out()
  local board, image = self:changed()
  local result = result_of(board, function(b) flash.write(b, image) end)
  local segments = dfu.fields(result.board).alts[1].layout.segments
  segments[3].size, segments[3].count = 1, 0xF0000000
  table.insert(result.ranges, { state = "erased", first = BASE + 0x40000, last = 0xEFFFFFFF })
  local text = page_of({ result })
  lu.assertTrue(#text < 40000)
end

function TestReport:test_sixteen_boards()
  local results = {}
  for i = 1, 16 do
    local board, image = self:changed("f407,times=zero,usb=none,serial=N" .. i)
    if i == 3 then board:fault("unplug", 40) end
    results[i] = result_of(board, function(b) flash.write(b, image) end)
  end
  local text = page_of(results)
  lu.assertStrContains(text, "1 of 16 boards failed")
  for i = 1, 16 do
    lu.assertStrContains(text, ('href="#board-%d"'):format(i))
    lu.assertStrContains(text, ('id="board-%d"'):format(i))
  end
end

-- ---- steps, measurements, slots ----

-- The text of a page's table that has this head, a line a row and "|" between cells; nil without.
local function table_of(text, head)
  for markup in text:gmatch("<table>(.-)</table>") do
    if markup:find(('scope="col">%s</th>'):format(head), 1, true) then
      local lines = {}
      for row in markup:gmatch("<tr[^>]*>(.-)</tr>") do
        local cells = {}
        for cell in row:gmatch("<t[hd][^>]*>(.-)</t[hd]>") do
          cells[#cells + 1] = cell:gsub("<[^>]*>", "")
        end
        lines[#lines + 1] = table.concat(cells, "|")
      end
      return table.concat(lines, "\n")
    end
  end
end

function TestReport:test_steps_and_measurements()
  local board = self:new("f407")
  local result = result_of(board, function(b)
    b:note("operator", "Ann")
    b:step("scan")
    b:note("barcode", "A17")
    task.sleep(1.5)
    b:step("measure", 10)
    task.sleep(0.25)
    b:note("supply", 3.3, { min = 3.2, max = 3.4, unit = "V" })
    b:note("current", 0.1234567, { max = 0.2, unit = "A" })
    b:note("ripple", 5, { min = 1 })
    b:note("fused", true)
  end)
  local text = page_of({ result })
  lu.assertEquals(table_of(text, "Step"), "Step|Time|Allowed\nscan|1.5 s|\n"
    .. "measure|0.25 s|at most 10 s")
  lu.assertEquals(table_of(text, "Measurement"), "Measurement|Value|Limits|In step\n"
    .. "operator|Ann||\nbarcode|A17||scan\n"
    .. "supply|3.3 V|from 3.2 V to 3.4 V|measure\ncurrent|0.123457 A|at most 0.2 A|measure\n"
    .. "ripple|5|at least 1|measure\nfused|true||measure")
  lu.assertNil(text:find("✗", 1, true))
  -- nothing was done to its flash, and so nothing is said of that
  lu.assertStrContains(text, "✓ Passed")
  for _, words in ipairs { "<svg class=\"memory\"", "Erased", "Written", "Verified" } do
    lu.assertNil(text:find(words, 1, true), words)
  end
end

function TestReport:test_a_measurement_outside_and_the_step_that_failed()
  local board = self:new("f407")
  local result = result_of(board, function(b)
    b:step("flash")
    b:step("measure")
    b:note("supply", 3.3, { min = 3.2, max = 3.4, unit = "V" })
    b:note("core", 2, { min = 1.1, max = 1.3, unit = "V" })
  end)
  local text = page_of({ result })
  lu.assertEquals(table_of(text, "Step"), "Step|Time\nflash|0.00 s\nmeasure ✗ Failed|0.00 s")
  local outside = table_of(text, "Measurement"):match("\ncore|.-$")
  lu.assertEquals(outside, "\ncore|2 V ✗ outside|from 1.1 V to 1.3 V|measure")
  lu.assertStrContains(table_of(text, "Measurement"), "supply|3.3 V|")
end

function TestReport:test_a_step_that_took_too_long_or_was_an_error()
  local board = self:new("f407")
  local late = result_of(board, function(b)
    b:step("wait", 2)
    task.sleep(60)
  end)
  lu.assertStrContains(table_of(page_of({ late }), "Step"),
    "wait ✗ Timed out|2.0 s|at most 2 s")
  local wrong = result_of(board, function(b)
    b:step("wait")
    error("oh")
  end)
  lu.assertStrContains(table_of(page_of({ wrong }), "Step"), "wait ✗ Error|")
end

function TestReport:test_without_steps_and_measurements_there_is_no_word_of_them()
  local text = page_of({ result_of(self:new("f407"), function() end) })
  lu.assertNil(text:find("Step", 1, true))
  lu.assertNil(text:find("Measurement", 1, true))
end

function TestReport:test_slots_stand_beside_their_paths()
  local name, boards = os.tmpname(), {}
  for i = 1, 2 do boards[i] = self:new("f407,times=zero,usb=none") end
  local file = assert(io.open(name, "w"))
  file:write(("return { left = %q }"):format(boards[1].path))
  file:close()
  slots.use(name)
  local results = {}
  for i, board in ipairs(boards) do
    results[i] = result_of(board, function(b)
      b:step("one")
      b:step("two")
      if i == 1 then errors.raise { code = "fail", message = "no" } end
    end)
  end
  slots.use(nil)
  os.remove(name)
  local text = page_of(results)
  lu.assertStrContains(text, ('<p class="quiet"><strong>left</strong> <code>%s</code></p>'):format(
    boards[1].path))
  lu.assertStrContains(text, "<dt>Place</dt><dd><strong>left</strong> <code>")
  lu.assertStrContains(text, ("<dt>Place</dt><dd><code>%s</code>"):format(boards[2].path))
  -- the list of boards shows each failure with its slot, and no flash where none was touched
  local list = table_of(text, "Result")
  lu.assertStrContains(list, ("✗ Failed in two|left %s|"):format(boards[1].path))
  lu.assertStrContains(list, ("✓ Passed|%s|"):format(boards[2].path))
  lu.assertNil(list:find("Written", 1, true))
end

function TestReport:test_a_place_to_which_no_board_came()
  local board = self:new("f407")
  board:unplug()
  local result = run.on_board({ table = { start = "operator", run = function(b)
    b:step("power")
    b:open(0.5)
  end } }, dfu.at(board.path), {}, nil)
  local text = page_of({ result }, { status = 69 })
  lu.assertStrContains(text, "No board was opened")
  lu.assertStrContains(table_of(text, "Step"), "power ✗ Error|")
end

function TestReport:test_everything_is_escaped()
  local board, image = self:changed()
  image.name = HOSTILE
  image.files = { { name = HOSTILE, format = HOSTILE, size = 3, sha256 = HOSTILE } }
  local result = result_of(board, function(b)
    b:note(HOSTILE, HOSTILE)
    b:step(HOSTILE)
    b:note(HOSTILE, 1, { unit = HOSTILE, min = 0 })
    flash.write(b, image)
    return HOSTILE
  end)
  local fields = dfu.fields(result.board)
  rawset(fields, "slot", HOSTILE)
  local info = fields.info
  info.product, info.serial, info.manufacturer = HOSTILE, HOSTILE, HOSTILE
  for _, alt in ipairs(fields.alts) do alt.name, alt.layout.name = HOSTILE, HOSTILE end
  fields.stats.unverified = HOSTILE
  local failed = result_of(board, function(b)
    b:step(HOSTILE)
    b:note(HOSTILE, 2, { unit = HOSTILE, max = 1 })
  end)
  local wrong = result_of(board, function() error(HOSTILE, 0) end)
  local text = page_of({ result, failed, wrong }, { command = HOSTILE, name = HOSTILE,
    note = HOSTILE, summary = HOSTILE, text = HOSTILE, opt = { file = HOSTILE },
    args = { { name = HOSTILE, field = "file", type = "file" } } })
  lu.assertNil(text:find("<script", 1, true))
  lu.assertNil(text:find("[\27\xFF]"))
  lu.assertNil(text:find("\u{202E}", 1, true))
  lu.assertStrContains(text, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;amp;")
  for _, head in ipairs { "Step", "Measurement" } do
    lu.assertStrContains(table_of(text, head), html.escape(HOSTILE))
  end
  lu.assertStrContains(text, "<dt>Place</dt><dd><strong>" .. html.escape(HOSTILE))
  page_of({}, { err = HOSTILE, outcome = "ERROR" })
end

function TestReport.test_nothing_is_fetched_and_nothing_is_run()
  local text = page_of {}
  lu.assertStrContains(text, "default-src 'none'")
  lu.assertNil(text:find("http:", 1, true))
  lu.assertNil(text:find("https:", 1, true))
  lu.assertNil(text:find("url%([^#]"))
  lu.assertNil(text:find("@import", 1, true))
end

-- ---- the file ----

local function contents(name)
  local file = io.open(name, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

function TestReport.test_an_older_report_is_replaced_and_nothing_else()
  local name = os.tmpname()
  report.check(name) -- empty, as mktemp makes it
  local about = { results = {}, command = "x", name = "x", seconds = 0, status = 0, began = 0 }
  report.write(name, about)
  report.check(name)
  report.write(name, about)
  lu.assertStrContains(contents(name), "Passed")
  local file = assert(io.open(name, "wb"))
  file:write("firmware")
  file:close()
  local err = support.assert_raises("file.write", report.check, name)
  lu.assertStrContains(err.message, "exists and is not a report")
  lu.assertEquals(contents(name), "firmware")
  os.remove(name)
  for _, bad in ipairs { "/dev/null", "/tmp", "/nowhere/report.html", "" } do
    support.assert_raises("file.write", report.check, bad)
  end
end

function TestReport.test_that_it_can_not_be_written_fails_a_run_that_passed()
  local options = { report = "/nowhere/report.html", write_report = report.write, command = "x" }
  local ok, err = pcall(run.reported, run.beginning("x", options), options, function() return 0 end)
  lu.assertFalse(ok)
  lu.assertEquals(err.code, "file.write")
end

function TestReport.test_a_failure_of_the_whole_run_is_in_it()
  local name = os.tmpname()
  local options = { report = name, write_report = report.write,
                    command = "moonflash flash nix.bin" }
  local failure = errors.new { code = "file", message = "nix.bin: gone", hint = "Look for it." }
  local ok, err = pcall(run.reported, run.beginning("flash", options), options, error, failure)
  lu.assertFalse(ok)
  lu.assertEquals(err, failure)
  local text = contents(name)
  for _, words in ipairs { "✗ Error", "nix.bin: gone", "Look for it.", "exit status 66" } do
    lu.assertStrContains(text, words)
  end
  os.remove(name)
end

return { TestReport = TestReport }
