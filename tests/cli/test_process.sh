#!/bin/sh
# SPDX-License-Identifier: MIT
# What needs a whole process: signals, os.exit, the exit status of a task that was not joined, that
# nothing is left at the end (under a sanitizer, which says so in its own words).
# The last line is "N passed, N failed, N skipped".
set -u
MOONFLASH=${MOONFLASH:-$(dirname "$0")/../../build/moonflash}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
script=$place/script.lua out=$place/out fifo=$place/fifo
export RELAY="$place/relay" # what a program was told when it was ended
passed=0 failed=0

# verdict NAME STATUS WANTED_STATUS PATTERN: PATTERN is a basic regular expression, or empty, or !
# and one that must not match.
verdict() {
  [ ! -f "$RELAY" ] || cat "$RELAY" >>"$out"
  rm -f "$RELAY"
  why=
  [ "$2" -eq "$3" ] || why="status $2, not $3"
  case $4 in
    '') ;;
    !*) ! grep -q -e "${4#!}" "$out" || why="$why; it says '${4#!}'" ;;
    *) grep -q -e "$4" "$out" || why="$why; it does not say '$4'" ;;
  esac
  ! grep -q -e 'Sanitizer' -e 'runtime error' "$out" || why="$why; the sanitizer complains"
  if [ -z "$why" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'failed: %s: %s\n' "$1" "$why"
    cat "$script" "$out"
  fi
}

# runs NAME STATUS PATTERN [OPTION...] <SCRIPT: on the virtual clock.
runs() {
  cat >"$script"
  name=$1 wanted=$2 pattern=$3
  shift 3
  "$MOONFLASH" --virtual-time "$@" "$script" >"$out" 2>&1 </dev/null
  verdict "$name" $? "$wanted" "$pattern"
}

