-- SPDX-License-Identifier: MIT
-- Holds docs/api.md and docs/internals.md to the code: a heading for every function that C or the
-- library registers, and for no other; a line of the index for every heading; every error code with
-- its exit status. Every `moonflash X` that a message names must be a recipe.
local errors = require "moonflash.errors"
local lu = require "luaunit"
local recipe = require "moonflash.run.recipe"
local sys = require "sys"

local FILE = ... or debug.getinfo(1, "S").source:sub(2)
local TREE = (FILE:match("^(.*)/[^/]*$") or ".") .. "/../.."

local function read(name)
  local file <close> = assert(io.open(TREE .. "/" .. name, "rb"))
  return file:read("a")
end

-- The files of a folder, and of those in it, whose names match: { path = text }.
local function files(folder, pattern, into)
  into = into or {}
  for _, name in ipairs(sys.readdir(TREE .. "/" .. folder)) do
    local path = folder .. "/" .. name
    local kind = name:sub(1, 1) ~= "." and sys.stat(TREE .. "/" .. path).type
    if kind == "directory" then
      files(path, pattern, into)
    elseif kind == "file" and name:find(pattern) then
      into[path] = read(path)
    end
  end
  return into
end

local C = files("src", "%.c$")
local LUA = files("scripts", "%.lua$", files("lua", "%.lua$"))
local API, INTERNALS = read("docs/api.md"), read("docs/internals.md")

