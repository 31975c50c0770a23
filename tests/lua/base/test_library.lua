-- SPDX-License-Identifier: MIT
-- The small parts of the library: numbers as text, guesses, the journal, arguments, files.
local lu = require "luaunit"
local args = require "moonflash.run.args"
local files = require "moonflash.base.files"
local journal = require "moonflash.board.journal"
local suggest = require "moonflash.base.suggest"
local sys = require "sys"
local text = require "moonflash.base.text"

local TestText, TestSuggest, TestJournal, TestArgs, TestFiles = {}, {}, {}, {}, {}

function TestText.test_sizes()
  lu.assertEquals(text.size(0), "0 B")
  lu.assertEquals(text.size(1023), "1023 B")
  lu.assertEquals(text.size(1024), "1 KB")
  lu.assertEquals(text.size(59700), "58.3 KB")
  lu.assertEquals(text.size(452 * 1024 + 100), "452 KB")
  lu.assertEquals(text.size(1 << 20), "1 MB")
end

function TestText.test_numbers()
  lu.assertEquals(text.parse_integer("0x08000000", 0xFFFFFFFF), 0x08000000)
  lu.assertEquals(text.parse_integer("0XfF", 0xFFFFFFFF), 255)
  lu.assertEquals(text.parse_integer("0000000000000000000000000000000012", 100), 12)
  lu.assertEquals(text.parse_integer("4294967295", 0xFFFFFFFF), 0xFFFFFFFF)
  for _, s in ipairs { "4294967296", "0x100000000", "99999999999999999999999",
                       "0x" .. ("F"):rep(99), "", "x", "0x", "1.5", "-1", "+1", " 1", "1 ",
                       "1e3", "0b1" } do
    local n, why = text.parse_integer(s, 0xFFFFFFFF)
    lu.assertNil(n, s)
    lu.assertIsString(why)
  end
end

function TestText.test_bytes_and_counts()
  lu.assertEquals(text.bytes("\0\255A"), "00 ff 41")
  lu.assertEquals(text.count(1, "sector"), "1 sector")
  lu.assertEquals(text.count(4, "sector"), "4 sectors")
  lu.assertEquals(text.range(0, 0xFFFFFFFF), "0x00000000..0xFFFFFFFF")
end

-- What a terminal obeys, or does not show.
function TestText.test_nothing_controls_a_terminal()
  for _, code in ipairs { 0x00, 0x07, 0x0D, 0x1B, 0x1F, 0x7F, 0x80, 0x9B, 0x9F, 0x061C, 0x200B,
                          0x200F, 0x2028, 0x202E, 0x2066, 0x2069, 0xFEFF, 0xFFFE, 0xFFFF,
                          0xE0001 } do
    lu.assertEquals(text.plain("a" .. utf8.char(code) .. "b"), "a?b", ("%X"):format(code))
  end
  for _, s in ipairs { "Ger\u{E4}t \u{B5} \u{1F525}", "\u{6E2C}\u{8A66}\n\tend",
                       "\u{2010}\u{2030}\u{FFFD}" } do
    lu.assertEquals(text.plain(s), s)
  end
  lu.assertEquals(text.plain("\xFFa\xC3"), "?a?")
  lu.assertEquals(text.clean("a\nb\tc"), "a?b?c")
  lu.assertEquals(text.json("a\u{200B}\u{E0001}"), "a\\u200b\\udb40\\udc01")
end

function TestSuggest.test_guesses()
  local names = { "address", "leave", "flash", "erase" }
  lu.assertEquals(suggest.guess("adress", names), "address")
  lu.assertEquals(suggest.guess("laeve", names), "leave")
  lu.assertEquals(suggest.guess("FLASH", names), "flash")
  lu.assertNil(suggest.guess("something", names))
  lu.assertNil(suggest.guess(("x"):rep(1000), names))
  lu.assertEquals(suggest.hint("flahs", names), " (did you mean 'flash'?)")
  lu.assertEquals(suggest.hint(42, names), "")
end

