-- SPDX-License-Identifier: MIT
-- `doctor`: what it knows of a computer, on folders that stand for one; what it says of simulated
-- boards; and that it changes none.
local answer = require "moonflash.doctor.answer"
local dfu = require "dfu"
local doctor = require "moonflash.doctor"
local errors = require "moonflash.errors"
local lu = require "luaunit"
local machines = require "moonflash.doctor.machine"
local memories = require "moonflash.doctor.memories"
local ids = require "moonflash.board.ids"
local board_remarks = require "moonflash.board.remarks"
local report = require "moonflash.doctor.text"
local sim = require "sim"
local support = require "support"

-- ---- computers that are made up ----

-- files: { ["/etc/x"] = text, ["/proc/1/fd/3"] = { "where a link leads" } }
local function computer(files, versions)
  local root, made = support.folder()
  for path, text in pairs(files) do
    local folder = root .. path:match("^(.*)/")
    if type(text) == "table" then
      assert(os.execute(("mkdir -p '%s' && ln -s '%s' '%s'"):format(folder,
        text[1]:gsub("ROOT", root), root .. path)))
    else
      assert(os.execute(("mkdir -p '%s'"):format(folder)))
      local file <close> = assert(io.open(root .. path, "wb"))
      file:write(text)
    end
  end
  local machine = machines.new(root)
  for key, value in pairs(versions or {}) do machine.versions[key] = value end
  return machine, made
end

local USB = { ["/sys/bus/usb/devices/usb1/busnum"] = "1\n",
              ["/dev/bus/usb/001/001"] = "", ["/proc/self/status"] = "Name:\tx\n" }
local USER = "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nGroups:\t4 1000 \n"

local function with(files, more)
  local all = {}
  for _, list in ipairs { files, more } do
    for path, text in pairs(list) do all[path] = text end
  end
  return all
end

local TestMachine = {}

function TestMachine.test_kinds_of_computers()
  for kind, facts in pairs {
    wsl = { {}, { kernel = "5.15.90.1-microsoft-standard-WSL2" } },
    container = { { ["/.dockerenv"] = "" } },
    vm = { { ["/proc/cpuinfo"] = "flags\t\t: fpu de hypervisor lahf\n" } },
  } do
    local machine, _ <close> = computer(with(facts[1], { ["/x"] = "" }), facts[2])
    lu.assertEquals(machine:kind(), kind)
  end
  local machine, _ <close> = computer { ["/proc/1/cgroup"] = "0::/init.scope\n",
                                        ["/proc/cpuinfo"] = "flags : fpu\nmodel : nohypervisor\n" }
  lu.assertNil(machine:kind())
  local inside, _ <close> = computer { ["/proc/1/cgroup"] = "1:name=x:/docker/0123\n" }
  lu.assertEquals(inside:kind(), "container")
end

local ST = 'ATTRS{idVendor}=="0483", ATTRS{idProduct}=="df11", '
local RULES = {
  { 'ATTR{idVendor}=="0483", ATTR{idProduct}=="df11", TAG+="uaccess"', "uaccess" },
  { ST .. 'MODE="0666"', "mode" },
  { ST .. 'MODE:="660", GROUP="plugdev"', "mode" },
  { ST .. 'GROUP="plugdev"', "mode" },
  { ST .. '\\\n  TAG+="uaccess"', "uaccess" },
  { 'ATTR{idVendor}=="0483", TAG+="uaccess"', "uaccess" },
  { 'ATTR{idVendor}=="0483", ATTR{idProduct}=="df1?", TAG+="uaccess"', "uaccess" },
  { 'ATTR{idVendor}=="0483", ATTR{idProduct}=="3748|DF11", TAG+="uaccess"', "uaccess" },
  { 'ATTR{idVendor}=="*", ATTR{idProduct}=="*", TAG+="uaccess"', "uaccess" },
  { 'ATTR{idVendor}=="0483", ATTR{idProduct}=="3748", TAG+="uaccess"' },
  { 'ATTR{idVendor}=="1209", ATTR{idProduct}=="df11", TAG+="uaccess"' },
  { 'ATTR{idVendor}=="0.83", ATTR{idProduct}=="df11", TAG+="uaccess"' },
  { ST .. 'SYMLINK+="stm32"' },
  { "# " .. ST .. 'TAG+="uaccess"' },
  { 'SUBSYSTEM=="usb", TAG+="uaccess"' },
}

