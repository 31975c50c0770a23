# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What the cases of the kernel bed have in common. A case is a script for busybox sh, run in an empty
# folder of its own; it fails by `fail`, or by any other status but 0. What it prints is shown when
# it failed. Processes and boards that it leaves behind are removed afterwards.

fail() {
  echo "FAILED: $*"
  exit 1
}

# figure TEXT: a measurement, for the reader of the test's output.
figure() { echo "figure: $*" >&3; }

now() { cut -d ' ' -f 1 /proc/uptime; }
since() { awk "BEGIN { printf \"%.2f\", $(now) - $1 }"; }

# within SECONDS COMMAND...: waits until it succeeds.
within() {
  tries=$(($1 * 50))
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || return 1
    usleep 20000
  done
}

# status N COMMAND...: the command ends with that status; what it says is in out and err.
status() {
  expected=$1
  shift
  status_began=$(now)
  "$@" >out 2>err
  got=$?
  echo "\$ $* [$got] $(since "$status_began") s"
  cat out err
  [ $got -eq "$expected" ] || fail "'$*' ended with $got, not $expected: $(tail -n 1 err)"
}

# says FILE TEXT: the text stands in it.
says() {
  grep -qF -- "$2" "$1" || fail "'$2' is not in $1: $(cat "$1")"
}

# ---- boards ----

server= # its process

# serve SELECTOR...: simulated boards, offered as 1-1, 1-2, ...
serve() {
  moonflash sim "$@" --usbip 127.0.0.1:3240 >server.log 2>&1 &
  server=$!
  within 20 grep -q 'usbip attach' server.log || fail "the server is not ready: $(cat server.log)"
}

is_there() {
  [ -s "/sys/bus/usb/devices/$1/bConfigurationValue" ] &&
    [ -c "/dev/bus/usb/$(printf %03d/%03d "$(cat /sys/bus/usb/devices/"$1"/busnum)" \
      "$(cat /sys/bus/usb/devices/"$1"/devnum)")" ]
}

is_away() { ! [ -e "/sys/bus/usb/devices/$1" ]; }

attach() { usbip attach -r 127.0.0.1 -b "$1"; }

# plug BUSID...: on an empty bus, the first one comes to 1-1, and so on, as they are called.
plug() {
  for id; do
    within 20 attach "$id" || fail "$id can't be attached"
    within 20 is_there "$id" || fail "$id did not come up"
  done
}

# unplug PATH: as pulling the cable.
unplug() {
  usbip detach -p "$((${1#1-} - 1))" || fail "$1 can't be detached"
}

# keep_plugged BUSID: plugs it in again whenever it has gone. Ends with the case.
keep_plugged() {
  while :; do
    is_away "$1" && attach "$1"
    usleep 100000
  done >>keep.log 2>&1 &
}

devnum() { cat "/sys/bus/usb/devices/$1/devnum"; }

# state PATH: the state that the board there is found in. Asking changes nothing.
state() { moonflash -d "$1" /tests/state.lua; }

# begin_erase LOG RECIPE...: starts it in the background, and returns when it has begun to erase. A
# sector of 16 KB takes 0.4 s, where times=zero is not said.
begin_erase() {
  erase_log=$1
  shift
  rm -f events # those of the one before
  moonflash --json "$@" >events 2>"$erase_log" &
  within 20 grep -q '"phase":"erase"' events || fail "it does not erase: $(cat "$erase_log")"
  usleep 100000
}

# ---- what goes over the bus ----

# Notes all that the kernel sends to boards on bus 1 from now on.
listen() {
  cat /sys/kernel/debug/usb/usbmon/1u >bus.log &
  listener=$!
  usleep 100000
}

# requests FILE DEVNUM: the requests to that device since `listen`, a line each:
# setup packet, data (its first 32 bytes), what came of it. usbmon has two
# lines for each, S when it is handed in, and C when it is over.
requests() {
  usleep 100000
  kill "$listener"
  awk -v device="$(printf ':1:%03d:0' "$2")" '
    function data(from,  i, all) {
      for (i = from; i <= NF; i++) all = all $i
      return all
    }
    substr($4, 3) != device { next }
    $3 == "S" {
      setup[$1] = $6 " " $7 " " $8 " " $9 " " $10
      sent[$1] = $12 == "=" ? data(13) : ""
    }
    $3 == "C" && $1 in setup {
      if ($5 == 0) result = $7 == "=" ? data(8) : $6
      else result = $5 == -32 ? "stall" : "error " $5
      print setup[$1] (sent[$1] ? " " sent[$1] : "") " -> " result
      delete setup[$1]
    }' bus.log >"$1"
}