function TestJournal.test_ranges_are_disjoint_sorted_and_merged()
  local j = journal.new()
  lu.assertEquals(j:text(), "The flash is untouched.")
  j:mark("erased", 0x4000, 0x7FFF)
  j:mark("erased", 0x0000, 0x3FFF)
  lu.assertEquals(j:claims(), { { state = "erased", first = 0, last = 0x7FFF } })
  j:mark("written", 0x1000, 0x1FFF)
  j:mark("doubt", 0x2000, 0x27FF)
  lu.assertEquals(j:claims(), {
    { state = "erased", first = 0, last = 0xFFF },
    { state = "written", first = 0x1000, last = 0x1FFF },
    { state = "doubt", first = 0x2000, last = 0x27FF },
    { state = "erased", first = 0x2800, last = 0x7FFF },
  })
  j:mark("verified", 0, 0xFFFF)
  lu.assertEquals(#j:claims(), 1)
end

-- Against a table with one entry a byte.
function TestJournal.test_against_a_simple_model()
  math.randomseed(7)
  local j, model = journal.new(), {}
  local states = { "erased", "written", "verified", "doubt" }
  for _ = 1, 500 do
    local first = math.random(0, 255)
    local last = math.random(first, 255)
    local state = states[math.random(#states)]
    j:mark(state, first, last)
    for i = first, last do model[i] = state end
  end
  local seen = {}
  for _, r in ipairs(j:claims()) do
    for i = r.first, r.last do
      lu.assertNil(seen[i])
      seen[i] = r.state
    end
  end
  lu.assertEquals(seen, model)
end

function TestArgs.test_lists_are_checked()
  local function bad(list, what)
    lu.assertErrorMsgContains(what, args.check, list, { ["--device"] = true })
  end
  bad({ {} }, "has no name")
  bad({ "file" }, "has no name")
  bad({ { "file", "x", defualt = 1 } }, "did you mean 'default'?")
  bad({ { "file", "x", type = "adress" } }, "did you mean 'address'?")
  bad({ { "--device", "x" } }, "moonflash's own")
  bad({ { "file", "x" }, { "--file", "y" } }, "declared twice")
end

function TestArgs.test_types_follow_from_defaults()
  local list = args.check({ { "file", "" }, { "--leave", "", default = false },
    { "--tries", "", default = 3 }, { "--rest", "", default = 0.5 },
    { "--name", "", default = "x" },
    { "--address", "", type = "address" } }, {})
  local kinds = {}
  for i, arg in ipairs(list) do kinds[i] = arg.type end
  lu.assertEquals(kinds, { "string", "flag", "integer", "seconds", "string", "address" })
end

function TestArgs.test_parses_and_completes()
  local list = args.check({ { "file", "" }, { "--dry-test", "", default = false },
    { "--tries", "", default = 3 }, { "--address", "", type = "address" } }, {})
  local parser = args.parser("it", "", list, {})
  local words = { "x.bin", "--address", "0x10", "--dry-test" }
  local opt = args.complete(args.parse(parser, words, "it"), list)
  lu.assertEquals(opt.file, "x.bin")
  lu.assertEquals(opt.address, 16)
  lu.assertTrue(opt.dry_test)
  lu.assertEquals(opt.tries, 3)
  lu.assertErrorMsgContains("did you mean 'tries'?", function() return opt.tires end)
end

function TestArgs.test_given_by_another_recipe()
  local list = args.check({ { "file", "" }, { "--tries", "", default = 3 } }, {})
  lu.assertEquals(args.given({ file = "x" }, list, "it").tries, 3)
  lu.assertErrorMsgContains("needs 'file'", args.given, {}, list, "it")
  lu.assertErrorMsgContains("did you mean 'file'?", args.given, { flie = 1 }, list, "it")
end

function TestFiles.test_write_all_or_nothing()
  local name = os.tmpname()
  files.write(name, "first")
  files.write(name, "second")
  lu.assertEquals(files.read(name, 100), "second")
  os.remove(name)
  lu.assertEquals(select(2, pcall(files.write, "/no/such/folder/x", "x")).code, "file.write")
  local ok, err = pcall(files.write, "/dev/full/x", "x")
  lu.assertFalse(ok)
  lu.assertEquals(err.code, "file.write")
end

function TestFiles.test_check_writable()
  local name = os.tmpname()
  lu.assertEquals(select(2, pcall(files.check_writable, name)).code, "file.write")
  os.remove(name)
  files.check_writable(name)
  lu.assertNil(io.open(name))
end

function TestFiles.test_a_file_that_is_called_like_its_beginning()
  local name = os.tmpname()
  os.remove(name)
  files.write(name .. ".part", "the user's")
  files.check_writable(name)
  files.write(name, "ours")
  lu.assertEquals(files.read(name .. ".part", 100), "the user's")
  os.remove(name .. ".part")
  os.remove(name)
end

function TestFiles.test_what_appears_meanwhile_is_not_replaced()
  local name, elsewhere = os.tmpname(), os.tmpname()
  os.remove(name)
  files.check_writable(name)
  assert(os.execute(("ln -s %s %s"):format(elsewhere, name)))
  local err = select(2, pcall(files.write, name, "ours"))
  lu.assertEquals(err.code, "file.write")
  lu.assertStrContains(err.message, "File exists")
  lu.assertEquals(select(2, pcall(files.read, elsewhere, 100)).message, elsewhere .. " is empty")
  lu.assertNil(sys.create(name)) -- nor is a link followed
  local left = io.popen(("ls %s.*"):format(name) .. " 2>&1")
  lu.assertStrContains(left:read("a"), "No such file")
  left:close()
  os.remove(name)
  os.remove(elsewhere)
end

function TestFiles.test_folders()
  local folder = os.tmpname()
  lu.assertEquals({ sys.readdir(folder) }, { nil, "Not a directory" })
  lu.assertEquals({ sys.mkdir(folder .. "/within") }, { nil, "Not a directory" })
  os.remove(folder)
  lu.assertEquals({ sys.readdir(folder) }, { nil, "No such file or directory" })
  lu.assertTrue(sys.mkdir(folder .. "/within"))
  lu.assertTrue(sys.mkdir(folder .. "/within"))
  lu.assertEquals(sys.readdir(folder), { "within" })
  lu.assertEquals(sys.readdir(folder .. "/within"), {})
  os.remove(folder .. "/within")
  os.remove(folder)
end

function TestFiles.test_too_large()
  local name = os.tmpname()
  files.write(name, ("x"):rep(11))
  lu.assertEquals(select(2, pcall(files.read, name, 10)).code, "image")
  lu.assertEquals(#files.read(name, 11), 11)
  lu.assertEquals(select(2, pcall(files.read, "/dev/zero", 1000000)).code, "image")
  os.remove(name)
end

return { TestText = TestText, TestSuggest = TestSuggest, TestJournal = TestJournal,
         TestArgs = TestArgs, TestFiles = TestFiles }