function TestMachine.test_rules()
  for _, row in ipairs(RULES) do
    local machine, _ <close> = computer { ["/usr/lib/udev/rules.d/60-x.rules"] = row[1] .. "\n" }
    local rule = machine:rule_for(0x0483, 0xDF11)
    lu.assertEquals(rule and rule.gives, row[2], row[1])
    if rule then
      lu.assertEquals({ rule.path, rule.late }, { "/usr/lib/udev/rules.d/60-x.rules", false })
    end
  end
end

function TestMachine.test_our_own_rule_is_understood()
  local lines = {}
  for i, row in ipairs(ids.known) do lines[i] = ids.udev_rule(row[1], row[2]) end
  local machine, _ <close> = computer {
    ["/etc/udev/rules.d/70-moonflash.rules"] = table.concat(lines, "\n") }
  for _, row in ipairs(ids.known) do
    lu.assertTrue(ids.has_rule(row[1], row[2]))
    lu.assertEquals(machine:rule_for(row[1], row[2]).gives, "uaccess", row[3])
  end
  lu.assertNil(machine:rule_for(0x1209, 0x0001))
  lu.assertFalse(ids.has_rule(0x1209, 0x0001))
end

function TestMachine.test_rules_that_come_too_late_or_are_replaced()
  local rule = ids.udev_rule(0x0483, 0xDF11)
  for name, late in pairs { ["72-x"] = false, ["73-x"] = true, ["99-x"] = true, ["x"] = true } do
    local machine, _ <close> = computer { ["/etc/udev/rules.d/" .. name .. ".rules"] = rule }
    lu.assertEquals(machine:rule_for(0x0483, 0xDF11).late, late, name)
  end
  local machine, _ <close> = computer { ["/etc/udev/rules.d/50-x.rules"] = "# nothing",
                                        ["/usr/lib/udev/rules.d/50-x.rules"] = rule }
  lu.assertNil(machine:rule_for(0x0483, 0xDF11))
end

local DEVICE = {
  ["/sys/bus/usb/devices/1-4.2/busnum"] = "1\n", ["/sys/bus/usb/devices/1-4.2/devnum"] = "17\n",
  ["/sys/bus/usb/devices/1-4.2/bConfigurationValue"] = "1\n",
  ["/dev/bus/usb/001/017"] = "", ["/dev/bus/usb/001/018"] = "",
}

function TestMachine.test_who_holds_a_node()
  local machine, _ <close> = computer(with(DEVICE, {
    ["/proc/self"] = { "100" },
    ["/proc/100/comm"] = "moonflash\n", ["/proc/100/fd/3"] = { "ROOT/dev/bus/usb/001/017" },
    ["/proc/200/comm"] = "dfu-util\n", ["/proc/200/fd/3"] = { "ROOT/dev/bus/usb/001/017" },
    ["/proc/200/fd/4"] = { "ROOT/dev/bus/usb/001/017" },
    ["/proc/300/comm"] = "fwupd\n", ["/proc/300/fd/3"] = { "ROOT/dev/bus/usb/001/018" },
    ["/proc/400/comm"] = "bad\27[31m\n", ["/proc/400/fd/9"] = { "ROOT/dev/bus/usb/001/018" },
    ["/proc/500/comm"] = "hidden\n",
    -- of another container, say: the same name, another device
    ["/elsewhere/dev/bus/usb/001/017"] = "",
    ["/proc/600/comm"] = "other\n", ["/proc/600/fd/3"] = { "ROOT/elsewhere/dev/bus/usb/001/017" },
  }))
  local node = machine:node("1-4.2")
  lu.assertEquals(node, "/dev/bus/usb/001/017")
  lu.assertEquals({ machine:holders(node) }, { { "dfu-util (pid 200)" }, 1 })
  lu.assertEquals(machine:holders("/dev/bus/usb/001/018"),
    { "fwupd (pid 300)", "bad?[31m (pid 400)" })
  lu.assertTrue(machine:runs("fwupd"))
  lu.assertFalse(machine:runs("ModemManager"))
