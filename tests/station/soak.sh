#!/bin/sh
# SPDX-License-Identifier: MIT
# Stations for a long time: rehearsals with many seeds, on kinds with and without a chip id.
set -eu
cd "$(dirname "$0")/../.."
for seed in $(seq 1 "${SEEDS:-30}"); do
  for kind in f407 g474 u083 c071; do
    build/moonflash -d sim:$kind rehearse --station --units 1000 --places 16 --seed "$seed" \
      tests/station/unit.lua
  done
done
