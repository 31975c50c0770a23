-- SPDX-License-Identifier: MIT
-- Prints the state that the board of --device is found in. Asking changes nothing.
local board <close> = dfu.open()
print(board.found_state)