end

function TestMachine.test_drivers()
  local machine, _ <close> = computer(with(DEVICE, {
    ["/sys/bus/usb/devices/1-4.2:1.0/driver"] = { "../../drivers/usbhid" } }))
  lu.assertEquals({ machine:driver("1-4.2", 0) }, { "usbhid", "1-4.2:1.0" })
  lu.assertEquals({ machine:driver("1-4.2", 1) }, { nil, "1-4.2:1.1" })
end

function TestMachine.test_users()
  local machine, _ <close> = computer { ["/proc/self/status"] = USER,
                                        ["/etc/group"] = "root:x:0:\nplugdev:x:46:me\n" }
  lu.assertEquals({ machine:user() }, { 1000, { [4] = true, [1000] = true } })
  lu.assertEquals(machine:name_of("group", 46), "plugdev")
  lu.assertEquals(machine:name_of("group", 47), "47")
end

-- ---- what is said of a computer without boards ----

local TestComputer = {}

local function found(all, name)
  for _, check in ipairs(all.checks) do
    if check.check == name then return check end
  end
end

local function examine(files, versions)
  local machine, gone = computer(files, versions)
  local _ <close> = gone
  return doctor.examine(machine)
end

function TestComputer.test_no_usb()
  for says, facts in pairs {
    ["WSL has no USB of its own"] = { { ["/x"] = "" }, { kernel = "5.15-microsoft" } },
    ["this container has no access to USB devices"] = { { ["/run/.containerenv"] = "" } },
    ["this virtual machine has no access to USB devices"] = {
      { ["/proc/cpuinfo"] = "x hypervisor\n" } },
    ["no USB controller found"] = { { ["/x"] = "" } },
  } do
    local usb = found(examine(facts[1], facts[2]), "usb")
    lu.assertEquals({ usb.found, usb.level, usb.code }, { says, "fail", "usb.no-device" })
    lu.assertStrContains(usb.todo, "-d sim:f407")
  end
end

-- A container sees the buses in /sys, and has no nodes.
function TestComputer.test_buses_without_nodes()
  local usb = found(examine { ["/sys/bus/usb/devices/usb1/busnum"] = "1" }, "usb")
  lu.assertEquals(usb.found, "this container has no access to USB devices")
end

function TestComputer.test_usb_and_no_board()
  local all = examine(with(USB, { ["/sys/bus/usb/devices/1-4/busnum"] = "1",
                                  ["/proc/self/status"] = USER }))
  lu.assertEquals(found(all, "usb").found, "1 device on 1 bus")
  lu.assertEquals(found(all, "board").code, "usb.no-device")
  lu.assertStrContains(found(all, "board").todo, "BOOT0 to VDD")
  lu.assertEquals(found(all, "rule").level, "note")
  lu.assertStrContains(found(all, "rule").todo, "moonflash udev | sudo tee")
  local err = support.assert_raises("usb.no-device", doctor.judge, all)
  lu.assertEquals(errors.exit_status(err), 69)
  lu.assertIs(err.data, all)
end

function TestComputer.test_the_rule_for_when_a_board_comes()
  local rule = ids.udev_rule(0x0483, 0xDF11)
  local user = with(USB, { ["/proc/self/status"] = USER })
  local all = examine(with(user, { ["/etc/udev/rules.d/70-moonflash.rules"] = rule }))
  lu.assertEquals(found(all, "rule").level, "ok")
  all = examine(with(user, { ["/etc/udev/rules.d/99-x.rules"] = rule }))
  lu.assertStrContains(found(all, "rule").found, "too late")
end

-- ---- what is said of a board's place ----

local TestPlace = {}

local PLUGGED = with(DEVICE, { ["/proc/self/status"] = USER, ["/run/udev/control"] = "",
                               ["/etc/group"] = "root:x:0:\n" })

