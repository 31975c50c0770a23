-- SPDX-License-Identifier: MIT
-- Debian's dfu-util 0.11 and ours, with the same arguments on the same boards. A row has what each
-- ends with; where nothing else is said, the lines that callers read are the same. The numbers are
-- those of docs/dfu-util.md.
local rig = require "rig"

local F407, L452 = rig.F407, rig.L452

local OURS = rig.place .. "/dfu-util"
os.execute(("ln -sf \"$(realpath '%s')\" '%s'"):format(rig.RELEASE, OURS))

-- ---- files ----

local made = {} -- by name

local function convert(script)
  local r = rig.run { rig.RELEASE, "-e", script:gsub("PLACE", rig.place) }
  rig.equal(r.status, 0, "making files: " .. r.err)
end

local makers = {
  f = function() return F407.image end,
  l = function() return L452.image end,
  seven = function() return rig.write_file("seven.bin", "7 bytes") end,
  long = function() return rig.write_file("long.bin", ("x"):rep(0x100001)) end,
  empty = function() return rig.write_file("empty.bin", "") end,
  missing = function() return rig.place .. "/missing.bin" end,
  up = function() return rig.place .. "/up.bin" end,
  there = function() return rig.write_file("there.bin", "it is there") end,
  nofolder = function() return rig.place .. "/no/folder.bin" end,
  hex = function()
    convert [[image.load("PLACE/f407.bin"):save("PLACE/f.hex")]]
    return rig.place .. "/f.hex"
  end,
  s19 = function()
    convert [[image.load("PLACE/f407.bin"):save("PLACE/f.s19")]]
    return rig.place .. "/f.s19"
  end,
  uf2 = function()
    return rig.write_file("f.uf2", ("<I4I4I4I4I4I4I4I4"):pack(0x0A324655, 0x9E5D5157, 0x2000,
      0x08004000, 256, 0, 1, 0x57755A57) .. ("\0"):rep(476) .. "\x30\x6F\xB1\x0A")
  end,
  two = function()
    convert [[image.load("PLACE/f407.bin", "PLACE/f407.bin@0x08008000"):save("PLACE/two.dfu")]]
    return rig.place .. "/two.dfu"
  end,
  three = function()
    convert [[local f = image.load("PLACE/f407.bin")
      image.new { segments = { { address = 0x08000000, alt = 0,
        bytes = f:read(0x08000000, f.size) }, { address = 0x1FFF7800, bytes = "otp", alt = 2 } } }
        :save("PLACE/three.dfu")]]
    return rig.place .. "/three.dfu"
  end,
}

local function suffixed(name, vid, pid, version)
  makers[name] = function()
    convert(([[local f = io.open("PLACE/f407.bin", "rb")
      local bytes = image.new { segments = { { address = 0, bytes = f:read("a") } } }:encode("bin",
        { suffix = { vid = %d, pid = %d } })
      if %q ~= "nil" then
        local crc = require "moonflash.image.crc"
        bytes = bytes:sub(1, -17) .. bytes:sub(-16, -11) .. %q .. bytes:sub(-8, -5)
        bytes = bytes .. ("<I4"):pack(crc.dfu(bytes))
      end
      io.open("PLACE/%s.bin", "wb"):write(bytes)]]):format(vid, pid, tostring(version),
        tostring(version), name))
    return rig.place .. "/" .. name .. ".bin"
  end
end
suffixed("ours", 0x0483, 0xDF11)
suffixed("others", 0x1234, 0x5678)
suffixed("dfuse", 0x0483, 0xDF11, "\x1A\x01")
makers.crc = function()
  return rig.write_file("crc.bin", F407.bytes .. "\xFF\xFF\x11\xDF\x83\x04\0\1UFD\16abcd")
end

local function path_of(name)
  made[name] = made[name] or makers[name]()
  return made[name]
end