local function sorted(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

-- What is in `wanted`, and not in `there`.
local function lacking(wanted, there)
  local list = {}
  for _, name in ipairs(sorted(wanted)) do
    if not there[name] then list[#list + 1] = name end
  end
  return list
end

-- The text of a section: from its heading to the next of the same rank.
local function section(title)
  local text = ("\n" .. API .. "\n## "):match("\n## " .. title .. "\n(.-)\n## ")
  return assert(text, "docs/api.md has no section " .. title)
end

-- ---- what there is ----

-- The prefix that the name of an array of C functions stands for: board_meth is "board:".
local function prefix_of(array)
  local what, kind = array:match("^(.*)_(%l+)$")
  local join = ({ lib = ".", functions = ".", meth = ":" })[kind]
  return assert(join and what .. join, array .. " is none of x_lib, x_functions, x_meth, x_meta")
end

local function registered_by_c()
  local names = {}
  for _, text in pairs(C) do
    for array, rows in text:gmatch("luaL_Reg%s+([%w_]+)%[%]%s*=%s*(%b{})") do
      if not array:find("_meta$") then
        for name in rows:gmatch('{%s*"([^"]+)"') do
          if name:sub(1, 2) ~= "__" then names[prefix_of(array) .. name] = true end
        end
      end
    end
  end
  return names
end

local function add_functions(names, prefix, module)
  for name, value in pairs(module) do
    if type(value) == "function" then names[prefix .. name] = true end
  end
end

local function there_is()
  local names = registered_by_c()
  local methods = LUA["lua/moonflash/dfu.lua"]:match("\nlocal methods = (%b{})")
  for name in methods:gmatch("\n  ([%w_]+) =") do
    names["board:" .. name] = true
  end
  for name in read("lua/moonflash/sys/stream.lua"):gmatch("\nfunction Stream:([%w_]+)") do
    names["stream:" .. name] = true
  end
  for name in read("lua/moonflash/station/units.lua"):gmatch("\nfunction Handle:([%w_]+)") do
    names["pool:" .. name] = true
  end
  add_functions(names, "units.", require("moonflash.station.units"))
  for _, module in ipairs { "dfu", "task", "sim", "sys" } do
    add_functions(names, module .. ".", require(module))
  end
  for _, module in ipairs { "flash", "image", "trace", "memory", "optbytes", "errors" } do
    add_functions(names, module .. ".", require("moonflash." .. module))
  end
  local image = require("moonflash.image").new { segments = { { address = 0, bytes = "x" } } }
  add_functions(names, "image:", getmetatable(image).__index)
  local _, environment = recipe.compile { source = "", chunk = "=docs" }
  add_functions(names, "", environment)
  return names
end

-- What Lua has, and lbase.c puts something else in its place; and what has no array.
local function may_be_there()
  local names = { print = true, ["link.extend"] = true }
  for name in C["src/lua/lbase.c"]:gmatch('lua_setglobal%(L, "(%l+)"') do names[name] = true end
  for library in C["src/lua/lbase.c"]:gmatch('lua_getglobal%(L, "(%l+)"') do
    add_functions(names, library .. ".", _G[library])
  end
  add_functions(names, "", require("moonflash.prompt").commands)
  return names
end

local function headings()
  local names, count = {}, 0
  for name in (API .. INTERNALS):gmatch("\n### ([%w_.:]+)%(") do
    lu.assertNil(names[name], "two headings say " .. name)
    names[name] = true
    count = count + 1
  end
  lu.assertTrue(count > 80, "the pattern for headings finds too few")
  return names
end

-- The headings of docs/api.md in their order, without those of code.
local function outline()
  local list, is_code = {}, false
  for line in API:gmatch("[^\n]+") do
    if line:find("^```") then is_code = not is_code end
    if not is_code and line:find("^##") then list[#list + 1] = line end
  end
  return list
end

-- The index of docs/api.md as the headings that it names: a chapter is "**[Board](#board)** words",
-- a section below it is "- `board:close()` words" or "- [Faults](#faults) words".
local function index()
  local list = {}
  for line in API:match("^(.-)\n## "):gmatch("[^\n]+") do
    local chapter = line:match("^%*%*%[(.-)%]%(#[%w-]+%)%*%* %S")
    local name = line:match("^%- `([^`]+)` %S") or line:match("^%- %[(.-)%]%(#[%w-]+%) %S")
    if chapter or name then
      list[#list + 1] = chapter and "## " .. chapter or "### " .. name
      lu.assertTrue(utf8.len(line) <= 100, line)
    else
      lu.assertNil(line:find("^[-*]"), line)
    end
  end
  return list
end

-- ---- strings in source text ----

-- The string literals of C or Lua, one after the other; comments are left out.
local function literals(text, is_lua)
  local list, at = {}, 1
  while at <= #text do
    local long = is_lua and text:match("^%[(=*)%[", at)
    local quote = text:match("^[\"']", at)
    local stop
    if is_lua and text:find("^%-%-", at) or text:find("^//", at) and not is_lua then
      local level = is_lua and text:match("^%-%-%[(=*)%[", at)
      stop = level and select(2, text:find("]" .. level .. "]", at, true))
        or (text:find("\n", at, true) or #text)
    elseif not is_lua and text:find("^/%*", at) then
      stop = select(2, text:find("*/", at, true))
    elseif long then
      stop = select(2, text:find("]" .. long .. "]", at, true))
      list[#list + 1] = text:sub(at, stop)
    elseif quote then
      stop = at + 1
      while text:sub(stop, stop) ~= quote do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      list[#list + 1] = text:sub(at + 1, stop - 1):gsub("\\n", "\n")
    end
    at = (stop or at) + 1
  end
  return list
end

local function all_literals(each)
  for path, text in pairs(C) do
    for _, literal in ipairs(literals(text, false)) do each(literal, path) end
  end
  for path, text in pairs(LUA) do
    for _, literal in ipairs(literals(text, true)) do each(literal, path) end
  end
end

-- ---- the tests ----

local TestDocs = {}

function TestDocs.test_every_function_has_a_heading()
  lu.assertEquals(lacking(there_is(), headings()), {})
end

function TestDocs.test_every_heading_names_something()
  local known = there_is()
  for name in pairs(may_be_there()) do known[name] = true end
  lu.assertEquals(lacking(headings(), known), {})
end

function TestDocs.test_the_index_has_the_headings_in_their_order()
  lu.assertEquals(index(), outline())
end

function TestDocs.test_links_lead_somewhere()
  local anchors, missing = {}, {}
  for title in API:gmatch("\n#+ ([^\n]+)") do
    anchors[title:lower():gsub("[^%w _-]", ""):gsub(" ", "-")] = true
  end
  for anchor in API:gmatch("%]%(#([^)]*)%)") do
    if not anchors[anchor] then missing[#missing + 1] = anchor end
  end
  lu.assertEquals(missing, {})
end

-- Every dfu.err... is one row.
local function family(code)
  return code:find("^dfu%.err%u") and "dfu.errXXX" or code
end

local function documented_codes()
  local codes = {}
  for code, exit, outcome in section("Errors"):gmatch("\n| `([%w.-]+)` | (%d+) | (%u+) |") do
    codes[code] = { tonumber(exit), outcome }
  end
  return codes
end

-- A code that catch did not know would be refused as misspelt.
function TestDocs.test_catch_knows_the_codes()
  for code in pairs(documented_codes()) do
    if code ~= "dfu.errXXX" then lu.assertEquals(errors.catch(code, tostring, 1), "1") end
  end
end

function TestDocs.test_codes_with_their_exit_status_and_outcome()
  local documented = documented_codes()
  for code, row in pairs(errors.codes) do
    lu.assertEquals(documented[code], row, code)
  end
  for code, row in pairs(documented) do
    local err = errors.new { code = code, message = "" }
    lu.assertEquals({ errors.exit_status(err), errors.outcome(err) }, row, code)
  end
end

function TestDocs.test_every_code_that_is_raised()
  local raised = {}
  for _, text in pairs(LUA) do
    for code in text:gmatch('code = "([%w.-]+)"') do raised[family(code)] = true end
  end
  for _, text in pairs(C) do
    for code in text:gmatch('error_push%([^,]+, "([%w.-]+)"') do raised[code] = true end
  end
  for _, literal in ipairs(literals(LUA["lua/moonflash/board/failure.lua"], true)) do
    if literal:find("^%l+%.[%a-]+$") and not literal:find("^moonflash%.") then
      raised[family(literal)] = true
    end
  end
  raised.exit = nil -- has no status of its own
  lu.assertEquals(lacking(raised, documented_codes()), {})
end

function TestDocs.test_environment_variables()
  local used, documented = {}, {}
  for _, text in pairs(LUA) do
    for name in text:gmatch('os%.getenv%("([%w_]+)"%)') do used[name] = true end
  end
  for name in section("Environment variables"):gmatch("`([%u_]+)`") do documented[name] = true end
  lu.assertEquals(lacking(used, documented), {})
end

-- The strings of a list in source text: local NAME = { "a", "b" }
local function list_in(path, name)
  local names = {}
  for item in LUA[path]:match("local " .. name .. " = (%b{})"):gmatch('"([%w_]+)"') do
    names[item] = true
  end
  return names
end

local function in_code_style(text)
  local names = {}
  for name in text:gmatch("`([%w_]+)[`(]") do names[name] = true end
  return names
end

function TestDocs.test_fields_of_recipes_and_boards()
  local fields = list_in("lua/moonflash/run/recipe.lua", "FIELDS")
  lu.assertEquals(lacking(fields, in_code_style(section("Recipes"))), {})
  local known, board = headings(), in_code_style(section("Board"))
  for _, name in ipairs(require("dfu").names) do
    lu.assertTrue(known["board:" .. name] or board[name], name)
  end
end

function TestDocs.test_simulated_boards()
  local text = section("Simulated boards")
  local documented = in_code_style(text)
  for _, kind in ipairs(require("sim").kinds()) do lu.assertTrue(documented[kind], kind) end
  for fault in pairs(list_in("lua/moonflash/sim/init.lua", "FAULTS")) do
    lu.assertTrue(documented[fault], fault)
  end
  local parameters = LUA["lua/moonflash/sim/init.lua"]:match("\nlocal parameters = (%b{})")
  for line in parameters:gmatch("\n  (%l[^\n]*)") do
    for name in (", " .. line):gmatch(", (%l+) = ") do lu.assertTrue(documented[name], name) end
  end
end

function TestDocs.test_every_recipe_that_a_message_names()
  local known = { help = true }
  for path in pairs(LUA) do
    known[path:match("^scripts/([%w_-]+)%.lua$") or ""] = true
  end
  local found = 0
  all_literals(function(literal, path)
    literal = literal:gsub("which moonflash this", "") -- prose
    for _, pattern in ipairs { "moonflash (%l[%w_-]*)", "moonflash %-d %S+ (%l[%w_-]*)" } do
      for name in literal:gmatch(pattern) do
        found = found + 1
        lu.assertTrue(known[name], path .. " names 'moonflash " .. name .. "', which is no recipe")
      end
    end
  end)
  lu.assertTrue(found >= 10, "the patterns find too few")
end

return { TestDocs = TestDocs }
