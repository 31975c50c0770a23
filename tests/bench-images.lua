-- SPDX-License-Identifier: MIT
-- Measures what it takes to load images: processor time, with the hash, and the memory of a process
-- that does nothing else.
--   build/moonflash tests/bench-images.lua build/moonflash
local MB = 1 << 20
local ADDRESS = 0x08000000

local function random_bytes(n)
  math.randomseed(407)
  local words = {}
  for i = 1, n // 8 do words[i] = ("<i8"):pack(math.random(0)) end
  return table.concat(words)
end

-- A program of one segment, without section headers.
local function elf(bytes)
  return ("<c4BBBBc8I2I2I4I4I4I4I4I2I2I2I2I2I2I4I4I4I4I4I4I4I4"):pack("\127ELF", 1, 1, 1, 0, "", 2,
    40, 1, ADDRESS + 1, 52, 0, 0, 52, 32, 1, 40, 0, 0, 1, 84, ADDRESS, ADDRESS, #bytes, #bytes, 5,
    4) .. bytes
end

-- A million records of one byte; place(i) says where.
local function tiny(place)
  local lines, high = {}, nil
  for i = 0, 999999 do
    local at = ADDRESS + place(i)
    if at >> 16 ~= high then
      high = at >> 16
      lines[#lines + 1] = (":02000004%04X%02X\n"):format(high, -(6 + (high >> 8) + high) & 0xFF)
    end
    local low = at & 0xFFFF
    lines[#lines + 1] = (":01%04X0055%02X\n"):format(low, -(0x56 + (low >> 8) + low) & 0xFF)
  end
  return table.concat(lines) .. ":00000001FF\n"
end

local name = os.tmpname()

local function measure(title, write)
  write()
  local pipe = assert(io.popen(([[%s -e "local clock = os.clock() local it = image.load('%s')
    print(it.size, os.clock() - clock, sys.peak_memory() / 2 ^ 20, it.files[1].size / 2 ^ 20)"]])
    :format(arg[1] or "build/moonflash", name)))
  local _, seconds, memory, size = pipe:read("n", "n", "n", "n")
  pipe:close()
  print(("%-34s %5.1f MB  %6.3f s  %6.1f MB"):format(title, size, seconds, memory))
  return seconds
end

-- Processor time of binutils' objcopy, which makes a binary of the same file.
local function objcopy_seconds(format)
  local command = [[bash -c "time objcopy -I %s -O binary '%s' /dev/null" 2>&1]]
  local pipe = assert(io.popen(command:format(format, name)))
  local words = pipe:read("a")
  pipe:close()
  local user, system = words:match("user%s+%d+m([%d.]+)s%s+sys%s+%d+m([%d.]+)s")
  return user and user + system
end

local function bytes_of(make)
  return function()
    local file <close> = assert(io.open(name, "wb"))
    file:write(make())
  end
end

print("image.load of                          file processor  memory")
local firmware = image.new { segments = { { address = ADDRESS, bytes = random_bytes(MB) } } }
for _, format in ipairs { "bin", "hex", "srec", "dfu" } do
  measure("1 MB, " .. format, function() firmware:save(name, format) end)
end
measure("1 MB, elf", bytes_of(function() return elf(firmware.segments[1].bytes) end))
local big = image.new { segments = { { address = ADDRESS, bytes = random_bytes(17 * MB) } } }
for _, format in ipairs { "hex", "srec" } do
  local seconds = measure("17 MB, " .. format, function() big:save(name, format) end)
  local theirs = objcopy_seconds(format == "hex" and "ihex" or format)
  if theirs then print(("  %.2f times objcopy's %.2f s"):format(seconds / theirs, theirs)) end
end
measure("a million records of a byte", bytes_of(function()
  return tiny(function(i) return i end)
end))
measure("the same, shuffled", bytes_of(function()
  return tiny(function(i) return i * 7919 % 1000000 end)
end))
measure("the same, with gaps", bytes_of(function() return tiny(function(i) return i * 2 end) end))
os.remove(name)
