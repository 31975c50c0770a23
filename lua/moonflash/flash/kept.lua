-- SPDX-License-Identifier: MIT
-- What --keep reads of sectors that are going to be erased stands nowhere else until it is written
-- again. So it goes to a file in the working directory before the first erase, and the file is
-- removed after verification: neither a signal nor a power cut loses these bytes.
--
-- The file is Intel HEX with lines of comment in front: the board, the range and the image. The
-- same command takes the bytes from the file of its board; any other write over that range is
-- refused until the file has been written back, or was removed.
local bus = require "moonflash.board.bus"
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local images = require "moonflash.image"
local parts = require "moonflash.board.families"
local setting = require "moonflash.flash.setting"
local sys = require "sys"
local text = require "moonflash.base.text"

local M = {}

local PREFIX, SUFFIX = "moonflash-kept-", ".hex"
local MOST = 64 << 20 -- bytes of such a file
local HEAD = 4096     -- bytes in which its first lines stand

-- ---- where the files are ----

-- The working directory.
local folder = {
  names = function() return sys.readdir(".") or {} end,
  read = function(name) return files.read(name, MOST) end,
  head = function(name)
    local file = io.open(name, "rb")
    local head = file and file:read(HEAD) or ""
    if file then file:close() end
    return head
  end,
  write = function(name, bytes)
    files.write(name, bytes)
    local ok, why = sys.sync_folder(".")
    if not ok then
      os.remove(name)
      errors.raise { code = "file.write",
        message = ("%s: can't make sure that the file is on the disk: %s"):format(name,
          tostring(why)) }
    end
  end,
  remove = function(name) os.remove(name) end,
  exists = function(name) return sys.stat(name) ~= nil end,
}

local store = folder

