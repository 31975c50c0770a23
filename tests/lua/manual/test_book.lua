-- SPDX-License-Identifier: MIT
-- docs/ as one book: an index, one way through, links that lead somewhere, and figures of README.md
-- that agree with the data.
local families = require "moonflash.board.families"
local lu = require "luaunit"
local sim = require "sim"
local sys = require "sys"

local TestBook = {}

local function read(name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read("a")
end

-- Without its blocks of code.
local function prose(text)
  return ("\n" .. text):gsub("\n```.-\n```", "\n")
end

local function chapters()
  local names = {}
  for _, name in ipairs(sys.readdir("docs")) do
    if name:find("%.md$") then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- The anchors of a page, as GitHub makes them of its headings.
local function anchors(text)
  local set = {}
  for title in prose(text):gmatch("\n#+ ([^\n]+)") do
    local words = title:gsub("%[([^%]]*)%]%([^)]*%)", "%1")
    set[words:lower():gsub("[^%w _-]", ""):gsub(" ", "-")] = true
  end
  return set
end

-- Every link and picture of a page: its target must exist, and the heading in it.
local function check_links(page, folder, dead)
  local text = read(page)
  local targets = {}
  for target in prose(text):gmatch("%]%(([^)%s]+)%)") do targets[#targets + 1] = target end
  for _, target in ipairs(targets) do
    local file, anchor = target:match("^([^#]*)#?(.*)$")
    local path = file == "" and page or folder .. file
    if not file:find("^https?:") then
      local is_there = sys.stat(path) ~= nil
      if not is_there or anchor ~= "" and not anchors(read(path))[anchor] then
        dead[#dead + 1] = page .. ": " .. target
      end
    end
  end
  return #targets
end

function TestBook.test_links_are_alive()
  local dead, count = {}, 0
  for _, page in ipairs { "README.md", "CONTRIBUTING.md", "CHANGELOG.md" } do
    count = count + check_links(page, "", dead)
  end
  for _, name in ipairs(chapters()) do
    count = count + check_links("docs/" .. name, "docs/", dead)
  end
  lu.assertEquals(dead, {})
  lu.assertTrue(count > 50, count)
end

-- Files that texts name in code, such as `docs/api.md`, exist too.
function TestBook.test_files_that_are_named_exist()
  local missing = {}
  local pages = { "README.md", "CONTRIBUTING.md" }
  for _, name in ipairs(chapters()) do pages[#pages + 1] = "docs/" .. name end
  for _, page in ipairs(pages) do
    for name in prose(read(page)):gmatch("%f[%w]([%w_]+/[%w_./-]+%.%l+)") do
      local top = name:match("^[^/]+")
      local is_ours = top == "docs" or top == "lua" or top == "scripts" or top == "src"
        or top == "tests"
      if is_ours and not sys.stat(name) then missing[#missing + 1] = page .. ": " .. name end
    end
  end
  lu.assertEquals(missing, {})
end

function TestBook.test_the_index_has_every_chapter()
  local index, listed = read("docs/index.md"), { "index.md" }
  for name in index:gmatch("\n%- %[[^%]]*%]%(([%w-]+%.md)%)") do listed[#listed + 1] = name end
  table.sort(listed)
  lu.assertEquals(listed, chapters())
end

-- The last line of each chapter leads to the next one of the index.
function TestBook.test_one_way_through()
  local index, order = read("docs/index.md"), {}
  for title, name in index:gmatch("\n%- %[([^%]]*)%]%(([%w-]+%.md)%)") do
    order[#order + 1] = { title = title, name = name }
  end
  for i, chapter in ipairs(order) do
    local text = read("docs/" .. chapter.name)
    lu.assertEquals(text:match("^# ([^\n]*)\n"), chapter.title)
    lu.assertStrContains(text, "\n\nAfter this chapter you ")
    local next_one = order[i + 1]
    lu.assertStrContains(text, next_one and ("\nNext: [%s](%s).\n"):format(next_one.title,
      next_one.name) or "\nThis is the last chapter")
  end
end

function TestBook.test_the_figures_of_the_readme()
  local text = read("README.md"):gsub("%s+", " ")
  local strings, all = {}, families.all()
  for row in read("docs/boards.md"):gmatch("\n| [^|]+ | [^|]+ | (%l[%l ]*) | ") do
    strings[row] = (strings[row] or 0) + 1
  end
  local chips, loaders = 3, 0 -- f407, g474 and l452 are in C
  for _, file in ipairs(sys.readdir("lua/moonflash/sim/chips")) do
    chips = chips + (file:find("%.lua$") and 1 or 0)
  end
  for _, file in ipairs(sys.readdir("lua/moonflash/sim/loaders")) do
    loaders = loaders + (file:find("%.lua$") and 1 or 0)
  end
  lu.assertEquals(chips + loaders + 1, #sim.catalogue()) -- and dfu11
  lu.assertEquals(loaders, 10)
  for _, words in ipairs {
    ("Of %d families"):format(#all), ("For %d families the strings"):format(strings.seen),
    ("for %d they are inferred"):format(strings.inferred),
    ("for %d none was found"):format(strings["not found"]),
    ("%d kinds of chips are simulated"):format(chips) } do
    lu.assertStrContains(text, words)
  end
end

return { TestBook = TestBook }
