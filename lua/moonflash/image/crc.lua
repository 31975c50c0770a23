-- SPDX-License-Identifier: MIT
-- 32-bit CRCs with the polynomial 0x04C11DB7, four bytes at a time, with a table for each of them.
local M = {}

local POLYNOMIAL <const>, REFLECTED <const> = 0x04C11DB7, 0xEDB88320
local START <const> = 0xFFFFFFFF

local function reflected(i)
  for _ = 1, 8 do i = i & 1 == 1 and i >> 1 ~ REFLECTED or i >> 1 end
  return i
end

local function straight(i)
  i = i << 24
  for _ = 1, 8 do i = i & 1 << 31 ~= 0 and i << 1 ~ POLYNOMIAL or i << 1 end
  return i & 0xFFFFFFFF
end

-- tables[k][i]: the contribution of byte i after k - 1 more bytes.
local function tables(of_byte, further)
  local t = { {}, {}, {}, {} }
  for i = 0, 255 do t[1][i] = of_byte(i) end
  for k = 2, 4 do
    for i = 0, 255 do t[k][i] = further(t[k - 1][i], t[1]) end
  end
  return t
end

local R, S -- the tables, made at first use

-- Lowest bit first, as in zlib, Ethernet and DFU's suffix.
local function reflected_crc(bytes)
  R = R or tables(reflected, function(v, t) return v >> 8 ~ t[v & 0xFF] end)
  local crc, words = START, #bytes // 4
  local r1, r2, r3, r4, unpack = R[1], R[2], R[3], R[4], string.unpack
  for at = 1, words * 4, 4 do
    crc = crc ~ unpack("<I4", bytes, at)
    crc = r4[crc & 0xFF] ~ r3[crc >> 8 & 0xFF] ~ r2[crc >> 16 & 0xFF] ~ r1[crc >> 24]
  end
  for at = words * 4 + 1, #bytes do
    crc = crc >> 8 ~ r1[(crc ~ bytes:byte(at)) & 0xFF]
  end
  return crc
end

-- Highest bit first; `format` unpacks the words.
local function straight_crc(bytes, format)
  S = S or tables(straight, function(v, t) return v << 8 & 0xFFFFFFFF ~ t[v >> 24] end)
  local crc, words = START, #bytes // 4
  local s1, s2, s3, s4, unpack = S[1], S[2], S[3], S[4], string.unpack
  for at = 1, words * 4, 4 do
    crc = crc ~ unpack(format, bytes, at)
    crc = s4[crc >> 24] ~ s3[crc >> 16 & 0xFF] ~ s2[crc >> 8 & 0xFF] ~ s1[crc & 0xFF]
  end
  for at = words * 4 + 1, #bytes do
    crc = crc << 8 & 0xFFFFFFFF ~ s1[crc >> 24 ~ bytes:byte(at)]
  end
  return crc
end

---The CRC in the suffix of a DFU file (DFU 1.1, appendix B): zlib's, with all bits inverted.
---@param bytes string
---@return integer
function M.dfu(bytes)
  return reflected_crc(bytes)
end

M.kinds = {
  ["crc32"] = function(bytes) return reflected_crc(bytes) ~ 0xFFFFFFFF end,
  ["crc32/mpeg-2"] = function(bytes) return straight_crc(bytes, ">I4") end,
  -- STM32's CRC unit after a reset, fed with words of the flash (RM0090 chapter 4)
  ["stm32"] = function(bytes) return straight_crc(bytes, "<I4") end,
}

return M
