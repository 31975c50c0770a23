/* SPDX-License-Identifier: MIT */
/* What kinds of simulated board there are, as data.  Where a number was seen stands beside it
 * in simkind.c.
 */
#ifndef SIMKIND_H
#define SIMKIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIM_DEVICE_DESCRIPTOR = 18, /* its length */
    SIM_TRANSFER_MAX = 4096,    /* the largest wTransferSize of any kind */
    SIM_MEMORIES_MAX = 16,
    SIM_STRINGS_MAX = 16,
    SIM_TEXT_MAX = 126,    /* what a string descriptor has room for, in UTF-16 */
    SIM_SERIAL_STRING = 3, /* its index in every kind */
};

/* What a request meets while the board executes a command. */
enum sim_busy {
    SIM_BUSY_NAK,   /* it is answered when the work is done */
    SIM_BUSY_STALL, /* it is refused */
    SIM_BUSY_SAYS,  /* GETSTATUS is answered with dfuDNBUSY, as the DFU specification has it */
};

enum sim_role {
    SIM_ROLE_FLASH,   /* the first memory of a kind always: its main flash */
    SIM_ROLE_RAM,     /* in no layout string, but there */
    SIM_ROLE_OPTIONS, /* written whole, and the board resets */
    SIM_ROLE_OTP,     /* bits only clear */
    SIM_ROLE_FEATURE, /* the "Device Feature" word: supply voltage, hence parallelism */
};

/* Milliseconds for each programming width: the narrow one of a new board, middle, wide. */
struct sim_ms {
    double typ[3];
    double max[3];
};

struct sim_run {
    uint32_t count;
    uint32_t size;
    struct sim_ms erase;
};

struct sim_memory {
    enum sim_role role;
    uint8_t alt; /* with SIM_HABIT_BY_SETTING: whose it is */
    uint32_t address;
    uint32_t size;
    uint32_t reserved;      /* bytes at its start that belong to the boot loader */
    const uint8_t *initial; /* the first bytes of a new board; the rest is erased */
    size_t initial_length;
    const struct sim_run *runs; /* flash: its sectors */
    size_t run_count;
    uint32_t unit; /* flash: bytes programmed at once, and for how long; 0: as the kind has it */
    double unit_us_typ;
    double unit_us_max;
};

/* bwPollTimeout as the board announces it, milliseconds. */
struct sim_poll {
    uint32_t erase;
    uint32_t write;
    uint32_t address;
    uint32_t manifest;
};

/* What a host sees of a board in one mode. */
struct sim_face {
    const uint8_t *device; /* SIM_DEVICE_DESCRIPTOR bytes */
    const uint8_t *config;
    size_t config_length;
    uint8_t alts;
    bool no_dfu; /* its interface is none of DFU */
};

/* What boot loaders of other people do otherwise than ST's ROM, or DFU 1.1 (docs/protocol.md); a
 * bit each. */
enum sim_habit {
    SIM_HABIT_ERASES_TO_END = 1 << 0,       /* an erase takes all sectors behind its own, too */
    SIM_HABIT_ERASES_FOUR_ON = 1 << 1,      /* in the second half, the fourth sector behind it */
    SIM_HABIT_IGNORES_MASS_ERASE = 1 << 2,  /* the command is taken for done */
    SIM_HABIT_IGNORES_UNPROTECT = 1 << 3,   /* the same */
    SIM_HABIT_UNPROTECTS_AT_POWER = 1 << 4, /* protection is off when power comes back */
    SIM_HABIT_ERROR_WITHOUT_STATE = 1 << 5, /* a refusal has its bStatus, and dfuDNLOAD-IDLE */
    SIM_HABIT_HALF_BLOCKS = 1 << 6,         /* counts blocks in half of wTransferSize */
    SIM_HABIT_BY_SETTING = 1 << 7,          /* settings share addresses */
    SIM_HABIT_TOLERANT = 1 << 8,            /* plain DFU: manifestation ends in dfuIDLE */
    SIM_HABIT_CORRUPTS_BLOCKS = 1 << 9,     /* plain DFU: six bytes of each block are wrong */
    SIM_HABIT_DROPS_ODD_BYTE = 1 << 10,     /* plain DFU: the last byte of an odd length */
    SIM_HABIT_ERASES_TO_ZERO = 1 << 11,     /* erased flash is 0x00 */
    SIM_HABIT_NO_UPLOAD = 1 << 12,          /* bitCanUpload is 0, and UPLOAD is refused */
};
#define SIM_HABITS 13
/* Their names, in this order: "erases-to-end", ... */
extern const char *const sim_habit_names[SIM_HABITS];

struct sim_kind {
    const char *name;
    struct sim_face dfu;
    struct sim_face runtime; /* device is NULL: it has no run-time mode */
    double start_seconds;    /* a ROM: from leaving to run-time mode */
    const char *strings[SIM_STRINGS_MAX];
    uint16_t transfer_size;
    bool plain;          /* DFU 1.1: blocks from 0, no addresses, erases by itself */
    uint8_t start_state; /* bState after power-up in DFU mode; 10 comes with errFIRMWARE */
    enum sim_busy busy;
    struct sim_poll poll;

    struct sim_memory memories[SIM_MEMORIES_MAX];
    size_t memory_count;
    struct sim_ms mass_erase; /* of the main flash */
    uint32_t unit[3];         /* bytes programmed at once, for each width */
    double unit_us_typ;
    double unit_us_max;

    uint32_t rdp_at;  /* offset of the RDP byte in the first option bytes */
    uint32_t nwrp_at; /* offset of the write protection bits, 0: kept beside the option bytes */
    uint32_t pointer; /* the address pointer after power-up */
    uint32_t alias;   /* where a program sees its flash besides the flash's own address */
    uint32_t stack;   /* further RAM in which a stack may lie, and its size (0: none) */
    uint32_t stack_size;
    double manifest_seconds;
    unsigned habits; /* of enum sim_habit */
};

extern const struct sim_kind sim_kinds[];
extern const size_t sim_kind_count;

/* NULL: no such kind. */
const struct sim_kind *simkind_find(const char *name);

/* The sector of a flash that holds the byte at `offset`; false: it has none. */
struct sim_sector {
    uint32_t index;
    uint32_t offset;
    uint32_t size;
    const struct sim_ms *erase;
};
bool simkind_sector(const struct sim_memory *memory, uint64_t offset, struct sim_sector *sector);

#endif