-- What a check says of a board at 1-4.2: facts are its ids, how it could not be opened, ...
local function check_place(name, files, facts)
  local machine, gone = computer(with(PLUGGED, files))
  local _ <close> = gone
  local patient = { path = facts.path or "1-4.2", err = facts.err, board = facts.board,
    info = { vid = 0x0483, pid = facts.pid or 0xDF11, interface = 0, mode = "dfu",
             forbidden = facts.forbidden } }
  for _, row in ipairs(doctor.on_board) do
    if row.name == name then return row.check(patient, { machine = machine, boards = {} }) end
  end
end

local function forbidden(files, pid)
  local said = check_place("rights", files, { forbidden = true, pid = pid })
  lu.assertEquals({ said.level, said.code }, { "fail", "usb.permission" })
  lu.assertStrContains(said.found, "you may not open /dev/bus/usb/001/017 (")
  return said.todo
end

function TestPlace.test_what_lets_you_in()
  local rule, path = ids.udev_rule(0x0483, 0xDF11), "/etc/udev/rules.d/70-x.rules"
  lu.assertStrContains(forbidden {}, "moonflash udev | sudo tee")
  lu.assertStrContains(forbidden { ["/etc/udev/rules.d/99-x.rules"] = rule }, "must be below 73")
  local todo = forbidden { [path] = rule }
  lu.assertStrContains(todo, path .. " allows access for the user at this computer")
  lu.assertStrContains(todo, "sudo udevadm trigger")
  lu.assertNotStrContains(todo, "tee")
  lu.assertStrContains(forbidden { [path] = rule:gsub("TAG.*", 'GROUP="plugdev"') },
    "join the group")
  -- ids that 'moonflash udev' does not know
  todo = forbidden({}, 0x1234)
  lu.assertStrContains(todo, 'ATTR{idProduct}=="1234", TAG+="uaccess"')
  local made = todo:match("echo '([^']*)'")
  lu.assertEquals(made, ids.udev_rule(0x0483, 0x1234))
end

function TestPlace.test_a_container_without_udev()
  local machine, _ <close> = computer(with(DEVICE, { ["/.dockerenv"] = "" }))
  local patient = { path = "1-4.2", info = { forbidden = true, vid = 1, pid = 2 } }
  local said = doctor.on_board[2].check(patient, { machine = machine })
  lu.assertStrContains(said.todo, "udev does not run in this container")
end

function TestPlace.test_rights()
  lu.assertEquals(check_place("rights", {}, {}).found, "you may open it")
  lu.assertEquals(check_place("rights", { ["/etc/udev/rules.d/70-x.rules"] =
    ids.udev_rule(0x0483, 0xDF11) }, {}).found,
    "you may open it, by /etc/udev/rules.d/70-x.rules")
  lu.assertStrContains(check_place("rights", { ["/proc/self/status"] = "x\nUid:\t0\t0\t0\t0\n" },
    {}).found, "root")
end

function TestPlace.test_others()
  local node, driver = { "ROOT/dev/bus/usb/001/017" }, "/sys/bus/usb/devices/1-4.2:1.0/driver"
  local holder = { ["/proc/7/comm"] = "dfu-util\n", ["/proc/7/fd/5"] = node }
  local busy = errors.new { code = "usb.busy", message = "" }
  local function others(files, err)
    local said = check_place("others", files, { err = err })
    return said.level .. ": " .. said.found, said.todo
  end
  lu.assertEquals(others {}, "ok: no other program has it open")
  lu.assertEquals(others(holder, busy), "fail: dfu-util (pid 7) has it open")
  lu.assertEquals(others(with(holder, { [driver] = { "../usbfs" } })),
    "fail: dfu-util (pid 7) has it open")
  lu.assertEquals(check_place("others", { [driver] = { "../usbfs" } }, { board = {} }).found,
    "no other program has it open") -- the claim is our own
  lu.assertStrContains(others(holder), "note: dfu-util (pid 7) has it open too")
  lu.assertEquals(others({}, busy), "fail: another program has it open")
  local _, todo = others({ ["/proc/8/comm"] = "x" }, busy) -- whose fd can't be read
  lu.assertStrContains(todo, "'sudo moonflash doctor' shows which")
  _, todo = others({ ["/proc/8/comm"] = "ModemManager" }, busy)
  lu.assertStrContains(todo, "sudo systemctl stop ModemManager")
  lu.assertStrContains(others { ["/proc/8/comm"] = "fwupd" },
    "note: no program has it open; fwupd is running")
  local says
  says, todo = others { [driver] = { "../usbhid" } }
  lu.assertEquals(says, "fail: the kernel driver usbhid uses the board")
  lu.assertStrContains(todo, "echo 1-4.2:1.0 | sudo tee /sys/bus/usb/drivers/usbhid/unbind")
