The first minute: what a person types who has no board yet.

$ moonflash --virtual-time --device sim:f407 discovery ch.bin
wrote 57.5 KB, verified, started 0x08000000 (1.3 s)
$ moonflash
moonflash: no recipe given
  moonflash help        lists them, and the options
  moonflash --device sim:f407 flash firmware.bin    flashes a simulated board
[status 64]
$ moonflash --version
moonflash ~.~.~, Lua 5.4
$ moonflash help
Usage: moonflash [options] RECIPE [its options]

Flashes boards over USB DFU, by recipes: Lua scripts. A recipe is the name of one
of these, or a file (./mine.lua):

  boards       Show what is known of a chip, and how well
  convert      Convert firmware to bin, hex, srec or dfu
  detach       Put a board that runs its program into DFU mode
  dfu-prefix   Stand in for dfu-prefix 0.11
  dfu-suffix   Stand in for dfu-suffix 0.11
  dfu-util     Stand in for dfu-util 0.11: its options, and verification
  discovery    Flash ch.bin on an STM32F4 Discovery and start it
  doctor       Find out why flashing does not work
  erase        Erase sectors, or everything
  flash        Write firmware to a board, and verify it
  info         Show everything a board reports about itself
  leave        Leave DFU mode and start the program
  list         List the boards that are connected
  optbytes     Show the option bytes by name, or change some
  read         Read a board's memory into a file
  recipes      List the recipes, show one, or make a new one
  records      Show what a station has recorded
  rehearse     Run a recipe on simulated boards, with every fault at every request
  repl         Type Lua, with the board at hand (also -i)
  sim          Offer simulated boards to this computer as USB devices (USB/IP)
  slots        Show the slots of a fixture, and what is in them
  station      Run a recipe for every unit that is put in, with records
  test         Run tests of recipes, on simulated boards
  udev         Print the udev rule that lets you open boards
  unprotect    Remove the read protection; ERASES THE WHOLE CHIP
  verify       Compare firmware with the contents of a board

Options, on either side of the recipe (-e, -i and --version in front of it):

  -d, --device SELECTOR   the board: 1-4.2, 0483:df11, serial=..., a slot, or
                          sim:f407, which is simulated (may be repeated;
                          default: $MOONFLASH_DEVICE)
  --every-board           run on all boards that match
  --every-slot            run on the boards in all slots (moonflash help
                          fixtures)
  --slots FILE            file that names the places of boards (default: your
                          slots.lua)
  --wait SECONDS          wait up to SECONDS for a board to appear
  --layout LAYOUT         memory layout, for a board that does not report one:
                          @Flash/0x08000000/04*016Kg,...
  --dry-run               show what would be done, and change nothing
  --json                  JSON on standard output, one object a line
  --report FILE.html      write a report of the run into FILE.html, with a
                          picture of the memory
  --trace                 print each USB request in readable form
  --trace-bytes           the same, with the data
  --pcap-blank            leave firmware and serial numbers out of the file of
                          --pcap
  --pcap FILE             write all USB requests into FILE, for Wireshark
  -q, --quiet             no progress
  --progress WHEN         bars and rows: 'auto' (on a terminal), or 'never'
  --virtual-time          simulated boards only: skip all waiting
  -e CODE                 run Lua code
  -i                      stay at the prompt afterwards
  --version               show the version
  -h, --help              show this help

moonflash help RECIPE     what a recipe does, and its options
moonflash help WORD       what the manual says of a function, a field, an error code
moonflash help CHAPTER    a chapter of the manual; index is the way through:
  api boards debugging design dfu-util fixtures index internals plan
  protocol recipes report station testing trace
moonflash repl            a prompt: type Lua, with the board at hand
moonflash recipes --show RECIPE   its source, to copy
$ moonflash recipes
  boards       Show what is known of a chip, and how well
  convert      Convert firmware to bin, hex, srec or dfu
  detach       Put a board that runs its program into DFU mode
  dfu-prefix   Stand in for dfu-prefix 0.11
  dfu-suffix   Stand in for dfu-suffix 0.11
  dfu-util     Stand in for dfu-util 0.11: its options, and verification
  discovery    Flash ch.bin on an STM32F4 Discovery and start it
  doctor       Find out why flashing does not work
  erase        Erase sectors, or everything
  flash        Write firmware to a board, and verify it
  info         Show everything a board reports about itself
  leave        Leave DFU mode and start the program
  list         List the boards that are connected
  optbytes     Show the option bytes by name, or change some
  read         Read a board's memory into a file
  recipes      List the recipes, show one, or make a new one
  records      Show what a station has recorded
  rehearse     Run a recipe on simulated boards, with every fault at every request
  repl         Type Lua, with the board at hand (also -i)
  sim          Offer simulated boards to this computer as USB devices (USB/IP)
  slots        Show the slots of a fixture, and what is in them
  station      Run a recipe for every unit that is put in, with records
  test         Run tests of recipes, on simulated boards
  udev         Print the udev rule that lets you open boards
  unprotect    Remove the read protection; ERASES THE WHOLE CHIP
  verify       Compare firmware with the contents of a board

