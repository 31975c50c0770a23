-- SPDX-License-Identifier: MIT
-- station.lua: the rules of a station, in its folder. Another person writes them than the one who
-- works there; a change is noticed.
return {
  id        = "line4",                -- of the station, in the records
  operators = { "anna", "ben" },      -- who may sign on
  -- approved = "approved.txt",       -- sha256sum build/ch.bin > approved.txt
}