end

function TestPlace.test_cables()
  local speed = "/sys/bus/usb/devices/1-4.2/speed"
  lu.assertEquals(check_place("cable", { [speed] = "12\n" }, {}).found,
    "full speed, 12 Mbit/s; behind 1 hub")
  lu.assertEquals(check_place("cable", { [speed] = "5000\n" }, {}).found,
    "5000 Mbit/s; behind 1 hub")
  lu.assertEquals(check_place("cable", {}, { path = "1-4" }).found, "no hub between")
end

-- ---- what is said of boards ----

local TestDoctor = {}

function TestDoctor:setUp() self.selectors = dfu.defaults.selectors end
function TestDoctor:tearDown() dfu.defaults.selectors, dfu.defaults.layout = self.selectors, nil end

local function of(...)
  dfu.defaults.selectors = {}
  for i, board in ipairs { ... } do dfu.defaults.selectors[i] = board.path end
  return doctor.examine()
end

function TestDoctor.test_healthy_boards_of_all_kinds()
  for _, kind in ipairs { "f407", "l433", "g474" } do
    local board <close> = sim.new(kind)
    local all = of(board)
    lu.assertIs(doctor.judge(all), all)
    for _, name in ipairs { "mode", "answer", "commands", "layout", "reading" } do
      lu.assertEquals(found(all, name).level, "ok", kind .. " " .. name)
    end
    lu.assertEquals(found(all, "writing").level, "ok")
  end
end

-- Differences from ST's ROM are described, and are no finding.
function TestDoctor.test_healthy_boot_loaders_of_other_people()
  local remarks = { mboot = "does not report its commands",
                    bmp = "answers Get without a list of commands" }
  for _, kind in ipairs { "bmp", "cherry", "gd32", "mboot", "particle", "stlib", "dapboot", "maple",
                          "tinyusb", "uboot" } do
    local board <close> = sim.new(kind)
    local all = of(board)
    lu.assertIs(doctor.judge(all), all)
    if remarks[kind] then lu.assertEquals(found(all, "commands").found, remarks[kind]) end
  end
  for habits, remark in pairs { ["no-upload"] = "the board does not support reading" } do
    local product <close> = support.product(
      ([[{ base = "f407", product = "x", habits = { %q } }]]):format(habits))
    local board <close> = sim.new(product.name)
    local all = of(board)
    lu.assertIs(doctor.judge(all), all)
    lu.assertEquals(found(all, "reading").found, remark)
  end
end

function TestDoctor.test_it_changes_nothing()
  for _, options in ipairs { "", ",rdp=1", ",wrp=3", ",state=dfuDNLOAD-SYNC",
                             ",state=dfuMANIFEST-SYNC", ",state=dfuDNLOAD-IDLE" } do
    local board <close> = sim.new("f407" .. options)
    board:poke(0x08000000, ("moonflash"):rep(1000))
    local flash, bytes = board:peek(0x08000000, 1 << 20), board:peek(0x1FFFC000, 16)
    of(board)
    lu.assertTrue(board:peek(0x08000000, 1 << 20) == flash, options)
    lu.assertEquals(board:peek(0x1FFFC000, 16), bytes, options)
    lu.assertNil(board.started, options)
  end
end

local ILL = {
  [",rdp=1"] = { "reading", "board.protected", 80 },
  [",state=dfuDNBUSY"] = { "answer", "timeout", 82 },
  [",state=dfuMANIFEST-WAIT-RESET"] = { "answer", "dfu.reset", 76 },
  [",fault=hang@1"] = { "answer", "timeout", 82 },
  [",fault=unplug@4"] = { "commands", "usb.gone", 74 },
}

