-- SPDX-License-Identifier: MIT
-- repl.lua: opens a prompt, with the connected board.
local repl = require "moonflash.prompt"

return {
  api     = 1,
  summary = "Type Lua, with the board at hand (also -i)",
  description = "Opens the board that is there, or --device, as 'board', and changes nothing on it."
    .. "\nhelp() shows an overview; Ctrl-D leaves. Where standard input is no terminal, it is run"
    .. "\nas a script.",

  setup = function()
    repl.run()
  end,
}
