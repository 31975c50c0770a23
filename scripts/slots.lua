-- SPDX-License-Identifier: MIT
-- slots.lua: shows the named places of a fixture and the boards in them; or names places.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local list = require "moonflash.ui.list"
local slots = require "moonflash.board.slots"

-- Asks for the next valid name; nil at the end.
local function ask_name(by_name)
  while true do
    local name = sys.ask("Name of the next slot (nothing ends it)?")
    if name == "" then return nil end
    if not slots.is_name(name) then
      print("A name begins with a letter, and has letters, digits, _ and -.")
    elseif by_name[name] then
      print(("The slot '%s' exists already, at %s."):format(name, by_name[name]))
    else
      return name
    end
  end
end

-- Waits for the next board at a place that is in no slot yet. Returns the place.
local function next_place(arrivals, by_path)
  while true do
    local path = arrivals().path
    if not by_path[path] then return path end
    print(("%s is the slot '%s' already. Plug the board in elsewhere."):format(path, by_path[path]))
  end
end

-- An iterator over boards that are plugged in from now on. Boards that are present do not count.
local function arrivals_from_now()
  local here, arrivals = dfu.list("mode=dfu"), dfu.arrivals("mode=dfu")
  for _ = 1, #here do arrivals() end
  return arrivals
end

local function make(file)
  if not sys.stat(file) then
    files.check_writable(file) -- files.write() will not replace a file that appears later
  elseif sys.ask(file .. " exists already. Replace it (yes or no)?") ~= "yes" then
    errors.raise { code = "file.write", message = file .. " exists already; not overwritten" }
  end
  local by_name, by_path, lines = {}, {}, {}
  local arrivals = arrivals_from_now()
  for name in ask_name, by_name do
    print(("Plug a board into '%s', in DFU mode."):format(name))
    local path = next_place(arrivals, by_path)
    by_name[name], by_path[path] = path, name
    lines[#lines + 1] = ("  [%q] = %q,\n"):format(name, path)
    print(("%s is %s."):format(name, path))
  end
  if #lines == 0 then return "Nothing was written." end
  files.write(file, "return {\n" .. table.concat(lines) .. "}\n")
  return ("%s has %d slots."):format(file, #lines)
end

return {
  api         = 1,
  summary     = "Show the slots of a fixture, and what is in them",
  description = "--make asks for a name, waits for a board to be plugged in there, and so on;\n"
    .. "then it writes the file.",
  args        = {
    { "--make", "name places: plug a board into each in turn", default = false },
    { "--out", "the file to write, instead of your slots.lua", type = "file" },
  },

  setup = function(opt)
    if opt.make and not opt.out then sys.mkdir(files.config_folder()) end
    if opt.make then return make(opt.out or slots.default_file()) end
    if opt.out then errors.raise { code = "usage", message = "--out goes with --make" } end
    return list.slots()
  end,
}
