-- SPDX-License-Identifier: MIT
-- Images: what is to be written, as a value: segments of bytes with their addresses.
--
-- Raw binaries for now. Each further format will be a file beside this one, that recognises its
-- own by content and gives the same kind of value.
local errors = require "moonflash.errors"
local files = require "moonflash.files"
local sys = require "sys"
local text = require "moonflash.text"

local M = {}

local MOST = 64 * 1024 * 1024 -- bytes of a file: no chip of ours has as much flash
local DEFAULT_ADDRESS = 0x08000000

-- Formats that are recognised, so that they are never written raw by mistake.
local known = {
  { "an ELF program", "^\127ELF" },
  { "a DfuSe file", "^DfuSe\1" },
  { "Intel HEX", "^:%x%x%x%x%x%x%x%x%x+[\r\n]" },
  { "Motorola S-records", "^S[0-9]%x%x%x%x%x%x+[\r\n]" },
}

---What kind of firmware the bytes are: "Intel HEX", ...; nil for anything else.
---@param bytes string
---@return string?
function M.recognise(bytes)
  for _, format in ipairs(known) do
    if bytes:find(format[2]) then return format[1] end
  end
end

-- FILE@ADDRESS, unless there is a file of that very name.
local function split(spec)
  local name, at = spec:match("^(.*)@([^@/]*)$")
  if not name or sys.stat(spec) then return spec end
  local address, why = text.parse_integer(at, 0xFFFFFFFF)
  if not address then
    errors.raise { code = "usage", message = ("%s: %s"):format(spec, why),
                   hint = "FILE@ADDRESS says where a raw binary goes: app.bin@0x08010000" }
  end
  return name, address
end

-- A Cortex-M vector table: the stack pointer in some RAM, and handlers that are odd (Thumb) and in
-- the flash (ARMv7-M reference manual B1.5.3; addresses are ST's).
local VECTORS = 16

local function is_ram(sp)
  return sp % 4 == 0 and (sp > 0x20000000 and sp <= 0x20100000 or sp > 0x10000000
    and sp <= 0x10010000 or sp > 0x24000000 and sp <= 0x24100000)
end

local function is_code(handler)
  return handler % 2 == 1 and handler > 0x08000000 and handler < 0x08200000
end

-- Where the program was linked for: the lowest of its first handlers, which stand close behind
-- the table, rounded down.
local function linked_for(bytes)
  local lowest = 0xFFFFFFFF
  for i = 1, math.min(VECTORS, #bytes // 4) - 1 do
    local handler = ("<I4"):unpack(bytes, i * 4 + 1)
    if is_code(handler) and handler < lowest then lowest = handler end
  end
  return lowest & ~0xFFF
end

-- Refuses a program that was clearly linked for elsewhere.
local function check_vectors(name, bytes, address)
  if #bytes < 8 then return end
  local sp, reset = ("<I4I4"):unpack(bytes)
  if not is_ram(sp) or not is_code(reset) then return end -- data, without a vector table
  local last = address + #bytes - 1
  if reset >= address and reset <= last then return end
  local there = linked_for(bytes)
  errors.raise { code = "image",
    message = ("%s: its reset vector is %s, outside %s, where it would go"):format(name,
      text.hex(reset), text.range(address, last)),
    hint = ("moonflash flash %s@%s    puts it where it was linked for\n"):format(name,
        text.hex(there)) .. "--force writes it all the same." }
end

local Image = {}
Image.__index = Image
Image.__name = "image"

function Image:__tostring()
  return ("%s (%s, %s)"):format(self.name, self.format, text.size(self.size))
end

---Loads firmware.
---@param spec string FILE or FILE@ADDRESS
---@param options? table address: where a raw binary goes; force: even if it is linked for elsewhere
---@return table image name, format, size, start, segments = { { address=, bytes= }, ... }
function M.load(spec, options)
  if type(spec) ~= "string" then error("image.load takes the name of a file", 2) end
  options = options or {}
  local name, address = split(spec)
  address = address or rawget(options, "address") or DEFAULT_ADDRESS
  if math.type(address) ~= "integer" or address < 0 or address > 0xFFFFFFFF then
    error("image.load: an address has 32 bits", 2)
  end
  local bytes = files.read(name, MOST)
  local format = M.recognise(bytes)
  if format then
    errors.raise { code = "image", message = ("%s is %s, not a raw binary"):format(name, format),
      hint = "This version writes raw binaries: arm-none-eabi-objcopy -O binary makes one." }
  end
  if address + #bytes > 1 << 32 then
    errors.raise { code = "image", message = ("%s does not fit behind %s: addresses have 32 bits")
      :format(name, text.hex(address)) }
  end
  if not rawget(options, "force") then check_vectors(name, bytes, address) end
  return setmetatable({
    name = name:match("[^/]+$") or name, format = "bin", size = #bytes, start = address,
    segments = { { address = address, bytes = bytes } },
  }, Image)
end

return M
