-- SPDX-License-Identifier: MIT
-- The definitions for editors: they have every function of the manual, with its arguments, and Lua
-- reads them.
local lu = require "luaunit"
local types = require "moonflash.manual.types"

local TestTypes = {}

function TestTypes.test_lua_reads_them()
  local env = {}
  local chunk = assert(load(types.make(), "=types", "t", setmetatable(env, { __index = {
    os = {}, errors = {} } })))
  chunk()
  lu.assertEquals(type(env.flash.write), "function")
end

function TestTypes.test_every_function_with_its_arguments()
  local text, count = types.make(), 0
  for _, item in ipairs(types.functions()) do
    local name = item.name:match("[%w_]+$")
    local args = {}
    for i, arg in ipairs(item.args) do args[i] = arg:gsub("%?$", "") end
    local wanted = ("%s(%s) end"):format(name, table.concat(args, ", "))
    local is_lua = item.name:find("^coroutine%.") or item.name == "os.exit" or item.name == "print"
      or item.name == "pcall" or item.name == "xpcall" or item.name == "require"
    if not is_lua then
      lu.assertStrContains(text, wanted)
      count = count + 1
    end
  end
  lu.assertTrue(count > 100, count)
end

-- 'build/moonflash recipes --types >lua/library/moonflash.lua' makes it.
function TestTypes.test_the_file_of_the_library()
  local file <close> = assert(io.open("lua/library/moonflash.lua"))
  lu.assertEquals(file:read("a"), types.make())
end

-- An argument whose name says nothing about its type is to be added to the table of
-- manual/types.lua.
function TestTypes.test_few_arguments_have_no_type()
  local unknown = {}
  for name in types.make():gmatch("%-%-%-@param ([%w_]+)%?? any") do unknown[name] = true end
  for _, known in ipairs { "value", "err", "what" } do unknown[known] = nil end
  lu.assertEquals(unknown, {})
end

return { TestTypes = TestTypes }
