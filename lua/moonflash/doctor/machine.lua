-- SPDX-License-Identifier: MIT
-- Facts about the computer, for `doctor`: from /proc, /sys, /dev and udev's rules. Nothing is
-- changed.
local clean = require("moonflash.board.descriptor").clean
local sys = require "sys"

local Machine = {}
Machine.__index = Machine

local SYSFS = "/sys/bus/usb/devices/"
local LAST_FOR_UACCESS = 72 -- 73-seat-late.rules sets permissions; later tags have no effect

-- In the order of udev's preference, for files with the same name.
local RULES = { "/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d",
                "/usr/lib/udev/rules.d", "/lib/udev/rules.d" }

local M = {}

---The computer that this process runs on.
---@param root? string a folder in the place of "/"; for tests
---@return table machine
function M.new(root)
  return setmetatable({ root = root or "", versions = sys.versions() }, Machine)
end

-- ---- files ----

---The first line of a file, or the whole file; nil if it can't be read.
---@param path string
---@param all? boolean
---@return string?
function Machine:read(path, all)
  local file <close> = io.open(self.root .. path, "rb")
  return file and file:read(all and "a" or "l")
end

---@param path string
function Machine:stat(path) return sys.stat(self.root .. path) end

---The last component of a link's target.
---@param path string
---@return string?
function Machine:link(path)
  local target = sys.readlink(self.root .. path)
  return target and target:match("[^/]*$")
end

function Machine:names(path)
  local names = sys.readdir(self.root .. path) or {}
  table.sort(names)
  return names
end

-- ---- the kind of computer ----

---The reason why USB may be missing: "wsl", "container" or "vm"; nil on any other computer.
---@return string?
function Machine:kind()
  if (self.versions.kernel or ""):lower():find("microsoft", 1, true) then return "wsl" end
  local groups = self:read("/proc/1/cgroup", true) or ""
  if self:stat("/.dockerenv") or self:stat("/run/.containerenv")
    or self:stat("/run/systemd/container") or groups:find("docker") or groups:find("kubepods")
    or groups:find("/lxc") then
    return "container"
  end
  if (self:read("/proc/cpuinfo", true) or ""):find("%shypervisor%f[%s]") then return "vm" end
end

---The numbers of devices and buses; nil if this kernel has no USB.
---@return integer? devices, integer? buses
function Machine:usb()
  if not self:stat(SYSFS) then return nil end
  local devices, buses = 0, 0
  for _, name in ipairs(self:names(SYSFS)) do
    if name:find("^usb%d+$") then buses = buses + 1 end
    if name:find("^%d+%-[%d.]+$") then devices = devices + 1 end
  end
  return devices, buses
end

---Whether device nodes for USB exist, without which no program can open a device.
---@return boolean
function Machine:has_nodes() return self:stat("/dev/bus/usb") ~= nil end

-- ---- the user ----

---The user's id, and a set of group ids.
---@return integer uid, table groups
function Machine:user()
  local status, groups = self:read("/proc/self/status", true) or "", {}
  for gid in (status:match("\nGroups:([^\n]*)") or ""):gmatch("%d+") do
    groups[math.tointeger(tonumber(gid))] = true
  end
  return math.tointeger(tonumber(status:match("\nUid:%s*%d+%s+(%d+)") or "")) or -1, groups
end

---The name of a user or a group; its number if it has no name.
---@param file string "passwd" or "group"
---@param id integer
---@return string
function Machine:name_of(file, id)
  for line in (self:read("/etc/" .. file, true) or ""):gmatch("[^\n]+") do
    local name, number = line:match("^([^:]*):[^:]*:(%d+)")
    if number == tostring(id) then return clean(name) end
  end
  return tostring(id)
end

-- ---- one device ----

function Machine:attribute(path, name) return self:read(SYSFS .. path .. "/" .. name) end

---The device node of a USB path.
---@param path string "1-4.2"
---@return string?
function Machine:node(path)
  local bus = tonumber(self:attribute(path, "busnum") or "")
  local number = tonumber(self:attribute(path, "devnum") or "")
  return bus and number and ("/dev/bus/usb/%03d/%03d"):format(bus, number)
end

