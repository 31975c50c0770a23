-- The board of a product that does not exist, for tests/cli/product.t: sim:./widget.lua.
return {
  base = "f407",
  vid = 0x1209, pid = 0x0001,
  product = "Widget 3", manufacturer = "ACME", serial = "W0001",
  memories = {
    { name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg" },
    { name = "@External QSPI  /0x90000000/16*64Kg", erase = 0.15, unit = 256, write = 0.0004 },
    { name = "@Option Bytes  /0x1FFFC000/01*016 g", role = "options" },
  },
  application = { vid = 0x1209, pid = 0x0002, product = "Widget 3, running", dfu = true,
                  tty = "/dev/ttyACM7" },
}
