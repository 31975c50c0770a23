-- SPDX-License-Identifier: MIT
-- The kept bytes: --keep reads them from sectors that are about to be erased. Until they are
-- written back the board has no copy, so they are saved to a file in the working directory before
-- the first erase. The file is removed after verification. Neither a signal nor a power cut loses
-- the bytes.
--
-- The file is Intel HEX, with comment lines in front: the board, the range and the image. Running
-- the same command again takes the bytes from its board's file. Any other write over that range is
-- refused until the file has been written back or removed.
local bus = require "moonflash.board.bus"
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local images = require "moonflash.image"
local part_of = require "moonflash.board.part"
local setting = require "moonflash.flash.setting"
local sys = require "sys"
local text = require "moonflash.base.text"

local M = {}

local PREFIX, SUFFIX = "moonflash-kept-", ".hex"
local MOST = 64 << 20 -- bytes of such a file
local HEAD = 4096     -- bytes to read for the comment lines

-- ---- where the files are stored ----

-- Storage in the working directory.
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

---Keeps these files in memory until the returned value is closed. Used by rehearse.
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

-- A hash of an image's contents, which does not depend on the names of its files.
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

-- A value in a comment line is one word; strings from devices may have blanks in them.
local function one_word(s)
  return (s:gsub("[^%g]", "_"))
end

local function head_of(board, pieces, image)
  local last = pieces[#pieces]
  local lines = {
    "; kept by moonflash: data beside an image, in sectors to be erased",
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

-- Whether a serial number is ambiguous: it is known to be shared, or two boards here have it.
local function is_shared(board, serial)
  if serial == "-" or part_of.is_shared_serial(serial) then return true end
  return #bus.find { vid = board.vid, pid = board.pid, serial = serial, mode = "dfu" } > 1
end

local function is_of(board, file)
  local serial = board.serial or "-"
  if file.ids ~= ids_of(board) or file.serial ~= one_word(serial) then return false end
  return file.path == one_word(board.path) or not is_shared(board, serial)
end

-- The files of a board, sorted by name.
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

-- ---- use in a plan ----

local function pieces_in(file)
  local pieces = images.parse_hex(file.name, store.read(file.name))
  for _, piece in ipairs(pieces) do piece.alt = file.alt end
  return pieces
end

-- Whether a board's memory can be the result of an interrupted run that kept these pieces: each
-- byte is unchanged or erased. Another board with the same serial number has other bytes there.
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

---The pieces in the file that an interrupted run of the same command left. Among several matching
---files, the one from this board's path is taken.
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

-- Whether an image was loaded from this file.
local function is_image(file, image)
  for _, part in ipairs(image.files or {}) do
    if part.name == file.name and part.sha256 == sys.sha256(store.read(file.name)) then
      return true
    end
  end
  return false
end

-- Whether all sectors of a plan are in the alternate setting that the file was read from.
local function is_in_its_setting(file, sectors)
  for _, sector in ipairs(sectors) do
    if file.alt and sector.alt ~= file.alt then return false end
  end
  return true
end

-- Whether the sectors of a plan cover all bytes of a file.
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

-- The path in a file whose bytes do not match this board's memory; nil if they may match.
local function elsewhere(board, file)
  local can_read = class.state(board).info.functional.attributes.can_upload
  if not can_read or can_be_of(board, pieces_in(file)) then return nil end
  return file.path
end

-- Whether a plan erases or writes in the range of a file.
local function is_over(file, sectors)
  for _, sector in ipairs(sectors) do
    local there = sector.address <= file.last and sector.address + sector.size - 1 >= file.first
    if there and (not file.alt or file.alt == sector.alt) and sector.state ~= "same" then
      return true
    end
  end
  return false
end

---Raises `image.kept` if a plan would write over the range of a kept file. If the image is that
---file, and the plan covers all of it, the file is being written back: returns it.
---@param board table
---@param image table
---@param sectors table[] of a plan
---@param taken? table the file whose bytes are part of the plan
---@return table? file
function M.check(board, image, sectors, taken)
  for _, file in ipairs(files_of(board)) do
    local itself = is_image(file, image)
    if itself and is_in_its_setting(file, sectors) then
      return has_all(file, sectors) and file or nil
    end
    -- a file that the same command did not take is from another board with this serial number
    if itself or is_over(file, sectors) and not (taken and taken.image == file.image) then
      errors.raise { code = "image.kept", path = board.path, address = file.first,
        remedy = { "restore", file = file.name, first = file.first, last = file.last,
                   path = board.path, alt = file.alt, elsewhere = elsewhere(board, file) },
        message = ("%s: an unfinished run left kept bytes in %s"):format(board.path, file.name) }
    end
  end
end

-- The kept pieces of all sectors of a plan.
local function pieces_of(plan)
  local pieces = {}
  for _, sector in ipairs(plan.sectors) do
    for _, piece in ipairs(sector.erase and sector.kept or {}) do pieces[#pieces + 1] = piece end
  end
  return pieces
end

-- Whether any of the pieces may have been erased. On a board without a trusted layout, an erase may
-- have erased more than its sector.
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

-- Adds the file to an error. Running the command again becomes the last of its remedies.
local function name_file(err, file)
  if not errors.is(err) then return end
  local before = type(err.remedy) == "table" and err.remedy or {}
  local remedy = {}
  for key, value in pairs(before) do
    if type(key) == "string" and key ~= "again" then remedy[key] = value end
  end
  for _, name in ipairs(before) do
    if name == "again-then-replug" then name = "replug" end
    if name ~= "again" then remedy[#remedy + 1] = name end
  end
  remedy[#remedy + 1] = "again"
  err.remedy, err.kept = remedy, file.name
end

---Writes the kept bytes of a plan to a file, before the first erase. Raises `file.write`. The
---caller closes the returned value when the plan has been carried out or has failed, and calls its
---verified() when all bytes have been verified.
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
