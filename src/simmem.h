/* SPDX-License-Identifier: MIT */
/* The memories of a simulated board: what is in them, what programming and erasing make of it,
 * and how long that takes.  They know nothing of USB.
 */
#ifndef SIMMEM_H
#define SIMMEM_H

#include "sim.h"
#include "simkind.h"

struct simmem {
    const struct sim_kind *kind;
    uint8_t alt; /* the alternate setting in force */
    enum sim_times times;
    uint8_t *bytes[SIM_MEMORIES_MAX]; /* of each memory of the kind */
    uint8_t *small;                   /* all but the main flash, in one piece */
    int rdp;                          /* level and sectors (bits) that are protected, as */
    uint32_t wrp;                     /* loaded at the last start */
    size_t changed;                   /* the main flash changed from this offset ... */
    size_t changed_end;               /* ... to this one; nothing, if they are equal */
    struct sim_flashed flashed;       /* not told yet */
    bool wants_power;                 /* protection goes when power comes back */
};

/* Erased memories, protected as the options say.  False: no memory. */
bool simmem_init(struct simmem *mem, const struct sim_kind *kind,
                 const struct sim_options *options);
void simmem_free(struct simmem *mem);

/* What the chip does at every start: takes over its option bytes, forgets the voltage range. */
void simmem_start(struct simmem *mem);

/* The memory that holds all of [address, address + length), and where its bytes are; or NULL. */
const struct sim_memory *simmem_find(const struct simmem *mem, uint64_t address, uint64_t length,
                                     uint8_t **bytes);

/* The same for a boot loader, which keeps its own part of RAM to itself. */
const struct sim_memory *simmem_find_user(const struct simmem *mem, uint64_t address,
                                          uint64_t length, uint8_t **bytes);

double simmem_write_seconds(const struct simmem *mem, uint32_t address, uint32_t length);
double simmem_erase_seconds(const struct simmem *mem, const struct sim_ms *ms);

/* Writes as the memory at `address` does it.  `fraction` < 1: power went before the end. */
void simmem_write(struct simmem *mem, uint32_t address, const uint8_t *data, uint32_t length,
                  double fraction);

/* Erases a part of a flash, or what the power lasted for; unless it is write-protected. */
void simmem_erase(struct simmem *mem, const struct sim_memory *memory, uint32_t offset,
                  uint32_t length, double fraction);

/* Takes read protection off: erases flash (all of it, protected or not) and RAM first. */
void simmem_unprotect(struct simmem *mem, double fraction);

/* Power comes back: a protection that was to be removed then is. */
void simmem_power(struct simmem *mem);

/* Adds what was done to the main flash to what is known. */
void simmem_add_flashed(struct sim_flashed *sum, const struct sim_flashed *more);

/* Notes that [offset, offset + length) of the main flash is not what it was. */
void simmem_mark(struct simmem *mem, size_t offset, size_t length);

#endif