-- "-a 0 -D @f" --> { "-a", "0", "-D", PATH }; '' is an empty word.
local function words_of(text)
  local words = {}
  for word in text:gmatch("%S+") do
    words[#words + 1] = word == "''" and ""
      or (word:gsub("@(%w+)", function(name) return path_of(name) end))
  end
  return words
end

-- ---- boards ----

local function F(options)
  return function(path)
    local settings = { path = path, serial = "AAA" }
    for key, value in pairs(options or {}) do settings[key] = value end
    return rig.board(settings), F407
  end
end

local function L(path) return rig.board({ path = path }, L452), L452 end

local function P(options)
  return function(path)
    local settings = { kind = "dfu11", state = 2, path = path, serial = "PPP" }
    for key, value in pairs(options or {}) do settings[key] = value ~= "nil" and value or nil end
    return bed.board(settings)
  end
end

local RUNTIME = P { state = "nil" }

-- A board of a kind whose device descriptor has other ids, in DFU mode.
local function with_ids(kind, vid, pid)
  return function(path)
    local first <close> = bed.board { kind = kind, state = 2, path = "1-9" }
    local device, config = first:descriptors()
    first:unplug()
    device = device:sub(1, 8) .. ("<I2I2"):pack(vid, pid) .. device:sub(13)
    return bed.board { kind = kind, state = 2, poll = 1, path = path, device = device,
                       config = config, serial = "UID" }
  end
end

-- ---- what callers read ----

local READ = { "^Found ", "^Downloading element", "^File downloaded successfully", "^DfuSe command",
               "^Device disconnects", "^Received a total", "^Upload done", "^Download done",
               "^Erase    done", "^Match vendor ID", "^Match product ID", "^Waiting for device",
               "^Submitting leave", "^Transitioning", "^Parsing DFU image", "^Done parsing",
               "^Limiting", "^Device ID", "^dfu%-util 0", "^Done!" }

-- The lines that callers read, as a terminal has them in the end. The number of a device differs
-- between runs. dfu-util ends DfuSe downloads without "Done!", which LAVA waits for.
local function read_by_callers(out, is_ours)
  local lines = {}
  for line in out:gmatch("[^\n]*") do
    line = line:match("([^\r]*)$"):gsub("devnum=%d+", "devnum=N")
    for _, pattern in ipairs(READ) do
      local extra = is_ours and pattern == "^Done!"
      if line:find(pattern) and not extra then lines[#lines + 1] = line end
    end
  end
  table.sort(lines) -- the order of several boards is libusb's
  return table.concat(lines, "\n")
end

local function without_done(lines)
  return (lines:gsub("Done!\n?", ""))
end

-- ---- running a row ----

local function boards_of(row)
  local boards = setmetatable({}, { __close = function(list)
    for _, board in ipairs(list) do getmetatable(board).__close(board) end
  end })
  local scenes = {}
  for i, make in ipairs(row.boards or {}) do boards[i], scenes[i] = make("1-" .. i) end
  return boards, scenes
end

local function run_one(row, program)
  if row.prepare then row.prepare() end
  local boards <close>, scenes = boards_of(row)
  if row.locked then boards[1]:lock_node(true) end
  if row.busy then boards[1]:occupy(true) end
  for _, strike in ipairs(row.strikes or {}) do boards[1]:strike(table.unpack(strike)) end
  local words = words_of(row[2])
  table.insert(words, 1, program)
  words.powerless = row.locked
  os.remove(rig.place .. "/up.bin")
  local job = rig.start(words)
  if row.meanwhile then row.meanwhile(boards, job) end
  local r = rig.finish(job)
  r.boards, r.flash, r.life, r.state = boards, {}, {}, {}
  for i, board in ipairs(boards) do
    r.life[i], r.state[i] = board:life(), board:state()
    if scenes[i] then r.flash[i] = board:peek(rig.FLASH, scenes[i].size) end
  end
  r.uploaded = rig.read_file(rig.place .. "/up.bin")
  r.scene = scenes[row.on or 1]
  r.started = boards[1] and boards[1]:started()
  return r
end

local function judge(row, r, what)
  local scene = r.scene
  if row.flash then
    local expected = row.flash == "new" and scene.new or row.flash == "old" and scene.old
      or row.flash == "erased" and ("\255"):rep(scene.size) or row.flash(scene)
    rig.check(r.flash[row.on or 1] == expected, "%s: the flash is not %s", what, row.flash)
  end
  if row.life then rig.equal(r.life[row.on or 1], row.life, what .. ": the board") end
  if row.state then rig.equal(r.state[row.on or 1], row.state, what .. ": the state") end
  if row.started then rig.equal(r.started, row.started, what .. ": it started from") end
  for _, text in ipairs(row.out or {}) do rig.has(r.out, text, what .. ": stdout") end
  for _, text in ipairs(row.err or {}) do rig.has(r.err, text, what .. ": stderr") end
  if row.silent then rig.check(not r.out:find("Found"), "%s: it lists: %s", what, r.out) end
  if row.uploaded ~= nil then
    local length = r.uploaded and #r.uploaded or false
    rig.equal(length, row.uploaded, what .. ": bytes in the file")
  end
  if row.verified ~= nil then
    rig.equal(r.out:find("\nVerified\n", 1, true) ~= nil, row.verified, what .. ": Verified")
  end
  if row.check then row.check(r, what) end
end

-- row: { number, arguments, theirs= status, ours= status, boards=, ...: what ours does; lines=true:
-- the lines that callers read are the same }
local function row_case(row)
  local name = ("dfu-util %d: %s%s"):format(row[1], row[2], row.boards and "" or ", no board")
  rig.case(name, function()
    local theirs
    if row.theirs then
      theirs = run_one(row, "dfu-util")
      if theirs.status == 127 then rig.skip("there is no dfu-util") end
      rig.equal(theirs.status, row.theirs, "dfu-util 0.11: " .. theirs.err)
    end
    local r = run_one(row, OURS)
    rig.equal(r.status, row.ours or row.theirs, "ours: " .. r.err)
    judge(row, r, "ours")
    if row.lines then
      rig.equal(without_done(read_by_callers(r.out, true)),
        without_done(read_by_callers(theirs.out)), "the lines")
    end
  end)
end

-- What the flash is after 0x08000010 was written: the 16 bytes in front are kept.
local function shifted(scene)
  return scene.old:sub(1, 16) .. scene.bytes .. scene.old:sub(#scene.bytes + 17, 0x4000)
    .. scene.old:sub(0x4001)
end

-- After both elements of two.dfu: two sectors, the rest of each erased.
local function both_elements(scene)
  local sector = scene.bytes .. ("\255"):rep(0x4000 - #scene.bytes)
  return sector .. scene.old:sub(0x4001, 0x8000) .. sector .. scene.old:sub(0xC001)
end

local A = "-a 0 -s 0x08000000"
local F1, P1 = F(), P()
local B = function(path) return F { serial = "BBB" }(path) end

local rows = {
  { 1, "-V", theirs = 0, out = { "dfu-util 0.11\nmoonflash " } },
  { 2, "-h", theirs = 0, err = { "Usage: dfu-util" },
    check = function(r) rig.equal(r.out, "", "a banner") end },
  { 3, "", theirs = 64, boards = { F1 }, err = { "You need to specify one of -D or -U" } },
  { 4, "-l", theirs = 0, silent = true },
  { 5, "-l", theirs = 0, boards = { F1 }, lines = true },
  { 6, "-l", theirs = 0, boards = { F1, B, P1 }, lines = true },
  { 7, "-l", theirs = 0, boards = { RUNTIME }, lines = true, out = { "Found Runtime: " } },
  { 8, "-l -d 0483:df11", theirs = 0, boards = { P1 }, silent = true },
  { 9, "-l -d ,0483:df11", theirs = 0, boards = { P1 }, silent = true },
  { 10, "-l -d 0483:df11,0483:df11", theirs = 0, boards = { P1 }, silent = true },
  { 11, "-l -d 0483", theirs = 0, boards = { F1 }, lines = true },
  { 12, "-l -d zzzz:df11", theirs = 0, ours = 64, boards = { F1 } },
  { 13, "-l -p 1-9", theirs = 0, boards = { F1 }, silent = true },
  { 13, "-l -S miss", theirs = 0, boards = { F1 }, silent = true },
  { 14, "-l -v", theirs = 0, boards = { F1 }, lines = true, out = { "libusb version 1." } },
  { 15, A .. ":leave -D @f", theirs = 74, err = { "No DFU capable USB device available" } },
  { 16, A .. ":leave -D @missing", theirs = 66, err = { "Could not open file" } },
  { 17, A .. " -D @f", theirs = 74, boards = { F1, B }, flash = "old",
    err = { "More than one DFU capable USB device found! Try `--list'" } },
  { 18, "-S BBB " .. A .. " -D @f", theirs = 0, boards = { F1, B }, on = 2, flash = "new" },
  { 18, "-S ,BBB " .. A .. " -D @f", theirs = 0, boards = { F1, B }, on = 2, flash = "new" },
  { 18, "-p 1-2 " .. A .. " -D @f", theirs = 0, boards = { F1, B }, on = 2, flash = "new" },
  { 19, "-S '' " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new" },
  { 20, "-d ,0483:df11 " .. A .. " -D @f", theirs = 0, boards = { F1, P1 }, flash = "new" },
  { 21, "-d 0483:df11 " .. A .. " -D @f", theirs = 74, ours = 0, boards = { F1, P1 },
    flash = "new" },
  { 22, "-s 0x08000000:leave -D @f", theirs = 74, ours = 0, boards = { F1 }, life = "running" },
  { 23, A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new", state = 2, lines = true,
    verified = true, out = { "File downloaded successfully\nDFU state(2) = dfuIDLE, status(0) = "
      .. "No error condition is present\nDone!\n" } },
  { 28, "-R -R " .. A .. ":leave -D @f", theirs = 251, ours = 0, boards = { F1 },
    life = "running" },
  { 26, "-R " .. A .. ":leave -D @f", theirs = 251, ours = 0, boards = { F1 },
    life = "running", started = rig.FLASH,
    out = { "Verified\nFile downloaded successfully\nSubmitting leave request...\n"
      .. "Transitioning to dfuMANIFEST state\nDFU state(7) = dfuMANIFEST, status(0) = "
      .. "No error condition is present\nDone!\n" } },
  { 27, "-R " .. A .. " -D @f", theirs = 251, ours = 0, boards = { F1 }, flash = "new",
    out = { "Resetting USB to switch back to Run-Time mode" } },
  { 30, "-a firmware -s 0x08000000 -D @f", theirs = 74, boards = { F1 }, flash = "old",
    err = { "No DFU capable USB device available", "0 (@Internal Flash  /" } },
  { 30, "-a 9 -s 0x08000000 -D @f", theirs = 74, boards = { F1 }, flash = "old" },
  { 31, "-a 0 -D @f", theirs = 64, boards = { F1 }, flash = "old",
    err = { "Only DfuSe file version 1.1a is supported", "--dfuse-address" } },
  { 33, "-a 0 -s :leave", theirs = 0, boards = { F1 }, lines = true, started = rig.FLASH,
    out = { "DfuSe command mode" } },
  { 33, A .. ":leave", theirs = 0, boards = { F1 }, lines = true, started = rig.FLASH },
  { 34, "-a 0 -s :mass-erase", theirs = 64, boards = { F1 }, flash = "old" },
  { 35, "-a 0 -s :mass-erase:force", theirs = 0, boards = { F1 }, flash = "erased" },
  { 36, A .. ":mass-erase:force:leave -D @f", theirs = 0, boards = { F1 }, life = "running",
    flash = function(s) return s.bytes .. ("\255"):rep(s.size - #s.bytes) end },
  { 36, A .. ":force:mass-erase:leave -D @f", theirs = 0, boards = { F1 }, life = "running" },
  { 37, "-a 0 -s :unprotect", theirs = 64, boards = { F { rdp = 1 } } },
  { 38, "-a 0 -s :unprotect:force", theirs = 0, boards = { F { rdp = 1 } }, flash = "erased",
    out = { "Device disconnects, erases flash and resets now" } },
  { 39, A .. ":unprotect:force -D @f", theirs = 0, boards = { F { rdp = 1 } }, flash = "erased",
    err = { "was not written" } },
  { 40, "-a 0 -s :unprotect:force:will-reset -D /dev/null", theirs = 0, boards = { F { rdp = 1 } },
    flash = "erased" },
  { 41, A .. ":leave -D @f", theirs = 74, boards = { F { rdp = 1 } },
    err = { "read protection is on" } },
  { 42, A .. ":will-reset -D @f", theirs = 74, ours = 0, boards = { F1 }, flash = "new" },
  { 44, A .. ":fast -D @f", theirs = 64, ours = 0, boards = { F1 }, flash = "new",
    verified = true },
  { 45, A .. ":quick -D @f", theirs = 64, boards = { F1 }, flash = "old",
    err = { "Invalid dfuse modifier: quick" } },
  { 45, A .. ":quick -D @f", ours = 64, err = { "Invalid dfuse modifier: quick" } },
  { 45, "-a 0 -s start -D @f", theirs = 64, boards = { F1 }, err = { "Invalid dfuse address" } },
  { 46, A .. ":l -D @f", theirs = 64, boards = { F1 }, flash = "old",
    err = { "Invalid dfuse modifier: l\n" } },
  { 46, "-a 0 -s :mass:force", ours = 64, boards = { F1 }, flash = "old" },
  { 47, "-a 0 -s 0x09000000 -D @f", theirs = 64, boards = { F1 }, flash = "old",
    err = { "Last page at 0x09001067 is not writeable" } },
  { 47, "-a 0 -s 0x20000000 -D @f", theirs = 64, boards = { F1 }, flash = "old" },
  { 48, "-a 0 -s 0x08000010 -D @f", theirs = 0, boards = { F { serial = "KEEPS" } },
    flash = shifted },
  { 49, A .. " -D @long", theirs = 64, boards = { F1 }, flash = "old",
    err = { "Last page at 0x08100000 is not writeable" } },
  { 50, A .. ":16:leave -D @f", theirs = 0, boards = { F1 }, flash = "new", life = "running" },
  { 51, "-a 1 -s 0x08000000:leave -D @f", theirs = 64, boards = { F1 }, flash = "old" },
  { 52, A .. " -D @f", theirs = 0, ours = 79, boards = { F { wrp = 1 } }, flash = "old" },
  { 53, A .. " -D @seven", theirs = 0, boards = { L }, verified = true,
    check = function(r) rig.equal(r.flash[1]:sub(1, 7), "7 bytes", "the flash") end },
  { 54, A .. " -D @empty", theirs = 64, boards = { F1 }, flash = "old", err = { "empty" } },
  { 55, A .. " -D @hex", theirs = 0, ours = 65, boards = { F1 }, flash = "old",
    err = { "Intel HEX", "0x08000000" } },
  { 55, A .. " -D @s19", theirs = 0, ours = 65, boards = { F1 }, flash = "old",
    err = { "0x08000000" } },
  { 55, A .. " -D @uf2", theirs = 0, ours = 65, boards = { F1 }, flash = "old",
    err = { "0x08004000" } },
  { 56, A .. " -D @ours", theirs = 0, boards = { F1 }, flash = "new", lines = true,
    out = { "Match vendor ID from file: 0483", "Match product ID from file: df11" } },
  { 57, A .. " -D @others", theirs = 0, ours = 64, boards = { F1 }, flash = "old",
    err = { "Error: File ID 1234:5678 does not match device" } },
  { 58, "-d 0483:df11 " .. A .. " -D @others", theirs = 64, boards = { F1 }, flash = "old",
    err = { "Error: File ID 1234:5678 does not match device" } },
  { 59, A .. " -D @crc", theirs = 0, ours = 65, boards = { F1 }, flash = "old", err = { "CRC" } },
  { 60, A .. " -D @dfuse", theirs = 64, boards = { F1 }, flash = "old",
    err = { "This is a DfuSe file" } },
  { 61, "-a 0 -D @two", theirs = 0, boards = { F1 }, flash = both_elements, verified = true,
    out = { "Parsing DFU image 1", "Done parsing DfuSe file", "File downloaded successfully" } },
  { 61, "-D @two", theirs = 0, boards = { F1 }, flash = both_elements, verified = true },
  { 62, "-a 0 -s :leave -D @two", theirs = 0, boards = { F1 }, life = "running",
    started = rig.FLASH },
  { 63, A .. " -D @two", theirs = 64, boards = { F1 }, flash = "old",
    err = { "not meant for raw download" } },
  { 64, "-a 1 -D @two", theirs = 0, ours = 65, boards = { F1 }, flash = "old" },
  { 65, "-a 0 -s :leave -D @three", theirs = 0, boards = { F1 }, life = "running", flash = "new",
    err = { "No alternate setting 2 (skipping elements)" } },
  { 66, "-D @three", theirs = 74, ours = 64, boards = { F1 }, flash = "old" },
  { 67, "-D @two", theirs = 74, ours = 64, boards = { P1 } },
  { 68, "-t 64 " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new", verified = true,
    out = { "Warning: Overriding device-reported transfer size" } },
  { 68, "-t 0 " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new" },
  { 69, "-t 5000 " .. A .. " -D @f", theirs = 74, ours = 0, boards = { F1 }, flash = "new",
    out = { "Limited transfer size to 2048" } },
  { 70, "-t 64x " .. A .. " -D @f", theirs = 64, boards = { F1 }, flash = "old" },
  { 71, "-n 99 " .. A .. " -D @f", theirs = 74, boards = { F1 }, flash = "old" },
  { 71, "-c 2 " .. A .. " -D @f", theirs = 74, boards = { F1 }, flash = "old" },
  { 71, "-i 1 " .. A .. " -D @f", theirs = 74, boards = { F1 }, flash = "old" },
  { 72, "-c 1 -i 0 " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new", lines = true },
  { 72, "-c 0 " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new" },
  { 73, "-a0 --dfuse-address=0x08000000 --download=@f", theirs = 0, boards = { F1 },
    flash = "new", lines = true },
  { 73, "-D @f -s 0x08000000 -a 0 -d 0483:df11", theirs = 0, boards = { F1 }, flash = "new" },
  { 74, "--dev 0483:df11 -l", theirs = 64, err = { "ambiguous" } },
  { 75, A .. " -D @f stray", theirs = 64, boards = { F1 }, flash = "old",
    err = { "Unexpected argument: stray" } },
  { 76, "-Q " .. A .. " -D @f", theirs = 64, ours = 0, boards = { F1 }, flash = "new" },
  { 77, "--wait -l", theirs = 64, ours = 0, boards = { F1 }, out = { "Found DFU: " } },
  { 77, "--wait --alt 0 -s 0x08000000 --download @f", theirs = 64, ours = 0, boards = { F1 },
    flash = "new" },
  { 78, "--wait=x " .. A .. " -D @f", ours = 0, boards = { F1 }, flash = "new" },
  { 79, "-w " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new", lines = true,
    out = { "Waiting for device, exit with ctrl-C" } },
  { 80, A .. ":5000 -U @up", theirs = 0, boards = { F1 }, uploaded = 5000, state = 2,
    lines = true, out = { "Upload done." } },
  { 81, A .. ":0x2000:leave -U @up", theirs = 0, boards = { F1 }, uploaded = 0x2000 },
  { 82, A .. " -U @up", theirs = 0, boards = { F1 }, uploaded = 65536, lines = true },
  { 83, "-a 0 -U @up", theirs = 0, boards = { F1 }, uploaded = 16384, lines = true },
  { 84, A .. " -Z 4096 -U @up", theirs = 0, boards = { F1 }, uploaded = 65536,
    err = { "-Z has no effect" } },
  { 85, A .. " -U @there", theirs = 73, boards = { F1 },
    check = function() rig.equal(rig.read_file(path_of("there")), "it is there", "the file") end },
  { 86, A .. " -U @nofolder", theirs = 73, boards = { F1 } },
  { 87, A .. ":16 -U @up", theirs = 74, boards = { F { rdp = 1 } }, uploaded = false },
  { 89, "-U @up " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new",
    uploaded = false },
  { 91, "-e", theirs = 74, ours = 0, boards = { F1 } },
  { 92, "-e", theirs = 0, boards = { P1 }, state = 2, err = { "can't detach" } },
  { 93, "-e", theirs = 0, boards = { RUNTIME } },
  { 94, "-e " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new" },
  { 95, A .. " -D @f -e", theirs = 0, ours = 64, boards = { F1 }, flash = "old" },
  { 96, "-D @f", theirs = 74, ours = 0, boards = { P1 },
    out = { "No error condition is present\nDone!\n" } },
  { 97, "-R -D @f", theirs = 74, ours = 0, boards = { P1 } },
  { 98, "-E 1 -D @f", theirs = 74, ours = 0, boards = { RUNTIME } },
  { 99, "-s 0x08000000:leave -D @f", theirs = 74, ours = 0, boards = { P1 },
    out = { "Warning: DfuSe option used on non-DfuSe device" } },
  { 100, "-U @up", theirs = 0, boards = { P1 }, uploaded = 65536, lines = true },
  { 100, "-Z 4096 -U @up", theirs = 0, boards = { P1 }, uploaded = 65536,
    err = { "Unexpected number of bytes" } },
  { 101, "-D @f", theirs = 74, boards = { P1, P1 } },
  { 102, "-D @empty", theirs = 74, ours = 64, boards = { P1 } },
  { 103, "-v " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new",
    out = { "DFU attributes: (0x0b) bitCanDnload bitCanUpload bitWillDetach" },
    check = function(r) rig.check(not r.out:find("%[=+"), "there are bars") end },
  { 103, "-v -v -v " .. A .. " -D @f", theirs = 0, boards = { F1 }, flash = "new" },
  { 104, A .. " -D @f", theirs = 74, boards = { F1 }, strikes = { { "unplug", 25 } } },
  { 105, A .. " -D @f", theirs = 74, boards = { F1 }, locked = true, flash = "old",
    err = { "Cannot open DFU device 0483:df11 found on devnum", "(LIBUSB_ERROR_ACCESS)" } },
  -- beyond the 109: what a review found
  { 110, A .. ":mass-erase:force -U @up", ours = 64, boards = { F1 }, flash = "old",
    uploaded = false },
  { 111, "-d * " .. A .. " -D @others", ours = 64, boards = { F1 }, flash = "old" },
  { 112, "-d 10000000000000483:df11 -l", ours = 64, boards = { F1 } },
  { 113, "-s 01777777777777777777777 -a 0 -D @f", ours = 64, boards = { F1 }, flash = "old" },
  { 114, A .. ":0xFFFFFFFF -U @up", ours = 64, boards = { F1 }, uploaded = false },
  { 115, "-a @ -s 0x08000000 -D @f", ours = 74, boards = { F1 }, flash = "old" },
  { 116, "-a 0 -s 0x080FF800:force -D @f", ours = 74, boards = { F1 },
    check = function(r)
      rig.check(r.flash[1]:sub(1, 4096) == F407.old:sub(1, 4096), "the start has changed")
    end },
  { 117, "-D @others", ours = 64, boards = { RUNTIME }, life = "runtime" },
  { 118, "-a 0 -s :64:leave -U @up", ours = 0, boards = { F1 }, uploaded = 64,
    started = rig.FLASH },
  { 119, "-h --bogus", theirs = 0, ours = 0 },
  { 106, A .. " -D @f", theirs = 74, boards = { F1 }, busy = true, flash = "old",
    err = { "Cannot claim interface" } },
}
for _, row in ipairs(rows) do row_case(row) end

-- ---- cases with a story ----

-- Runs f with dfu-util and with ours.
local function both_case(number, name, f)
  rig.case(("dfu-util %d: %s"):format(number, name), function()
    if rig.run({ "dfu-util", "-V" }).status == 127 then rig.skip("there is no dfu-util") end
    f("dfu-util", false)
    f(OURS, true)
  end)
end

local function run(program, text)
  local words = words_of(text)
  table.insert(words, 1, program)
  return rig.run(words)
end

for _, state in ipairs { 2, 5, 9, 10 } do
  both_case(24, "from state " .. state, function(program, is_ours)
    local board <close> = rig.board { state = state }
    local r = run(program, A .. ":leave -D @f")
    rig.equal(r.status, 0, program .. ": " .. r.err)
    rig.equal(board:life(), "running", "the board")
    rig.equal(r.out:find("\nVerified\n", 1, true) ~= nil, is_ours, "Verified")
  end)
end

both_case(25, "two in a row, the first without leave", function(program)
  local board <close> = rig.board()
  rig.equal(run(program, "-d 0483:df11 -a 0 -s 0x08004000 -D @f").status, 0, "the first")
  rig.equal(board:life(), "dfu", "the board between")
  rig.equal(run(program, "-d 0483:df11 -a 0 -s 0x08000000:leave -D @f").status, 0, "the second")
  rig.equal(board:life(), "running", "the board")
end)

both_case(29, "an alternate setting by its whole name", function(program, is_ours)
  local board <close> = rig.board()
  for _, name in ipairs { "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg",
    is_ours and "@Internal" or nil } do
    local r = rig.run { program, "-a", name, "-s", "0x08000000", "-D", F407.image }
    rig.equal(r.status, 0, program .. ": " .. r.err)
    rig.check(board:peek(rig.FLASH, F407.size) == F407.new, "the flash is wrong")
  end
end)

both_case(32, "plain DFU with ST's ids", function(program, is_ours)
  local plain <close> = with_ids("dfu11", 0x0483, 0xDF11)("1-1")
  local r = run(program, "-d 0483:df11 -a 0 -D @f")
  rig.has(r.out, "Copying data from PC to DFU device", program)
  rig.has(r.out, "Download done.", program)
  rig.equal(r.status, is_ours and 0 or 74, program .. ": " .. r.err)
  rig.check(plain:life() ~= "dfu" or not is_ours, "it is still in DFU mode")
end)

both_case(43, "option bytes", function(program, is_ours)
  local board <close> = rig.board()
  local bytes = board:peek(0x1FFFC000, 16)
  local changed = rig.write_file("options.bin", "\xE3" .. bytes:sub(2))
  local r = rig.run { program, "-a", "1", "-s", "0x1FFFC000:will-reset", "-D", changed }
  rig.equal(r.status, is_ours and 0 or 74, program .. ": " .. r.err)
  if not is_ours then return end
  rig.equal(board:peek(0x1FFFC000, 1), "\xE3", "BOR_LEV")
  rig.has(r.out, "\nVerified\n", "stdout")
end)

-- umockdev does not tell libusb of devices that come, so dfu-util would wait for ever.
rig.case("dfu-util 79: waits for a board that comes", function()
  local board <close> = rig.board()
  board:unplug()
  local words = words_of("-w " .. A .. " -D @f")
  table.insert(words, 1, OURS)
  local job = rig.start(words)
  rig.check(job:watch(0.6), "it has not waited")
  board:plug()
  rig.equal(rig.finish(job).status, 0, "status")
  rig.check(board:peek(rig.FLASH, F407.size) == F407.new, "the flash is wrong")
end)

both_case(88, "-U - is a file", function(program)
  local board <close> = rig.board()
  local r = rig.run { "sh", "-c", ('cd "$1" && rm -f ./- && "$2" -a 0 -s 0x08000000:100 -U -'
    .. ' && wc -c <./-; rm -f ./-'), "sh", rig.place, program }
  rig.has(r.out, "\n100\n", program)
  rig.equal(board:life(), "dfu", "the board")
end)

both_case(90, "-D - is standard input", function(program)
  local board <close> = rig.board()
  local r = rig.run { "sh", "-c", '"$1" -a 0 -s 0x08000000 -D - <"$2"', "sh", program, F407.image }
  rig.equal(r.status, 0, program .. ": " .. r.err)
  rig.check(board:peek(rig.FLASH, F407.size) == F407.new, "the flash is wrong")
end)

rig.case("dfu-util 107: Ctrl-C", function()
  local board <close> = rig.board()
  board:strike("gate", 30)
  local words = words_of(A .. " -D @f")
  table.insert(words, 1, OURS)
  local job = rig.start(words)
  for _ = 1, 500 do
    if board:is_held() then break end
    job:watch(0.01)
  end
  job:kill(2)
  job:watch(0.2)
  board:open_gate()
  local r = rig.finish(job)
  rig.equal(r.status, 130, "status: " .. r.err)
  rig.equal(board:state(), 2, "the state")
end)

rig.case("dfu-util 108: a board that can't be read back", function()
  local first <close> = rig.board { path = "1-9" }
  local device, config = first:descriptors()
  first:unplug()
  local at = config:find("\9\33", 1, true) -- the functional descriptor
  config = config:sub(1, at + 1) .. string.char(config:byte(at + 2) & ~2) .. config:sub(at + 3)
  local board <close> = rig.board { device = device, config = config }
  local r = run(OURS, A .. " -D @f")
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.check(board:peek(rig.FLASH, F407.size) == F407.new, "the flash is wrong")
  rig.check(not r.out:find("Verified"), "it says that it has verified")
  rig.has(r.err, "not verified", "stderr")
end)

rig.case("dfu-util: without verification, on request", function()
  local board <close> = rig.board()
  local words = words_of(A .. " -D @f")
  local r = rig.run { "env", "MOONFLASH_DFU_UTIL=noverify", OURS, table.unpack(words) }
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.check(not r.out:find("Verified"), "it says that it has verified")
  rig.has(r.err, "MOONFLASH_DFU_UTIL=noverify", "stderr")
  rig.check(board:peek(rig.FLASH, F407.size) == F407.new, "the flash is wrong")
end)

-- ---- the callers' own arguments ----

local function plain_of(vid, pid) return with_ids("dfu11", vid, pid) end
local function dfuse_of(vid, pid) return with_ids("f407", vid, pid) end

makers.suffixed = function()
  local path = rig.write_file("suffixed.bin", F407.bytes)
  local suffix = rig.place .. "/dfu-suffix"
  os.execute(("ln -sf \"$(realpath '%s')\" '%s'"):format(rig.RELEASE, suffix))
  local r = rig.run { suffix, "-v", "0x0483", "-p", "0xdf11", "-d", "0xffff", "-a", path }
  rig.equal(r.status, 0, "dfu-suffix: " .. r.err)
  return path
end

-- { caller, arguments, board, what stdout has..., flash= }
local callers = {
  { "labgrid", "-p 1-1 --alt 0 --download @f", P1 },
  { "labgrid, detach", "-p 1-1 --detach", RUNTIME },
  { "labgrid, list", "--list", F1, "Found DFU: [0483:df11]" },
  { "labgrid, newer", "-p 1-1 --wait --reset --alt 0 --download @f", P1 },
  { "west, list", "-d,0483:df11 -l", F1, " alt=0,", 'name="@Internal Flash  ' },
  { "west", "-d,0483:df11 -s 0x8000000:leave -a 0 -D @f", F1, flash = "new" },
  { "PlatformIO", "-d 0x0483:0xDF11 -a 0 -s 0x08000000:leave -D @suffixed", F1, flash = "new" },
  { "PlatformIO, three pairs", "-d 0x1EAF:0x0003,0x0483:0xDF11,0x1209:0x0001 -a 0 "
    .. "-s 0x08000000:leave -D @f", F1, flash = "new" },
  { "QMK", "-a 0 -d 0483:DF11 -s 0x08000000:leave -D @f", F1, flash = "new" },
  { "QMK, kiibohd", "-a 0 -d 1C11:B007 -D @f", plain_of(0x1C11, 0xB007) },
  { "Klipper", "-p 1-1 -R -a 0 -s 0x8000000:leave -D @f", F1, flash = "new" },
  { "Katapult", "-R -a 0 -s 0x08000000:leave -D @f -d 0483:df11", F1, flash = "new" },
  { "Katapult, mass erase", "-a 0 -d 0483:df11 -s 0x08000000:mass-erase:force:leave -D @f", F1 },
  { "LAVA", "--serial AAA --device 0483:df11 -a 0 -s 0x08000000 -D @f --reset", F1,
    "No error condition is present\nDone!" },
  { "RIOT", "--device 0483:df11 --alt 0 --download @f --dfuse-address 0x08000000:leave "
    .. "--serial AAA", F1, flash = "new" },
  { "ArduinoCore-mbed", "--device 2341:035b -D @f -a0 --dfuse-address=0x08040000:leave",
    dfuse_of(0x2341, 0x035B) },
  { "Arduino's fork", "--device 2341:035b -D @f -a0 --dfuse-address=0x08040000:leave -Q",
    dfuse_of(0x2341, 0x035B) },
  { "Arduino_STM32", "-d 0483:df11 -a 0 -D @f --dfuse-address 0x08000000 -R", F1, flash = "new" },
  { "micropython", "-a 0 -d 0483:df11 -D @two -s :leave", F1, flash = both_elements },
  { "micropython, upload", "-U @up -s 0x08000000:0xf800", F1, "Upload done." },
  { "micropython, wait", "-w -a 0 -d 2341:035b -D @two", dfuse_of(0x2341, 0x035B) },
  { "libDaisy", "-a 0 -s 0x08000000:leave -D @f -d ,0483:df11", F1, flash = "new" },
  { "NanoVNA", "-d 0483:df11 -a 0 -s 0x08000000:leave -D @f", F1, flash = "new" },
  { "Betaflight", "-a 0 -D @two -s :leave", F1, flash = both_elements },
  { "ChibiOS", "-d 0483:df11 -c 1 -i 0 -a 0 -s 0x08000000:leave -D @f", F1, flash = "new" },
  { "Crazyflie", "-d 0483:df11 -a 0 -s 0x08004000:leave -D @f", F1 },
  { "Flipper", "-D @two -a 0", F1, flash = both_elements },
  { "Black Magic", "-d 1d50:6018,:6017 -s 0x08002000:leave -D @f", dfuse_of(0x1D50, 0x6017) },
  { "MMDVM_HS", "-D @f -d 1eaf:0003 -a 0 -R -R", plain_of(0x1EAF, 0x0003) },
  { "OpenTitan", "--device=18d1:023a --alt=0 --reset --download @f", plain_of(0x18D1, 0x023A) },
  { "Particle", "-d 2b04:d006 -a 0 -s 0x08020000:leave -D @f", dfuse_of(0x2B04, 0xD006),
    "\nFile downloaded successfully\n" },
  { "particle-cli, list", "-l", dfuse_of(0x2B04, 0xD006), "Found DFU: [2b04:d006]" },
  { "TinyUSB, list", "-d cafe:4000,cafe:4001 -l", plain_of(0xCAFE, 0x4001),
    "Found DFU: [cafe:4001]", 'serial="UID"' },
  { "TinyUSB, upload", "-d cafe:4000,cafe:4001 -S UID -a 0 -U @up", plain_of(0xCAFE, 0x4001),
    "Received a total of 65536 bytes" },
  { "TinyUSB, one vendor", "-d cafe -l", plain_of(0xCAFE, 0x4001), "Found DFU: [cafe:4001]" },
  { "U-Boot", "-a 0 -D @f -p 1-1", P1 },
  { "Pluto", "-d 0456:b673,0456:b674 -a Program -D @f", plain_of(0x0456, 0xB674) },
  { "Pluto, restart", "-d 0456:b673,0456:b674 -a Program -e", plain_of(0x0456, 0xB674) },
  { "ESP-IDF", "-d 303a:0002 --path 1-1 -D @f", plain_of(0x303A, 0x0002) },
  { "ChromiumOS, first", "-a 0 -s 0x08000000:0x1000:force:unprotect -D @f -p 1-1",
    F { rdp = 1 }, flash = "erased" },
  { "ChromiumOS, then", "-a 0 -s 0x08000000:0x1000 -D @f -p 1-1", F1, flash = "new" },
  { "usbkvm", "-a 0 -s :force:unprotect:will-reset -D /dev/null", F { rdp = 1 },
    flash = "erased" },
  { "mjs", "--version", nil, "dfu-util 0.11\n" },
  { "Linux gadgets", "-d 0955:701a -a Program -D @f", plain_of(0x0955, 0x701A) },
  { "pico-ice", "-d 1209:b1c0 -a 0 -D @f -R", plain_of(0x1209, 0xB1C0) },
}
for _, caller in ipairs(callers) do
  rig.case("dfu-util for " .. caller[1], function()
    local row = { 0, caller[2], boards = caller[3] and { caller[3] } or nil,
                  out = { table.unpack(caller, 4) }, flash = caller.flash }
    local r = run_one(row, OURS)
    rig.equal(r.status, 0, "status: " .. r.err)
    judge(row, r, caller[1])
  end)
end