---Until what this returns is closed, such files are kept in memory: a rehearsal's.
---@return table
function M.in_memory()
  local before, contents = store, {}
  store = {
    names = function()
      local names = {}
      for name in pairs(contents) do names[#names + 1] = name end
      return names
    end,
    read = function(name) return contents[name] end,
    head = function(name) return contents[name]:sub(1, HEAD) end,
    write = function(name, bytes) contents[name] = bytes end,
    remove = function(name) contents[name] = nil end,
    exists = function(name) return contents[name] ~= nil end,
  }
  return setmetatable({}, { __close = function() store = before end })
end

-- ---- one file ----

-- What tells an image from others, whatever its files are called.
local function hash_of(image)
  local pieces = {}
  for i, segment in ipairs(image.segments) do
    pieces[i] = ("<I4I4"):pack(segment.address, #segment.bytes) .. segment.bytes
  end
  return sys.sha256(table.concat(pieces))
end

local function ids_of(board)
  return ("%04x:%04x"):format(board.vid, board.pid)
end

-- A line of the file's head has one word a value; strings from devices may have anything.
local function one_word(s)
  return (s:gsub("[^%g]", "_"))
end

local function head_of(board, pieces, image)
  local last = pieces[#pieces]
  local lines = {
    "; kept by moonflash: bytes that stood beside an image, in sectors that it erases",
    ("; board: %s serial %s at %s"):format(ids_of(board), one_word(board.serial or "-"),
      one_word(board.path)),
    ("; range: %s"):format(text.range(pieces[1].address, last.address + #last.bytes - 1)),
    ("; image: %s %s"):format(hash_of(image), image.name:gsub("%c", "?")),
  }
  if pieces[1].alt then lines[#lines + 1] = ("; alternate setting: %d"):format(pieces[1].alt) end
  return table.concat(lines, "\n") .. "\n"
end

local function read_head(name)
  local head = store.head(name)
  local ids, serial, path = head:match("\n; board: (%x+:%x+) serial (%g+) at (%g+)\n")
  local first, last = head:match("\n; range: (0x%x+)%.%.(0x%x+)\n")
  local alt = head:match("\n; alternate setting: (%d+)\n")
  local image = head:match("\n; image: (%x+) ")
  if not (ids and first and image) then return nil end
  return { name = name, ids = ids, serial = serial, path = path, image = image,
           first = tonumber(first), last = tonumber(last), alt = math.tointeger(tonumber(alt)) }
end

-- Whether a serial number does not tell a board from others: many have it, or two that are here.
local function is_shared(board, serial)
  if serial == "-" or parts.is_shared_serial(serial) then return true end
  return #bus.find { vid = board.vid, pid = board.pid, serial = serial, mode = "dfu" } > 1
end

local function is_of(board, file)
  local serial = board.serial or "-"
  if file.ids ~= ids_of(board) or file.serial ~= one_word(serial) then return false end
  return file.path == one_word(board.path) or not is_shared(board, serial)
end

-- The files that are a board's, by name.
local function files_of(board)
  local list = {}
  local names = store.names()
  table.sort(names)
  for _, name in ipairs(names) do
    if name:sub(1, #PREFIX) == PREFIX and name:sub(-#SUFFIX) == SUFFIX then
      local file = read_head(name)
      if file and is_of(board, file) then list[#list + 1] = file end
    end
  end
  return list
end

local function unused(board, address)
  local serial = (board.serial or board.path):gsub("[^%w-]", "_")
  return files.unused(("%s%s-%08X"):format(PREFIX, serial, address), SUFFIX, store.exists)
end

-- ---- for a plan ----

local function pieces_in(file)
  local pieces = images.parse_hex(file.name, store.read(file.name))
  for _, piece in ipairs(pieces) do piece.alt = file.alt end
  return pieces
end

-- Whether what stands on a board can be what an interrupted run left of these pieces: each byte is
-- as it was, or erased. Another board with the same serial number has bytes of its own there.
local function can_be_of(board, pieces)
  local own, same = 0, 0
  for _, piece in ipairs(pieces) do
    local found = setting.read(board, piece.alt, piece.address, #piece.bytes)
    for i = 1, #found do
      local byte = found:byte(i)
      if byte ~= 0xFF and byte ~= 0 then
        own = own + 1
        if byte == piece.bytes:byte(i) then same = same + 1 end
      end
    end
  end
  return same * 2 >= own
end

---The pieces of a file that the same command left behind; it goes on where that stopped. Where
---several files can be of this board, the one of this place.
---@param board table
---@param image table
---@return table[] pieces
---@return table? file
function M.find(board, image)
  local hash, fitting, here = hash_of(image), {}, nil
  for _, file in ipairs(files_of(board)) do
    if file.image == hash then
      file.pieces = pieces_in(file)
      if can_be_of(board, file.pieces) then
        fitting[#fitting + 1] = file
        if file.path == one_word(board.path) then here = file end
      end
    end
  end
  local file = here or #fitting == 1 and fitting[1] or nil
  if not file then return {}, nil end
  events.emit("remark", board, "kept-taken", { first = file.first, last = file.last,
                                               file = file.name })
  return file.pieces, file
end

-- Whether an image is that very file.
local function is_image(file, image)
  for _, part in ipairs(image.files or {}) do
    if part.name == file.name and part.sha256 == sys.sha256(store.read(file.name)) then
      return true
    end
  end
  return false
end

-- Whether the sectors of a plan are in the alternate setting that a file was read from.
local function is_in_its_setting(file, sectors)
  for _, sector in ipairs(sectors) do
    if file.alt and sector.alt ~= file.alt then return false end
  end
  return true
end

-- Whether the sectors of a plan have all of a file.
local function has_all(file, sectors)
  local missing = 0
  for _, piece in ipairs(pieces_in(file)) do
    missing = missing + #piece.bytes
    for _, sector in ipairs(sectors) do
      for _, part in ipairs(sector.pieces) do
        local from = math.max(part.address, piece.address)
        local to = math.min(part.address + #part.bytes, piece.address + #piece.bytes)
        missing = missing - math.max(to - from, 0)
      end
    end
  end
  return missing <= 0
end

-- The place that a file names, where the file can't have come from this board as it is now.
local function elsewhere(board, file)
  local can_read = class.state(board).info.functional.attributes.can_upload
  if not can_read or can_be_of(board, pieces_in(file)) then return nil end
  return file.path
end

-- Whether a plan erases or writes where the bytes of a file belong.
local function is_over(file, sectors)
  for _, sector in ipairs(sectors) do
    local there = sector.address <= file.last and sector.address + sector.size - 1 >= file.first
    if there and (not file.alt or file.alt == sector.alt) and sector.state ~= "same" then
      return true
    end
  end
  return false
end

---Raises `image.kept` where a plan would write over a range of which a file has the bytes. Returns
---the file that the image is, where it is one and the plan has all of it: it is being written back.
---@param board table
---@param image table
---@param sectors table[] of a plan
---@param taken? table the file whose bytes the plan has
---@return table? file
function M.check(board, image, sectors, taken)
  for _, file in ipairs(files_of(board)) do
    local itself = is_image(file, image)
    if itself and is_in_its_setting(file, sectors) then
      return has_all(file, sectors) and file or nil
    end
    -- one of the same command is another board's that has this serial number, too
    if itself or is_over(file, sectors) and not (taken and taken.image == file.image) then
      errors.raise { code = "image.kept", path = board.path, address = file.first,
        remedy = { "restore", file = file.name, first = file.first, last = file.last,
                   path = board.path, alt = file.alt, elsewhere = elsewhere(board, file) },
        message = ("%s: an unfinished --keep left %s"):format(board.path, file.name) }
    end
  end
end

-- The pieces that are kept, of all sectors.
local function pieces_of(plan)
  local pieces = {}
  for _, sector in ipairs(plan.sectors) do
    for _, piece in ipairs(sector.erase and sector.kept or {}) do pieces[#pieces + 1] = piece end
  end
  return pieces
end

-- Whether any of the pieces may not be on the board any more. Where sectors are not known, an erase
-- may have taken more than its own.
local function is_touched(board, pieces, trusted)
  local claims = class.state(board).journal:claims()
  if not trusted then return #claims > 0 end
  for _, claim in ipairs(claims) do
    for _, piece in ipairs(pieces) do
      if claim.first <= piece.address + #piece.bytes - 1 and claim.last >= piece.address then
        return true
      end
    end
  end
  return false
end

-- What else can be done about the error comes before running the same command again.
local function name_file(err, file)
  if not errors.is(err) then return end
  local remedy = { }
  for key, value in pairs(err.remedy or {}) do
    if value ~= "again" then remedy[key] = value end
  end
  remedy.again = nil
  remedy[#remedy + 1] = "again"
  err.remedy, err.kept = remedy, file.name
end

---Writes what a plan keeps to its file, before anything is erased. Raises `file.write`. To be
---closed when the plan was carried out, or failed; verified() says that all of it stands on the
---board.
---@param board table
---@param plan table
---@return table
function M.guard(board, plan)
  local pieces, file = pieces_of(plan), plan.kept_file
  if #pieces > 0 and not file then
    local bytes = head_of(board, pieces, plan.image)
      .. images.new({ segments = pieces, name = "kept" }):encode("hex")
    file = { name = unused(board, pieces[1].address) }
    store.write(file.name, bytes)
  end
  local fields = class.state(board)
  fields.history:keep_in(file and file.name)
  if file then fields.history:keep_last_words() end
  local guard = { restored = plan.restored }

  function guard.verified()
    for _, done in ipairs { file or false, guard.restored or false } do
      if done then store.remove(done.name) end
    end
    file = nil
    fields.history:keep_in()
  end

  return setmetatable(guard, { __close = function(_, err)
    fields.history:keep_in()
    if not file then return end
    if err == nil then
      events.emit("remark", board, "kept-stays", { file = file.name })
    elseif not plan.kept_file and not is_touched(board, pieces, plan.trusted) then
      store.remove(file.name)
    else
      name_file(err, file)
    end
  end })
end

return M