Examples to copy (moonflash recipes --show examples/product):
  examples/factory
  examples/first
  examples/first_test
  examples/fixture
  examples/line
  examples/line_test
  examples/product
  examples/product_test
  examples/station
$ moonflash recipes --show discovery
-- SPDX-License-Identifier: MIT
-- discovery.lua: flashes ch.bin on an STM32F4 Discovery, and starts it.
return {
  api     = 1,
  summary = "Flash ch.bin on an STM32F4 Discovery and start it",
  board   = "0483:df11",                     -- what it is for; --device says which one
  seconds = 90,                              -- a board's deadline
  args    = {
    { "file", "the firmware", default = "build/ch.bin" },
    { "--address", "where a raw binary goes", default = 0x08000000, type = "address" },
  },

  setup = function(opt)                      -- once, before any board is touched
    return image.load(opt.file, { address = opt.address })
  end,

  run = function(board, opt, firmware)       -- once a board, as a task
    flash.write(board, firmware, opt)        -- plans, erases, writes, verifies
    board:leave(firmware.start)              -- the vector table, not the entry point
  end,
}
$ moonflash help leave
Usage: moonflash leave [--address <address>]

Leave DFU mode and start the program

Arguments:
   --address <address>   address of the vector table (default: found in the
                         flash)

Options of every recipe: moonflash help options
$ moonflash leave --help
Usage: moonflash leave [--address <address>]

Leave DFU mode and start the program

Arguments:
   --address <address>   address of the vector table (default: found in the
                         flash)

Options of every recipe: moonflash help options
$ moonflash flash ch.bin
moonflash: no board in DFU mode
  STM32: connect BOOT0 to VDD (on an F4 also PB2 to GND), press reset, then run
  the same command again, or add --wait 60.
  Without a board: --device sim:f407 is a simulated one.
[status 69]
$ moonflash --quiet --virtual-time -d sim:f407 flash ch.bin
$ moonflash --virtual-time -d sim:f407 flash ch.bin --leave
wrote 57.5 KB, verified, started 0x08000000 (1.3 s)
$ MOONFLASH_DEVICE=sim:f407 moonflash --virtual-time flash ch.bin
wrote 57.5 KB, verified (1.3 s)
$ moonflash flash ch.bin --virtual-time --device=sim:f407 --quiet
$ moonflash flash --help | sed -n '1p;$p'
Example: moonflash flash firmware.bin --leave
Options of every recipe: moonflash help options
$ moonflash help flash.verify | head -n 1
flash.verify(board, image, options?)
$ moonflash help sim: | head -n 1
Simulated boards
$ moonflash help options | head -n 3
Options of every recipe:

  -d, --device SELECTOR   the board: 1-4.2, 0483:df11, serial=..., a slot, or
$ moonflash help nosuch
moonflash: there is no recipe 'nosuch'
  moonflash recipes    lists them
[status 64]
$ moonflash --virtual-time -d sim:f407 verify ch.bin
moonflash: sim:f407: verify failed at 0x08000000: expected 00 00 02 20, found ff ff ff ff
  The flash is untouched.
  4 of 4 sectors differ.
  A simulated board is blank in each run. With a file it keeps its flash:
    -d sim:f407,flash=board.img
[status 79]
$ moonflash --virtual-time -d sim:f407 flash ch.bin --address 8000000
moonflash: sim:f407: ch.bin: reset vector 0x08000041 is outside the target range 0x007A1200..0x007AF7D3
  The flash is untouched.
  8000000 without 0x is the decimal number of 0x007A1200. ch.bin@0x08000000
  writes it where it was linked for.
  --force overrides this check.
[status 65]
$ moonflash --virtual-time -d sim:f407 flash ch.bin --address 0x0800000
moonflash: sim:f407: ch.bin: reset vector 0x08000041 is outside the target range 0x00800000..0x0080E5D3
  The flash is untouched.
  0x00800000 has one zero too few. ch.bin@0x08000000 writes it where it was
  linked for.
  --force overrides this check.
[status 65]
$ moonflash --virtual-time --wait 1 flash ch.bin
moonflash: no board in DFU mode
  STM32: connect BOOT0 to VDD (on an F4 also PB2 to GND), press reset, then run
  the same command again.
  Without a board: --device sim:f407 is a simulated one.
[status 69]
