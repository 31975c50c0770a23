/* SPDX-License-Identifier: MIT */
/* The memories of a simulated board: their contents, programming and erasing, and how long those
 * take.  They know nothing of USB.
 */
#ifndef SIMMEM_H
#define SIMMEM_H

#include "sim/sim.h"
#include "sim/simkind.h"

struct simmem {
    const struct sim_kind *kind;
    uint8_t alt; /* the alternate setting in force */
    enum sim_times times;
    uint8_t *bytes[SIM_MEMORIES_MAX]; /* of each memory of the kind */
    uint8_t *small;                   /* all but the main flash, in one piece */
    int rdp;                          /* read protection level, ... */
    uint32_t wrp;       /* ... and write-protected sectors (bits), as loaded at the last start */
    size_t changed;     /* the main flash changed from this offset ... */
    size_t changed_end; /* ... to this one; nothing, if they are equal */
    struct sim_flashed flashed; /* since the last sim_flashed() */
    bool wants_power;           /* the next power-up removes read protection */
};

/* Makes erased memories with the protection of the options.  False: no memory. */
bool simmem_init(struct simmem *mem, const struct sim_kind *kind,
                 const struct sim_options *options);
void simmem_free(struct simmem *mem);

/* A start of the chip: loads the option bytes, resets the voltage range. */
void simmem_start(struct simmem *mem);

/* The memory that holds all of [address, address + length), and its bytes there; or NULL. */
const struct sim_memory *simmem_find(const struct simmem *mem, uint64_t address, uint64_t length,
                                     uint8_t **bytes);

/* The same for a host, which cannot reach the boot loader's own RAM. */
const struct sim_memory *simmem_find_user(const struct simmem *mem, uint64_t address,
                                          uint64_t length, uint8_t **bytes);

double simmem_write_seconds(const struct simmem *mem, uint32_t address, uint32_t length);
double simmem_erase_seconds(const struct simmem *mem, const struct sim_ms *ms);

/* Writes, in the way of the memory at `address`.  fraction < 1: power failed before the end. */
void simmem_write(struct simmem *mem, uint32_t address, const uint8_t *data, uint32_t length,
                  double fraction);

/* Erases a part of a flash, unless it is write-protected.  fraction < 1: power failed before the
 * end. */
void simmem_erase(struct simmem *mem, const struct sim_memory *memory, uint32_t offset,
                  uint32_t length, double fraction);

/* Removes read protection, after erasing RAM and all flash, write-protected or not. */
void simmem_unprotect(struct simmem *mem, double fraction);

/* Power-up: removes read protection if SIM_UNPROTECTS_AT_POWER left that to do. */
void simmem_power(struct simmem *mem);

/* Adds `more` to `sum`. */
void simmem_add_flashed(struct sim_flashed *sum, const struct sim_flashed *more);

/* Records that [offset, offset + length) of the main flash has changed. */
void simmem_mark(struct simmem *mem, size_t offset, size_t length);

#endif
