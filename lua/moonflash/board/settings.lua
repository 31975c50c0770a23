-- SPDX-License-Identifier: MIT
-- Settings for all boards of the process, also known as dfu.defaults. The command line sets them.
return {
  selectors = nil, -- string[]: the selectors of --device
  dry = false,     -- --dry-run
  entered = nil,   -- string[]: paths of boards that this run has taken into DFU mode
  layout = nil,    -- --layout: replaces the layout of the first memory
  loading = false, -- a recipe is being loaded; it may not open boards
  opened = 0,      -- number of attempts so far to open a board
}
