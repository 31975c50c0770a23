#!/bin/sh
# SPDX-License-Identifier: MIT
# What Debian's tshark makes of a capture, held against what moonflash says it sent: each request,
# in order, with block, length, status, state, poll time and duration. Then captures that can't be
# written. The last line is "N passed, N failed, N skipped".
set -u
here=$(dirname "$0")
MOONFLASH=${MOONFLASH:-$here/../../build/moonflash}
BUILD=${BUILD:-$here/../../build}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
. "$here/../verdict.sh"

# The products are those of the simulated boards.  tshark warns when root runs it.
decode() {
  tshark -r "$place/session.pcap" -d usb.product==0x0483df11,usbdfu \
    -d usb.product==0x12090001,usbdfu -d usb.product==0x12090002,usbdfu "$@" 2>"$place/tshark.err"
}

# A line for each DFU request of the trace on standard input: its name, block and length (where it
# has them), how it failed or status, state and poll time (where it has them), milliseconds.
told() {
  awk '
    BEGIN {
      n = split("appIDLE appDETACH dfuIDLE dfuDNLOAD-SYNC dfuDNBUSY dfuDNLOAD-IDLE " \
        "dfuMANIFEST-SYNC dfuMANIFEST dfuMANIFEST-WAIT-RESET dfuUPLOAD-IDLE dfuERROR", names, " ")
      for (i = 1; i <= n; i++) state[names[i]] = i - 1
      n = split("OK errTARGET errFILE errWRITE errERASE errCHECK_ERASED errPROG errVERIFY " \
        "errADDRESS errNOTDONE errFIRMWARE errVENDOR errUSBR errPOR errUNKNOWN errSTALLEDPKT",
        names, " ")
      for (i = 1; i <= n; i++) status[names[i]] = i - 1
    }
    $3 ~ /^(DNLOAD|UPLOAD|GETSTATUS|CLRSTATUS|GETSTATE|ABORT|DETACH)$/ {
      line = $3
      if ($3 == "DNLOAD" || $3 == "UPLOAD") {
        bytes = match($0, /[0-9]+( of [0-9]+)? bytes?/) ? substr($0, RSTART) + 0 : 0
        line = line " " $4 " " bytes
      }
      if (/STALL$/) line = line " -32"
      else if (/gone$/) line = line " -19"
      else if (/no answer$/) line = line " -110"
      else if (/given up$/) line = line " -2"
      else if ($3 == "GETSTATE") line = line " " state[$4]
      else if ($3 == "GETSTATUS") {
        sub(",", "", $4)
        sub(",", "", $5)
        poll = match($0, /poll [0-9]+/) ? substr($0, RSTART + 5) + 0 : 0
        line = line " " status[$5 ~ /^err/ ? $5 : "OK"] " " state[$4] " " poll
      }
      print line, $2
    }'
}

# The same out of the capture. A request is two frames: what was asked, and how it ended.
decoded() {
  decode -T fields -E separator=, -e usb.urb_type -e usb.urb_status \
    -e usb.time -e usb.urb_len -e usb.setup.bRequest -e usbdfu.command -e usbdfu.block_number \
    -e usbdfu.status -e usbdfu.state -e usbdfu.poll_timeout -e usbdfu.timeout |
    awk -F, '
      # tshark 4.4 shows the status in hexadecimal.
      function number(s,  n, i) {
        if (s !~ /^0x/) return s + 0
        for (i = 3; i <= length(s); i++) n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
        return n
      }
      BEGIN { split("DNLOAD UPLOAD GETSTATUS CLRSTATUS GETSTATE ABORT", name, " ") }
      $1 ~ /S/ { line = "" }
      $1 ~ /S/ && $6 != "" {
        line = $6 == 0 ? "DETACH" : name[$6]
        asked = $6
        if (asked == 1 || asked == 2) line = line " " $7
        bytes = $4
      }
      $1 ~ /C/ && line != "" {
        if ($2 == 0 && asked == 2) bytes = $4
        if (asked == 1 || asked == 2) line = line " " bytes
        if ($2 != 0) line = line " " $2
        else if (asked == 3) line = line " " number($8) " " $9 " " $10
        else if (asked == 5) line = line " " $9
        printf "%s %.3f\n", line, $3 * 1000
      }'
}

