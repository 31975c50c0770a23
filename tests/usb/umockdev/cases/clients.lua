-- SPDX-License-Identifier: MIT
-- A client that is not ours: Debian's dfu-util, unmodified. It shows that what stands behind the
-- ioctls here is a board like others.
local rig = require "rig"

local F407 = rig.F407

local function dfu_util(...)
  local r = rig.run { "dfu-util", ... }
  if r.status == 127 then rig.skip("there is no dfu-util") end
  return r
end

rig.case("dfu-util lists the board as the real one is listed", function()
  local board <close> = rig.board({ serial = "315A28A0B956" })
  local r = dfu_util("-l")
  rig.equal(r.status, 0, "status")
  rig.has(r.out, 'Found DFU: [0483:df11] ver=2100, devnum=', "the first words")
  rig.has(r.out, 'cfg=1, intf=0, path="1-1", alt=0, name="@Internal Flash  '
    .. '/0x08000000/04*016Kg,01*064Kg,07*128Kg", serial="315A28A0B956"\n', "alt 0")
  rig.has(r.out, 'alt=3, name="@Device Feature/0xFFFF0000/01*004 g", serial=', "alt 3")
  rig.equal(board:claims(), 0, "claims")
end)

rig.case("dfu-util downloads, and what moonflash reads is that", function()
  local board <close> = rig.board()
  local r = dfu_util("-a", "0", "-s", "0x08000000", "-D", F407.image)
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.check(board:peek(rig.FLASH, F407.size) == F407.new, "the flash is wrong")
  rig.equal(rig.moonflash("verify", F407.image).status, 0, "moonflash verify")
end)

rig.case("moonflash flashes, and what dfu-util uploads is that", function()
  local board <close> = rig.board()
  rig.equal(rig.moonflash("flash", F407.image).status, 0, "moonflash flash")
  local name = rig.place .. "/upload.bin"
  local r = dfu_util("-a", "0", "-s", "0x08000000:" .. #F407.bytes, "-U", name)
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.check(rig.read_file(name) == F407.bytes, "what it uploaded is wrong")
  rig.equal(board:life(), "dfu", "the board")
end)

rig.case("dfu-util tells the board to leave", function()
  local board <close> = rig.board()
  local r = dfu_util("-a", "0", "-s", "0x08000000:leave", "-D", F407.image)
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.equal(board:life(), "running", "the board")
  local address, works = board:started()
  rig.equal(address, rig.FLASH, "it started from")
  rig.check(works, "the program does not work")
end)

rig.case("28 dfu-util has the board", function()
  local board <close> = rig.board()
  board:strike("gate", 20)
  local job = rig.start { "dfu-util", "-a", "0", "-s", "0x08000000", "-D", F407.image }
  for _ = 1, 500 do
    if board:is_held() then break end
    job:watch(0.01)
  end
  if not board:is_held() and rig.finish(job).status == 127 then rig.skip("there is no dfu-util") end
  local r = rig.moonflash("flash", F407.image)
  rig.equal(r.status, 75, "moonflash")
  board:open_gate()
  rig.equal(rig.finish(job).status, 0, "dfu-util")
  rig.check(board:peek(rig.FLASH, F407.size) == F407.new, "the flash is wrong")
end)

rig.case("moonflash takes at most three transfers a block, and fifty-five more", function()
  local board <close> = rig.board()
  board:begin()
  rig.equal(rig.moonflash("flash", F407.image).status, 0, "moonflash flash")
  local blocks = (#F407.bytes + 2047) // 2048
  rig.check(board:requests() <= 3 * blocks + 55, "%d requests for %d blocks", board:requests(),
    blocks)
end)

rig.case("moonflash traces what libusb carried", function()
  local board <close> = rig.board()
  local name = rig.place .. "/session.pcap"
  board:begin()
  local r = rig.moonflash("--trace", "--pcap", name, "flash", F407.image, "--leave")
  rig.equal(r.status, 0, "status: " .. r.err)
  local lines = select(2, r.err:gsub("\n *%d+%.%d%d%d +[%d.]+  %u", "")) -- below the heading
  -- but for GET_CONFIGURATION, which libusb sends by itself when the board is opened
  rig.equal(lines, board:requests() - 1, "requests in the trace")
  -- device and configuration descriptor, and set configuration: what the kernel had done
  local bytes, records, at = rig.read_file(name), 0, 25
  while at <= #bytes do
    local bus, device = bytes:byte(at + 16 + 12), bytes:byte(at + 16 + 11)
    rig.check(bus == 1 and device > 0, "bus %d, device %d", bus, device)
    records, at = records + 1, at + 16 + ("<I4"):unpack(bytes, at + 8)
  end
  rig.equal(records, 2 * (lines + 3), "records in the capture")
end)