function TestDoctor.test_ill_boards()
  for options, row in pairs(ILL) do
    local board <close> = sim.new("f407" .. options)
    local all = of(board)
    local err = support.assert_raises(row[2], doctor.judge, all)
    lu.assertEquals({ found(all, row[1]).code, errors.exit_status(err) }, { row[2], row[3] })
    lu.assertEquals(err.path, board.path)
    lu.assertStrContains(err.message, board.path .. ": ")
  end
end

function TestDoctor.test_the_first_bad_thing_decides()
  local a <close> = sim.new("f407,rdp=1")
  local b <close> = sim.new("f407,fault=hang@1")
  local err = support.assert_raises("board.protected", doctor.judge, of(a, b))
  lu.assertEquals(err.path, a.path)
  lu.assertStrContains(err.message, "(and 1 more)")
  local c <close> = sim.new("f407,fault=hang@1")
  support.assert_raises("timeout", doctor.judge, of(c, a))
end

function TestDoctor.test_states_that_any_command_ends()
  for _, state in ipairs { "dfuDNLOAD-IDLE", "dfuUPLOAD-IDLE", "dfuDNLOAD-SYNC" } do
    local board <close> = sim.new("f407,state=" .. state)
    local all = of(board)
    lu.assertEquals(found(all, "answer").level, "note", state)
    lu.assertEquals(found(all, "reading").level, "ok", state)
  end
end

function TestDoctor.test_write_protection_is_named()
  local board <close> = sim.new("f407,wrp=5")
  local writing = found(of(board), "writing")
  lu.assertEquals(writing.level, "note")
  lu.assertStrContains(writing.found, "sectors 0, 2;")
end

-- GigaDevice's example gives its memory no name.
function TestDoctor.test_a_memory_without_a_name()
  local board <close> = dfu.open("sim:gd32")
  local fields = dfu.fields(board)
  fields.alts[1].name, fields.alts[1].layout = "", { segments = {} }
  local said = memories.layout { info = fields.info, board = board }
  lu.assertEquals(said.level, "note")
  lu.assertStrContains(said.found, "has no name")
end

-- BOOT0 is the pin of ST's ROMs.
function TestDoctor.test_advice_about_pins()
  for kind, says in pairs { ["f407"] = true, ["bmp"] = false, ["mboot"] = false } do
    local board <close> = dfu.open("sim:" .. kind)
    local info = dfu.fields(board).info
    lu.assertEquals(answer.restart(info):find("BOOT0") ~= nil, says)
    board:close()
    local hung <close> = sim.new(kind .. ",fault=hang@1")
    local bad = found(of(hung), "answer")
    lu.assertEquals(bad.level, "fail")
    lu.assertEquals(bad.todo:find("BOOT0") ~= nil, says)
  end
end

function TestDoctor.test_what_the_flash_holds()
  local board <close> = sim.new("f407")
  for bytes, says in pairs {
    [("<I4I4"):pack(0x20020000, 0x080001A1)] = "a program at 0x08000000 starts at 0x080001A0",
    [("<I4I4"):pack(0x20020000, 0x080001A0)] = "no program at 0x08000000",
    [("\255"):rep(8)] = "the flash is blank",
  } do
    board:poke(0x08000000, bytes)
    lu.assertStrContains(found(of(board), "reading").found, says)
  end
end

function TestDoctor.test_boards_that_run_their_program()
  local running <close> = sim.new("dfu11")
  local mode = found(of(running), "mode")
  lu.assertEquals({ mode.level, mode.code }, { "fail", "usb.no-device" })
  lu.assertStrContains(mode.todo, "moonflash -d " .. running.path .. " detach")
  lu.assertStrContains(mode.todo, "BOOT0")
  local other <close> = sim.new("f407")
  mode = found(of(running, other), "mode")
  lu.assertEquals({ mode.path, mode.level }, { running.path, "note" })
end

function TestDoctor.test_boards_that_share_a_serial_number()
  local a <close> = sim.new("f407,serial=TWIN")
  local b <close> = sim.new("f407,serial=TWIN")
  lu.assertStrContains(found(of(a, b), "quirks").found, "serial number of " .. b.path)
end

