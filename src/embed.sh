#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the C source of builtin_files[] (builtin.h), sorted by name.  Arguments: NAME=FILE ...
set -eu
LC_ALL=C
export LC_ALL

echo '/* Made by src/embed.sh: do not edit. */'
echo '#include "lua/builtin.h"'
printf '%s\n' "$@" | sort | {
  n=0
  table=
  while IFS='=' read -r name file; do
    echo "static const unsigned char text$n[] = {"
    od -An -v -tu1 "$file" | sed 's/[0-9][0-9]*/&,/g'
    echo '0 };'
    table="$table    { \"$name\", text$n, sizeof text$n - 1 },
"
    n=$((n + 1))
  done
  echo 'const struct builtin builtin_files[] = {'
  printf '%s' "$table"
  echo '    { NULL, NULL, 0 },'
  echo '};'
}
