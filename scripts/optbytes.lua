-- SPDX-License-Identifier: MIT
-- optbytes.lua: shows the option bytes by name, or changes some of them.
local errors = require "moonflash.errors"
local text = require "moonflash.base.text"

return {
  api         = 1,
  summary     = "Show the option bytes by name, or change some",
  description = "moonflash optbytes BOR_LEV=2 nWRP=0xFF0 changes two and leaves the others alone.\n"
    .. "The chip then resets itself; it comes back if BOOT0 is high.",
  args        = {
    { "changes", "one or more NAME=VALUE", default = {} },
    { "--irreversible", "allow what can't be undone: RDP=0xCC closes the chip",
      default = false },
    { "--unproven", "allow changes of options whose place is not proven", default = false },
  },

  setup = function(opt)
    local changes = {}
    for _, word in ipairs(opt.changes) do
      local name, digits = word:match("^([%w_]+)=(.*)$")
      if not name then
        errors.raise { code = "usage", message = ("'%s' is not NAME=VALUE"):format(word),
                       hint = "moonflash optbytes BOR_LEV=2" }
      elseif changes[name] then
        errors.raise { code = "usage", message = name .. " is given twice" }
      end
      local value, why = text.parse_integer(digits, 0xFFFFFFFF)
      if not value then
        errors.raise { code = "usage", message = ("%s: %s"):format(name, why) }
      end
      changes[name] = value
    end
    return changes
  end,

  run = function(board, opt, changes)
    if not next(changes) then return optbytes.read(board) end
    return optbytes.write(board, changes, opt)
  end,
}
