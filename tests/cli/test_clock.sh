#!/bin/sh
# SPDX-License-Identifier: MIT
# The wall clock may jump (NTP, summer time, a person): deadlines are on the monotonic one. A small
# library in front of libc makes every question for the time of day jump by a day, back and forth.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0

cat >"$folder/jump.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

static long jump(void)
{
    static unsigned asked;
    return asked++ % 2 ? 86400 : -86400;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, ts);
    if (id == CLOCK_REALTIME)
        ts->tv_sec += jump();
    return result;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    (void)zone;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    *tv = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *t)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (t)
        *t = ts.tv_sec;
    return ts.tv_sec;
}
END
cc -shared -fPIC -o "$folder/jump.so" "$folder/jump.c" -ldl || exit 1

# run NAME EXPECTED CODE
run() {
  got=$(LD_PRELOAD="$folder/jump.so" timeout 20 build/moonflash -e "$3" 2>&1)
  if [ "$got" = "$2" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf '%s: expected "%s", got "%s"\n' "$1" "$2" "$got"
  fi
}

run "the clock does jump" "true" 'print(math.abs(os.time() - os.time()) > 80000)'
run "a deadline that is kept" "in time" \
  'print(task.deadline(5, function() task.sleep(0.01) return "in time" end))'
run "a deadline that is not" "moonflash: not done within 0.05 s" \
  'task.deadline(0.05, task.sleep, 3600)'
run "time never goes back" "true" '
  local last, forward = task.now(), true
  for _ = 1, 1000 do
    local now = task.now()
    forward, last = forward and now >= last and now < last + 1, now
  end
  print(forward)'
run "a board is waited for as long as said" "usb.no-device true" '
  local start = task.now()
  local ok, err = pcall(dfu.open, "1-1", { wait = 0.1 })
  local spent = task.now() - start
  print(err.code .. " " .. tostring(spent >= 0.1 and spent < 5))'
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
