-- SPDX-License-Identifier: MIT
-- What holds for all boards of a process, as dfu.defaults. The command line sets it.
return {
  selectors = nil, -- string[]: those of --device
  dry = false,     -- --dry-run
  layout = nil,    -- --layout: the layout of the first memory, in the place of the board's own
  loading = false, -- a recipe is being loaded, which may not open boards
  opened = 0,      -- number of boards that were opened so far, or tried to
}
