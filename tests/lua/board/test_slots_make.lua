-- SPDX-License-Identifier: MIT
-- moonflash slots --make: an operator who answers, and plugs boards in.
local files = require "moonflash.base.files"
local lu = require "luaunit"
local recipes = require "moonflash.run.recipe"
local sim = require "sim"
local support = require "support"
local sys = require "sys"
local task = require "task"

local TestMake = {}

function TestMake:setUp()
  self.file = os.tmpname()
  os.remove(self.file)
  self.ask = sys.ask
  self.here = sim.new "f407,usb=none" -- was there before, and has no slot
  self.left, self.right = sim.new "f407,usb=none", sim.new "g474,usb=none"
  self.left:unplug()
  self.right:unplug()
end

function TestMake:tearDown()
  sys.ask = self.ask
  os.remove(self.file)
  for _, s in ipairs { self.here, self.left, self.right } do s:close() end
end

-- What the operator answers, one after the other, and what he does then.
function TestMake:make(answers)
  sys.ask = function()
    local answer = table.remove(answers, 1)
    if type(answer) == "string" then return answer end
    task.spawn(function()
      for i = 2, #answer do
        task.sleep(3)
        answer[i]:plug()
      end
    end)
    return answer[1]
  end
  return recipes.load("slots").table.setup { make = true, out = self.file }
end

function TestMake:read()
  return load(files.read(self.file, 1 << 20), "slots", "t", {})()
end

function TestMake:test_two()
  local said = self:make { { "left", self.left }, { "right-2", self.right }, "" }
  lu.assertEquals(self:read(), { left = self.left.path, ["right-2"] = self.right.path })
  lu.assertStrContains(said, "has 2 slots")
end

function TestMake:test_names_and_places_that_do_not_fit()
  local again = { plug = function() -- in the place that has a name
    self.left:unplug()
    self.left:plug()
  end }
  self:make { "1-4", "a b", { "left", self.left }, "left",
    { "right", again, self.right }, "" }
  lu.assertEquals(self:read(), { left = self.left.path, right = self.right.path })
end

function TestMake:test_a_file_that_is_there()
  files.write(self.file, "return {}\n")
  support.assert_raises("file.write", self.make, self, { "no" })
  lu.assertEquals(files.read(self.file, 100), "return {}\n")
  self:make { "yes", { "left", self.left }, "" }
  lu.assertEquals(self:read(), { left = self.left.path })
end

function TestMake:test_nothing()
  lu.assertEquals(self:make { "" }, "Nothing was written.")
  lu.assertNil(sys.stat(self.file))
end

return { TestMake = TestMake }
