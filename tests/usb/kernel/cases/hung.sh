# SPDX-License-Identifier: MIT
# Boards that hang do not delay the listing of others: eight take the time of one.
. /tests/lib.sh
serve sim:f407#1,fault=hang@1 sim:f407#2,fault=hang@1 sim:f407#3,fault=hang@1 \
  sim:f407#4,fault=hang@1 sim:f407#5,fault=hang@1 sim:f407#6,fault=hang@1 \
  sim:f407#7,fault=hang@1 sim:f407#8,fault=hang@1
plug 1-1 1-2 1-3 1-4 1-5 1-6 1-7 1-8
status 82 moonflash doctor # its first request is the one that they hang at
began=$(now)
status 0 moonflash -d 1-1 list
one=$(since "$began")
began=$(now)
status 0 moonflash list
took=$(since "$began")
for i in 1 2 3 4 5 6 7 8; do says out "1-$i   0483:df11"; done
figure "eight boards that hang are listed in $took s, one in $one s"
awk "BEGIN { exit !($took < 6) }" || fail "it took $took s"