# signalled NAME STATUS PATTERN SIGNAL... <SCRIPT: on the real clock.  One signal for each line that
# says "ready"; what it says goes to $out.
signalled() {
  cat >"$script"
  name=$1 wanted=$2 pattern=$3
  shift 3
  rm -f "$fifo"
  mkfifo "$fifo"
  : >"$out"
  "$MOONFLASH" "$script" >"$fifo" 2>&1 </dev/null &
  pid=$!
  while read -r line; do
    printf '%s\n' "$line" >>"$out"
    if [ "$line" = ready ] && [ $# -gt 0 ]; then
      kill "-$1" "$pid"
      shift
    fi
  done <"$fifo"
  wait "$pid"
  verdict "$name" $? "$wanted" "$pattern"
}

# ---- signals ----

for signal in INT TERM HUP; do
  signalled "SIG$signal where it waits" 130 '^closed$' "$signal" <<'EOF'
local _ <close> = setmetatable({}, { __close = function() task.sleep(0.01) print("closed") end })
print("ready")
io.stdout:flush()
task.sleep(1000)
EOF
done

signalled "SIGINT says so" 130 'interrupted' INT <<'EOF'
io.stdout:setvbuf("no")
print("ready")
task.sleep(1000)
EOF

signalled "SIGINT goes through while not pcall" 130 '!again' INT <<'EOF'
io.stdout:setvbuf("no")
print("ready")
while not pcall(task.sleep, 1000) do print("again") end
EOF

signalled "SIGINT stops a loop that never waits" 130 'interrupted' INT <<'EOF'
io.stdout:setvbuf("no")
print("ready")
while true do end
EOF

signalled "SIGINT stops one in a coroutine, within pcall" 130 '^closed$' INT <<'EOF'
io.stdout:setvbuf("no")
local function loop()
  local _ <close> = setmetatable({}, { __close = function() print("closed") end })
  print("ready")
  while true do pcall(math.abs, 1) end
end
while true do pcall(coroutine.wrap(loop)) end
EOF

signalled "SIGINT in the middle of an erase tells the state of the flash" 130 'in doubt' INT <<'EOF'
io.stdout:setvbuf("no")
local board <close> = dfu.open("sim:f407,times=max")
task.spawn(function() task.sleep(0.2) print("ready") end)
while true do board:erase_page(0x08020000) end
EOF

signalled "SIGINT reaches all tasks" 130 '^3 closed$' INT <<'EOF'
io.stdout:setvbuf("no")
local n = 0
local function work()
  local _ <close> = setmetatable({}, { __close = function()
    n = n + 1
    if n == 3 then print("3 closed") end
  end })
  task.sleep(1000)
end
for _ = 1, 3 do task.spawn(work) end
task.sleep(0.01)
print("ready")
EOF

for signal in INT TERM; do
  signalled "SIG$signal at the end of a run" 0 '^it is off$' "$signal" <<'EOF'
io.stdout:setvbuf("no")
local function say(line) io.stdout:write(line, "\n") end
return { api = 1, board = "sim:f407", run = function()
  task.at_end(function()
    say("ready")
    say(sys.run { "sh", "-c", "sleep 0.3; echo it is off" }.output)
  end)
end }
EOF
done

signalled "SIGINT in the middle of a run, and what is done at its end" 130 '^it is off$' INT <<'EOF'
io.stdout:setvbuf("no")
local function say(line) io.stdout:write(line, "\n") end
return { api = 1, board = "sim:f407", setup = function()
  task.at_end(function() say(sys.run { "echo", "it is off" }.output) end)
  say("ready")
  task.sleep(1000)
end }
EOF

signalled "a second SIGINT kills" 130 '!too late' INT INT <<'EOF'
io.stdout:setvbuf("no")
local _ <close> = setmetatable({}, { __close = function()
  print("ready")
  task.sleep(4)
  print("too late")
end })
print("ready")
task.sleep(1000)
EOF

# ---- os.exit ----

runs "os.exit(3)" 3 '' <<'EOF'
os.exit(3)
EOF
runs "os.exit(256)" 1 'os.exit takes a status from 0 to 255' <<'EOF'
os.exit(256)
EOF
runs "os.exit(-1)" 1 'os.exit takes a status from 0 to 255' <<'EOF'
os.exit(-1)
EOF
runs "os.exit(0) behind a board that failed" 1 'bad board' -d sim:f407 <<'EOF'
return { api = 1, summary = "x", run = function() fail("bad board") end,
  finish = function() os.exit(0) end }
EOF
runs "os.exit()" 0 '!after' <<'EOF'
os.exit()
print("after")
EOF
runs "os.exit(true)" 0 '' <<'EOF'
os.exit(true, true)
EOF
runs "os.exit(false)" 1 '' <<'EOF'
os.exit(false)
EOF
runs "os.exit of nonsense is misuse" 1 'bad argument' <<'EOF'
os.exit("x")
EOF
runs "os.exit within pcall" 4 '!after' <<'EOF'
pcall(pcall, function() os.exit(4) end)
print("after")
EOF
runs "os.exit in a coroutine" 5 '!after' <<'EOF'
print("inside", coroutine.resume(coroutine.create(function() os.exit(5) end)))
print("after")
EOF
runs "os.exit in a wrapped coroutine in a sort" 6 '!after' <<'EOF'
pcall(table.sort, { 1, 2 }, coroutine.wrap(function() os.exit(6) end))
print("after")
EOF
runs "os.exit runs the <close> of all tasks" 7 '^2 closed$' <<'EOF'
local n = 0
local function work()
  local _ <close> = setmetatable({}, { __close = function()
    task.sleep(1)
    n = n + 1
    if n == 2 then print("2 closed") end
  end })
  task.sleep(1000)
end
task.spawn(work)
task.spawn(function() task.sleep(1) os.exit(7) end)
work()
EOF
runs "os.exit in a task that nobody joins" 8 '' <<'EOF'
task.spawn(function() task.sleep(5) os.exit(8) end)
EOF
runs "os.exit while a task loops and never waits" 9 '' <<'EOF'
task.spawn(function() while true do end end)
os.exit(9)
EOF
runs "os.exit with a board in mid-operation" 10 '!usb' <<'EOF'
local board = dfu.open("sim:f407")
task.spawn(board.mass_erase, board)
task.sleep(1)
os.exit(10)
EOF
runs "os.exit in the clean-up of an error" 11 '' <<'EOF'
local _ <close> = setmetatable({}, { __close = function() os.exit(11) end })
error("first")
EOF
runs "the first os.exit counts" 12 '' <<'EOF'
local _ <close> = setmetatable({}, { __close = function() os.exit(13) end })
os.exit(12)
EOF
runs "os.exit in a finalizer is misuse" 0 "a finalizer can't end the program" <<'EOF'
setmetatable({}, { __gc = function() os.exit(14) end })
collectgarbage()
print("goes on")
EOF
runs "os.exit in a finalizer of the last hour" 0 '' <<'EOF'
local kept = setmetatable({}, { __gc = function() os.exit(14) end })
_G.kept_to_the_end = kept
EOF
runs "os.exit in a message handler" 15 '' <<'EOF'
xpcall(error, function() os.exit(15) end)
EOF

# ---- how a program ends ----

runs "an error" 1 'script.lua:1: oops' <<'EOF'
error("oops")
EOF
runs "an error that is nil" 1 '' <<'EOF'
error()
EOF
runs "an error with a code" 76 'dfu.outside\|no memory at this address' <<'EOF'
local board <close> = dfu.open("sim:f407")
board:read(0, 1)
EOF
runs "a stack overflow" 1 'stack overflow' <<'EOF'
local function deep() return 1 + deep() end
deep()
EOF
runs "the program waits for its tasks" 0 '^done$' <<'EOF'
task.spawn(function() task.sleep(10) print("done") end)
EOF
runs "a failure that nobody joined ends the run" 82 '!too late' <<'EOF'
local board = dfu.open("sim:f407,times=max")
task.spawn(function() task.deadline(1, board.mass_erase, board) end)
task.spawn(function() task.sleep(100) print("too late") end)
EOF
runs "and is what is told, whatever was spawned before it" 1 'the reason' <<'EOF'
task.spawn(function() task.sleep(100) end)
task.spawn(function() task.sleep(1) error("the reason") end)
task.spawn(function() task.sleep(100) end)
EOF
runs "the first of two failures is told" 1 'first' <<'EOF'
task.spawn(function() task.sleep(2) error("second") end)
task.spawn(function() task.sleep(1) error("first") end)
task.sleep(5)
EOF
runs "a failure that was joined is over" 0 '^fine$' <<'EOF'
local job = task.spawn(error, "x")
task.sleep(1)
pcall(job.join, job)
print("fine")
EOF
runs "a cancelled task is no failure" 0 '' <<'EOF'
local job = task.spawn(task.sleep, 100)
task.sleep(1)
job:cancel()
EOF
runs "a failure does not go away by a late cancel" 1 'oops' <<'EOF'
local job = task.spawn(error, "oops")
task.sleep(1)
job:cancel()
EOF
runs "a deadline on the virtual clock stops a loop that never waits" 82 'not done within 2 s' <<'EOF'
task.deadline(2, coroutine.wrap(function() while true do end end))
EOF
runs "joining in a circle is said" 1 'deadlock' <<'EOF'
local me = task.current()
task.spawn(function() me:join() end):join()
EOF
runs "an error in a finalizer is a warning" 0 'warning: .*in the finalizer' <<'EOF'
setmetatable({}, { __gc = function() error("in the finalizer") end })
collectgarbage()
EOF

# ---- nothing is left ----

runs "boards open at the end" 0 '' <<'EOF'
for i = 1, 4 do
  local board = dfu.open("sim:f407#" .. i)
  board:set_address(0x08000000)
  _G["board" .. i] = board
end
EOF
runs "a failure with operations under way" 1 'oops' <<'EOF'
for i = 1, 4 do
  local board = dfu.open("sim:f407#" .. i)
  task.spawn(function()
    local _ <close> = board
    while board.is_open do pcall(board.write, board, 0x08000000, ("x"):rep(100000)) end
  end)
  task.spawn(function()
    task.sleep(0.4)
    board:close()
  end)
end
task.sleep(0.5)
error("oops")
EOF
runs "coroutines that never end" 0 '' <<'EOF'
for _ = 1, 10 do
  local f = coroutine.wrap(function()
    local board <close> = dfu.open("sim:f407#" .. tostring({}))
    while true do
      board:get_status()
      coroutine.yield()
    end
  end)
  f()
  f()
end
EOF
runs "tasks that fail and are forgotten" 1 '' <<'EOF'
for i = 1, 50 do task.spawn(error, { i }) end
EOF
runs "simulated boards under way" 0 '' <<'EOF'
local place = sim.new("f407")
local board = dfu.open(place.path)
task.spawn(pcall, board.erase_page, board, 0x08000000)
task.sleep(0.01)
place:close()
EOF

# ---- what stands around a board goes with the run ----

# relay(): a program in the place of a relay, which needs a moment to go off, and has a child that
# it leaves alone.
cat >"$place/relay.lua" <<'EOF'
local sys = require "sys"
return function()
  local stream = sys.start { "sh", "-c", [[
    trap "sleep 0.1; echo relay off >>$RELAY; exit" TERM
    sleep 1000 & echo relay on; while :; do sleep 0.01; done]] }
  stream:expect("relay on")
  return stream
end
EOF

runs "what setup returned is closed" 0 '^relay off$' -d sim:f407 <<'EOF'
return { api = 1, setup = require "relay", run = function(_, _, stream) stream:read() end }
EOF
runs "and what is in the table that it returned" 0 '^meter off$' -d sim:f407 <<'EOF'
local meter = setmetatable({}, { __close = function() print("meter off") end })
return { api = 1, setup = function() return { meter = meter } end, run = function() end }
EOF
runs "and what it made and did not return" 0 '^relay off$' -d sim:f407 <<'EOF'
local kept
return { api = 1, setup = function() kept = require "relay"() end, run = function() return kept end }
EOF
runs "after a failure" 1 '^relay off$' -d sim:f407 <<'EOF'
return { api = 1, setup = require "relay", run = function() fail("no") end }
EOF
runs "after os.exit" 9 '^relay off$' -d sim:f407 <<'EOF'
return { api = 1, setup = require "relay", run = function() os.exit(9) end }
EOF
runs "where no board is" 69 '^relay off$' -d sim:f407,rdp=2 <<'EOF'
return { api = 1, setup = require "relay", run = print }
EOF
runs "after an error in finish" 1 '^relay off$' -d sim:f407 <<'EOF'
return { api = 1, setup = require "relay", run = function() end, finish = function() error("x") end }
EOF
runs "after an error in setup" 1 '^relay off$' -d sim:f407 <<'EOF'
return { api = 1, setup = function() require "relay"() error("oops") end, run = print }
EOF
cat >"$place/used.lua" <<'EOF'
return { api = 1, run = print, setup = function()
  return setmetatable({}, { __close = function() print("meter off") end })
end }
EOF
runs "of a recipe that is used, after an error in the user's setup" 1 '^meter off$' -d sim:f407 <<'EOF'
return { api = 1, setup = function() use("used.lua") error("oops") end, run = print }
EOF
runs "where there is no run" 0 '^relay off$' <<'EOF'
return { api = 1, setup = function() require "relay"() end }
EOF
runs "in a plain script" 1 '^relay off$' <<'EOF'
_G.kept = require "relay"()
error("oops")
EOF
signalled "after Ctrl-C" 130 '^relay off$' INT <<'EOF'
return { api = 1, board = "sim:f407", setup = require "relay", run = function()
  print("ready")
  task.sleep(1000)
end }
EOF
signalled "after Ctrl-C in setup" 130 '^relay off$' INT <<'EOF'
return { api = 1, board = "sim:f407", run = print, setup = function()
  require "relay"()
  io.stderr:write("ready\n")
  task.sleep(1000)
end }
EOF
signalled "Ctrl-C ends what sys.run runs" 130 '^relay off$' INT <<'EOF'
io.stdout:setvbuf("no")
task.spawn(function()
  sys.run { "sh", "-c", "until [ -e $RELAY ]; do sleep 0.01; done" }
  print("ready")
end)
sys.run { "sh", "-c", [[trap "echo relay off >>$RELAY; exit" TERM
  : >$RELAY; while :; do sleep 0.01; done]] }
EOF

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