-- A board may fail at any request: doctor reports a finding within seconds, and raises no error.
function TestDoctor.test_faults_at_every_request()
  for _, kind in ipairs { "unplug", "stall", "error", "hang", "short", "corrupt" } do
    for at = 1, 30 do
      local board <close> = sim.new("f407")
      board:fault(kind, at)
      local seconds = support.seconds(of, board)
      lu.assertTrue(seconds < 5, ("%s at %d took %.1f s"):format(kind, at, seconds))
    end
  end
end

function TestDoctor.test_several_boards_that_hang_take_no_longer_than_one()
  local boards <close> = support.close_with(function(list)
    for _, board in ipairs(list) do board:close() end
  end)
  for i = 1, 8 do boards[i] = sim.new("f407,fault=hang@1") end
  local seconds, all = support.seconds(of, table.unpack(boards))
  lu.assertTrue(seconds < 3, tostring(seconds))
  lu.assertEquals(#all.checks, 1 + 8 * 4)
end

-- ---- what is odd about boards ----

local TestRemarks = {}

local function remarks_of(facts)
  local memory = require "moonflash.memory"
  local alts = {}
  for i, name in ipairs(facts.names) do
    alts[i] = { number = i - 1, name = name, layout = memory.parse(name) }
  end
  local list = board_remarks.of { vid = facts.vid or 0x0483, pid = facts.pid or 0xDF11, alts = alts,
    version = 0x2200, mode = "dfu", product = facts.product or "STM32  BOOTLOADER",
    serial = facts.serial, functional = { transfer_size = facts.size or 2048 } }
  for i, remark in ipairs(list) do list[i] = remark.found end
  return table.concat(list, "; ")
end

local F4 = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"

function TestRemarks.test_what_applies()
  lu.assertEquals(remarks_of { names = { F4 } }, "")
  for says, facts in pairs {
    ["1 KB"] = { vid = 0x28E9, pid = 0x0189, names = { "@Internal Flash/0x08000000/512*002Kg" } },
    ["another boot loader"] = { names = { F4 }, product = "Pyboard DFU Bootloader" },
    ["have the same name"] = { names = { "@F/0x08000000/64*02Kg", "@F/0x08000000/64*02Kg" } },
    ["other boards"] = { names = { F4 }, serial = "FFFFFFFEFFFF" },
    ["64 bytes"] = { names = { F4 }, size = false },
    ["0x00, not 0xFF"] = { names = { "@Internal Flash/0x08000000/1536*128g" } },
  } do
    if facts.size == false then facts.size = nil end
    if says == "64 bytes" then
      local list = board_remarks.of { vid = 1, pid = 1, alts = {}, mode = "dfu", functional = {} }
      lu.assertStrContains(list[1].found, says)
    else
      lu.assertStrContains(remarks_of(facts), says)
    end
  end
end

-- ---- the text ----

local TestDoctorReport = {}

function TestDoctorReport.test_lines_are_wrapped_and_commands_are_not()
  local long = ("word "):rep(40):sub(1, -2)
  local command = "  sudo " .. ("x"):rep(90)
  local text = tostring(report.new({ { check = "x", found = long, level = "fail",
    todo = long .. "\n" .. command } }, {}))
  for line in text:gmatch("[^\n]+") do
    lu.assertTrue(#line <= 80 or line == "      " .. command, line)
  end
  lu.assertStrContains(text, "!!  x         word")
  lu.assertStrContains(text, "\n              word")
  lu.assertStrContains(text, "\n      word")
  lu.assertNotStrContains(text, "Nothing is wrong")
end

function TestDoctorReport.test_marks()
  local text = tostring(report.new({ { check = "a", found = "1", level = "ok" },
    { check = "b", found = "2", level = "note" } }, {}))
  lu.assertEquals(text,
    "ok  a         1\n--  b         2\n\nNothing is wrong; 1 thing to note (--).")
  text = tostring(report.new({ { check = "a", found = "1", level = "ok" } }, {}))
  lu.assertEquals(text, "ok  a         1\n\nNothing is wrong.")
end

return { TestMachine = TestMachine, TestComputer = TestComputer, TestPlace = TestPlace,
         TestDoctor = TestDoctor, TestRemarks = TestRemarks, TestDoctorReport = TestDoctorReport }