---The driver that has claimed an interface: a kernel module, or "usbfs" for a program.
---@param path string
---@param interface integer
---@return string? driver, string name of the interface
function Machine:driver(path, interface)
  local value = tonumber(self:attribute(path, "bConfigurationValue") or "") or 1
  local name = ("%s:%d.%d"):format(path, value, interface)
  return self:link(SYSFS .. name .. "/driver"), name
end

-- ---- processes ----

local function command(self, pid)
  return clean(self:read("/proc/" .. pid .. "/comm") or "a program")
end

-- The processes that have device nodes open. A link shows the node's path as its process sees it,
-- perhaps in a container, so the nodes are compared and not their paths.
local function look_at_processes(self)
  local found = { open = {}, running = {}, unseen = 0 }
  local own = self:link("/proc/self")
  for _, pid in ipairs(self:names("/proc")) do
    if pid:find("^%d+$") and pid ~= own then
      local name = command(self, pid)
      found.running[name] = true
      local fds = sys.readdir(self.root .. "/proc/" .. pid .. "/fd")
      if not fds then found.unseen = found.unseen + 1 end
      for _, fd in ipairs(fds or {}) do
        local link = ("%s/proc/%s/fd/%s"):format(self.root, pid, fd)
        local stat = (sys.readlink(link) or ""):find("/dev/bus/usb/%d+/%d+$") and sys.stat(link)
        if stat then
          table.insert(found.open, { stat = stat, who = ("%s (pid %s)"):format(name, pid) })
        end
      end
    end
  end
  return found
end

---The other programs that have a node open, and the number of processes whose open files are
---hidden.
---@param node string
---@return string[] holders, integer unseen
function Machine:holders(node)
  self.processes = self.processes or look_at_processes(self)
  local wanted, holders, seen = self:stat(node), {}, {}
  for _, file in ipairs(wanted and self.processes.open or {}) do
    local same = file.stat.id == wanted.id or wanted.device and file.stat.device == wanted.device
    if same and not seen[file.who] then
      seen[file.who] = true
      holders[#holders + 1] = file.who
    end
  end
  return holders, self.processes.unseen
end

---@param name string of a process; the kernel keeps at most 15 characters
---@return boolean
function Machine:runs(name)
  self.processes = self.processes or look_at_processes(self)
  return self.processes.running[name] or false
end

-- ---- udev's rules ----

local function rule_files(self)
  local files, seen = {}, {}
  for _, folder in ipairs(RULES) do
    for _, name in ipairs(self:names(folder)) do
      if name:find("%.rules$") and not seen[name] then
        seen[name] = true
        files[#files + 1] = { name = name, path = folder .. "/" .. name }
      end
    end
  end
  return files
end

local function matches(line, attribute, id)
  local value = line:match('ATTRS?{' .. attribute .. '}=="([^"]*)"')
  if not value then return attribute == "idProduct" end
  for choice in value:lower():gmatch("[^|]+") do
    local pattern = choice:gsub("[%-%.%+%^%$%%%(%)]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".")
    if ("%04x"):format(id):find("^" .. pattern .. "$") then return true end
  end
  return false
end

-- The access that a rule's line gives: "uaccess", or "mode" (permissions for a group or for all).
local function grants(line)
  return line:find('TAG%+="uaccess"') and "uaccess"
    or (line:find('MODE[:]?="0?66') or line:find('GROUP[:]?="')) and "mode" or nil
end

---The rule that lets users open devices with these ids: its file, the access that it gives
---("uaccess" or "mode"), and whether its number is too high to have an effect. Nil if there is
---none.
---@param vid integer
---@param pid integer
---@return table? { path=, gives=, late= }
function Machine:rule_for(vid, pid)
  local late
  for _, file in ipairs(rule_files(self)) do
    local text = (self:read(file.path, true) or ""):gsub("\\\n", " ")
    for line in text:gmatch("[^\n]+") do
      local gives = not line:find("^%s*#") and line:find("idVendor")
        and matches(line, "idVendor", vid) and matches(line, "idProduct", pid) and grants(line)
      if gives then
        local number = tonumber(file.name:match("^%d+") or "")
        local rule = { path = file.path, gives = gives }
        rule.late = gives == "uaccess" and not (number and number <= LAST_FOR_UACCESS)
        if not rule.late then return rule end
        late = late or rule
      end
    end
  end
  return late
end

return M
