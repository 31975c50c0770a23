-- SPDX-License-Identifier: MIT
-- What can be done about an error, by name, and the words for it. A command line is only told of
-- options that its recipe has; a script and the prompt are told the same in Lua.
local M = {}

-- option: on the command line. lua: in a table of options. does: what it is good for.
local ways = {
  keep = { option = "--keep", lua = "keep = true", does = "writes them back" },
  lose = { option = "--lose", lua = "lose = true", does = "discards them" },
  force = { option = "--force", lua = "force = true", does = "overrides this check" },
  yes = { option = "--yes", lua = "yes = true", does = "confirms it" },
  ["skip-outside"] = { option = "--skip-outside", lua = "skip_outside = true",
                       does = "leaves these pieces out" },
  only = { option = "--only", lua = "only = \"FIRST..LAST\"", argument = " FIRST..LAST or MEMORY",
           does = "writes only that part of the image" },
  unprotect = { option = "--unprotect", lua = "unprotect = true",
                does = "removes the protection first, and ERASES THE WHOLE CHIP" },
}

-- The options of the recipe that runs; nil where a script or the prompt does.
local known

---From now on a recipe with these arguments runs; nil: none does.
---@param args? table[] checked
function M.begin(args)
  known = args and {}
  for _, arg in ipairs(args or {}) do known[arg.name] = true end
end

---A line of what can be done; nil where nothing of it can.
---@param names string[]
---@param file? string the file that "address" is about
---@return string?
function M.hint(names, file)
  local parts = {}
  for _, name in ipairs(names) do
    local way = ways[name]
    if name == "address" then
      parts[#parts + 1] = ("%s@0x08000000 writes it to that address"):format(file)
    elseif way and not known then
      parts[#parts + 1] = ("{ %s } %s"):format(way.lua, way.does)
    elseif way and known[way.option] then
      parts[#parts + 1] = ("%s%s %s"):format(way.option, way.argument or "", way.does)
    end
  end
  return #parts > 0 and table.concat(parts, ".\n") .. "." or nil
end

---Lines of a hint, joined: false stands for none.
---@param lines (string|false)[]
---@return string?
function M.lines(lines)
  local there = {}
  for _, line in ipairs(lines) do
    if line then there[#there + 1] = line end
  end
  return #there > 0 and table.concat(there, "\n") or nil
end

return M
