-- SPDX-License-Identifier: MIT
-- Measures `dfu-util -l`, the original's and ours, as whole processes on one device in the umockdev
-- bed. Zephyr's west calls it ten times a second.
--   build/umockdev/bed tests/usb/umockdev/bench-list.lua build/moonflash
local RUNS = 50

local link = os.tmpname()
os.remove(link)
os.execute(("mkdir '%s' && ln -s \"$(realpath '%s')\" '%s/dfu-util'"):format(link, arg[1], link))

local _ <close> = bed.board { kind = "f407", state = 2 }

-- Milliseconds of a run, on average; nil if there is no such program.
local function measure(program)
  local total = 0
  for _ = 1, RUNS do
    local r = bed.start({ program, "-l" }):wait(10)
    if r.status == 127 then return nil end
    assert(r.status == 0 and select(2, r.out:gsub("Found DFU", "")) == 4, r.out .. r.err)
    total = total + r.seconds
  end
  return 1000 * total / RUNS
end

local theirs, ours = measure("dfu-util"), measure(link .. "/dfu-util")
os.execute(("rm -r '%s'"):format(link))
print(("dfu-util -l, a board with four memories: ours %.1f ms, the original %s ms"):format(ours,
  theirs and ("%.1f"):format(theirs) or "-"))