# same NAME MIN: both lists have at least MIN requests, and the same ones; durations may
# differ by what their rounding takes.
same() {
  told <"$place/trace" >"$place/told"
  decoded >"$place/decoded"
  why=$(paste -d'|' "$place/told" "$place/decoded" | awk -F'|' -v min="$2" '
    {
      n = split($1, a, " "); m = split($2, b, " ")
      same = n == m && n > 0
      for (i = 1; i < n; i++) if (a[i] != b[i]) same = 0
      far = a[n] - b[m]
      if (!same || far > 0.007 || far < -0.007) {
        print "request " NR ": told " $1 ", decoded " $2
        exit
      }
    }
    END { if (NR < min) print "only " NR " requests" }')
  # Its DFU dissector expects no end of a DNLOAD, an ABORT or a CLRSTATUS, and trips over a DNLOAD
  # and over answers without data, in the kernel's captures as in ours.
  [ -n "$why" ] || why=$(decode \
    -Y 'usb.data_len > 0 && _ws.expert && !usb_dfu.unexpected_response' | head -n 3)
  verdict "$1" "$why"
}

# session MIN STATUS ARGUMENT...
session() {
  min=$1 wanted=$2
  shift 2
  "$MOONFLASH" --virtual-time --trace --pcap "$place/session.pcap" "$@" 2>"$place/trace" >/dev/null
  got=$?
  if [ "$got" -eq "$wanted" ]; then
    same "$*" "$min"
  else
    verdict "$*" "status $got: $(tail -n 1 "$place/trace")"
  fi
}

# ---- what tshark decodes ----

app=$BUILD/ch.bin
if command -v tshark >/dev/null; then
  session 100 0 -d sim:f407 flash "$app" --full --leave
  # the bytes: all blocks from 2 on, in a row, are the image
  decode -Y 'usbdfu.command == 1 && usbdfu.block_number >= 2' \
    -T fields -e usb.data_fragment | tr -d '\n' >"$place/hex"
  od -An -v -tx1 "$app" | tr -d ' \n' >"$place/image"
  cmp -s "$place/hex" "$place/image" && why= || why="other bytes than the image's"
  verdict "the bytes of the blocks" "$why"
  # Without being told, tshark knows the device, and the interface.
  decode -V -c 6 >"$place/text"
  grep -q 'bInterfaceProtocol: DFU mode protocol' "$place/text" &&
    grep -q 'idProduct: .*(0xdf11)' "$place/text" && why= || why="no descriptors"
  verdict "the capture begins with the descriptors" "$why"
  [ "$(decode -c 6 -T fields -e usb.setup.bRequest | tr -d '\n\t ')" = 669 ] && why= ||
    why="$(decode -c 6)"
  verdict "device, configuration, set configuration" "$why"

  # what docs/trace.md shows, but for the times
  "$MOONFLASH" --virtual-time -d sim:f407 --pcap "$place/session.pcap" \
    -e 'local board <close> = dfu.open() board:erase_page(0x08004000)' 2>/dev/null
  awk '/^```/ { block = /text/; next } block && !/^\$/ { $2 = ""; print }' \
    "$here/../../docs/trace.md" >"$place/shown"
  decode -Y usbdfu | awk '{ $2 = ""; print }' |
    diff "$place/shown" - >"$place/diff" && why= || why=$(cat "$place/diff")
  [ -s "$place/shown" ] || why="it shows nothing"
  verdict "docs/trace.md" "$why"

  session 40 0 -d sim:f407,fault=stall@50,fault=stall@30 flash "$app"
  session 20 76 -d sim:f407,fault=error@40 flash "$app"
  session 20 74 -d sim:f407,fault=unplug@40 flash "$app"
  session 20 82 -d sim:f407,fault=hang@40 flash "$app"
  session 4 80 -d sim:f407,rdp=1 flash "$app"
  session 8 0 -d sim:f407,rdp=1 unprotect --yes
  session 100 0 -d sim:l452 flash "$app"
  session 100 0 -d sim:g474 flash "$app"
  printf 'local b <close> = dfu.at("sim:dfu11"); b:detach(); b:write(0, ("x"):rep(5000))' \
    >"$place/plain.lua"
  session 20 0 "$place/plain.lua"

  "$MOONFLASH" --virtual-time --trace --pcap "$place/session.pcap" -d 'sim:f407#1' \
    -d 'sim:f407#2,times=max' flash "$app" --full 2>"$place/trace"
  for i in 1 2; do
    told=$(grep -c "^sim:f407#${i}[:,].* DNLOAD " "$place/trace")
    seen=$(decode \
      -Y "usbdfu.command == 1 && usb.dst == \"0.$i.0\"" | wc -l)
    [ "$told" -gt 30 ] && [ "$told" -eq "$seen" ] && why= || why="told $told, decoded $seen"
    verdict "board $i of two" "$why"
  done
else
  echo "skipped: no tshark (Debian: tshark)"
  skipped=1
fi

# ---- captures that can't be written ----

refused() {
  "$MOONFLASH" --virtual-time -d "sim:f407,flash=$place/flash" --pcap "$2" flash "$app" \
    >"$place/out" 2>&1
  got=$?
  why=
  [ "$got" -eq 73 ] || why="status $got"
  grep -q -e "--pcap $2: $3" "$place/out" || why="$why; it says $(cat "$place/out")"
  [ ! -e "$place/flash" ] || why="$why; the board was touched"
  verdict "$1" "$why"
  rm -f "$place/flash"
}

printf 'firmware' >"$place/fw.bin"
refused "a folder that is not there" "$place/no/x.pcap" "No such file"
refused "a folder" "$place" "Is a directory"
refused "a full disk, from the first byte on" /dev/full "No space left"
refused "something that is no capture" "$place/fw.bin" "exists and is not a capture"

# A file that can't grow any more stands for a disk that is full in the middle.
(
  trap '' XFSZ
  ulimit -f 20
  "$MOONFLASH" --virtual-time -d sim:f407 --pcap "$place/full.pcap" flash "$app" --full
) >"$place/out" 2>&1
got=$?
why=
[ "$got" -eq 73 ] || why="status $got"
grep -q 'erased 4 sectors, wrote 57.5 KB, verified' "$place/out" || why="$why; it is not flashed"
grep -q 'full.pcap: File too large; the capture is not complete' "$place/out" ||
  why="$why; it says $(cat "$place/out")"
verdict "a disk that is full in the middle" "$why"

(
  trap '' XFSZ
  ulimit -f 20
  "$MOONFLASH" --virtual-time -d sim:f407,fault=unplug@60 --pcap "$place/full.pcap" flash "$app" \
    --full
) >"$place/out" 2>&1
got=$?
[ "$got" -eq 74 ] && why= || why="status $got"
verdict "what the board came to counts more than the capture" "$why"

# What was seen is there, whatever becomes of moonflash.
"$MOONFLASH" -d sim:f407 --pcap "$place/session.pcap" -e '
  local board <close> = dfu.open("sim:f407")
  board:get_status()
  print("ready")
  io.stdout:flush()
  task.sleep(100)' >"$place/fifo.out" &
pid=$!
while ! grep -q ready "$place/fifo.out"; do sleep 0.05; done
kill -9 $pid
wait $pid 2>/dev/null
[ "$(wc -c <"$place/session.pcap")" -gt 1000 ] && why= || why="nothing was written"
verdict "killed" "$why"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
