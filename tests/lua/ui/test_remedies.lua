-- SPDX-License-Identifier: MIT
-- The words of every remedy, for each reader.
local lu = require "luaunit"
local remedies = require "moonflash.ui.remedies"

local FACTS = {
  path = "1-4.2", paths = { "1-4.2", "1-4.3" }, names = { "hex", "srec" }, file = "kept.hex",
  first = 0x08000000, last = 0x08003FFF, alt = 1, elsewhere = "1-1", option = "start_last",
  changes = "BOR_LEV=2", command = "moonflash flash", guess = "Did you mean '--force'?",
  doing = "erasing", seconds = 12, name = "sim:f407#2", probe = "1-9", boot0 = true, again = true,
  optbytes = true, ports = "/dev/ttyACM0 (2341:0064, 1-4)",
  boards = { { path = "1-4.2", vid = 0x0483, pid = 0xDF11, serial = "A1", product = "STM32" } },
}
local ERROR = { code = "image.address", file = "app.bin", address = 0x08010000, kept = "kept.hex" }

-- Remedies for errors of the command line, and for what is done in a shell.
local of_shell = {
  help = true, layout = true, ["no-layout"] = true, ["other-layout"] = true, place = true,
  recipes = true, ["run-file"] = true, slots = true, udev = true,
}

local TestRemedies = {}

function TestRemedies.tearDown() remedies.for_recipe(nil) end

function TestRemedies.test_at_the_prompt()
  local _ <close> = remedies.for_prompt()
  for name, way in pairs(remedies.ways) do
    local words = way(FACTS, ERROR)
    lu.assertNotStrContains(words, "same command", false, name)
    if not of_shell[name] then
      lu.assertNil(words:match("moonflash %l+") or words:match("%-%-%l+"), name)
    end
  end
end

-- A recipe without options: what belongs to flash is not advised.
function TestRemedies.test_for_a_recipe_without_options()
  remedies.for_recipe {}
  local of_flash = { "--start-last", "--only", "--leave", "--unprotect", "--keep", "--lose" }
  for name, way in pairs(remedies.ways) do
    local words = name ~= "restore" and way(FACTS, ERROR) or "" -- runs flash
    for _, option in ipairs(of_flash) do lu.assertNotStrContains(words, option, false, name) end
  end
  lu.assertNil(remedies.hint { remedy = { "keep", "lose", "leave-out", option = "keep" } })
end

function TestRemedies.test_for_flash()
  remedies.for_recipe { { name = "--keep" }, { name = "--start-last" } }
  lu.assertEquals(remedies.hint { remedy = { "keep", "lose", "leave-out", option = "start_last" } },
    "--keep writes them back.\nLeave --start-last out.")
end

-- Scripts raise errors of their own.
function TestRemedies.test_facts_that_are_missing_or_wrong()
  for name in pairs(remedies.ways) do
    remedies.hint { remedy = { name } }
    remedies.hint { remedy = { name, path = {}, paths = 1, names = "x", first = "", seconds = {} } }
  end
  lu.assertNil(remedies.hint { remedy = "replug" })
  lu.assertNil(remedies.hint { differing = "many", remedy = {} })
  lu.assertNil(remedies.hint { remedy = { "no such remedy" } })
end

return { TestRemedies = TestRemedies }
