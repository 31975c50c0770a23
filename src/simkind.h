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
    SIM_ERROR_STRING = 15, /* with SIM_ADDRESS_ERRORS: what iString names */
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
    uint8_t alt; /* with SIM_BY_SETTING: whose it is */
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
 * bit each: 1 << habit. */
enum sim_habit {
    /* erasing, and commands */
    SIM_ERASES_TO_END,       /* an erase takes all sectors behind its own, too */
    SIM_ERASES_FOUR_ON,      /* in the second half, the fourth sector behind it */
    SIM_ERASES_TO_ZERO,      /* erased flash is 0x00 */
    SIM_IGNORES_MASS_ERASE,  /* the command is taken for done */
    SIM_IGNORES_UNPROTECT,   /* the same */
    SIM_IGNORES_COMMANDS,    /* any command that it does not know */
    SIM_UNPROTECTS_AT_POWER, /* protection is off when power comes back */
    SIM_KEEPS_POINTER,       /* an erase does not move the address pointer */
    SIM_NO_ANSWER_TO_GET,    /* UPLOAD of block 0 is never answered */
    SIM_REFUSES_GET,         /* or stalled */
    SIM_STALE_GET,           /* or answered with old bytes of a buffer */
    /* when a block is executed */
    SIM_EXECUTES_IN_STATUS,   /* in the GETSTATUS, which is held until then */
    SIM_EXECUTES_IN_DOWNLOAD, /* in the DNLOAD, which is held */
    /* errors */
    SIM_ERROR_WITHOUT_STATE,  /* a refusal has its bStatus, and dfuDNLOAD-IDLE */
    SIM_VENDOR_ERRORS,        /* a bad address is errVENDOR */
    SIM_ADDRESS_ERRORS,       /* a bad address is errADDRESS, with a string that says why */
    SIM_DEAF_IN_ERROR,        /* dfuERROR answers nothing but CLRSTATUS */
    SIM_ODD_STATE,            /* a refused UPLOAD leaves bState 15 */
    SIM_CLEAR_IDLES,          /* CLRSTATUS outside dfuERROR leads to dfuIDLE */
    SIM_CLEAR_STALLS,         /* or is stalled, and leaves the state alone */
    SIM_ABORT_STALLS_IN_SYNC, /* ABORT in dfuDNLOAD-SYNC is stalled, and leaves the state alone */
    SIM_ABORT_ERRS_IN_SYNC,   /* or leads to dfuERROR with bStatus OK */
    /* blocks */
    SIM_HALF_BLOCKS,          /* counts blocks in half of wTransferSize */
    SIM_BY_SETTING,           /* settings share addresses */
    SIM_NO_UPLOAD,            /* bitCanUpload is 0, and UPLOAD is refused */
    SIM_UPLOADS_ANYWHERE,     /* UPLOAD is taken in dfuDNLOAD-IDLE */
    SIM_UPLOADS_WHOLE_BLOCKS, /* UPLOAD answers wTransferSize, whatever wLength says */
    /* leaving */
    SIM_WAITS_FOR_STATUS, /* dfuMANIFEST-WAIT-RESET; gone at the next GETSTATUS */
    SIM_STAYS,            /* the empty DNLOAD ends in dfuIDLE */
    SIM_DETACHES,         /* DETACH in dfuIDLE leaves */
    SIM_COMES_BACK,       /* without a program to start it resets, into DFU mode */
    /* plain DFU */
    SIM_TOLERANT,        /* manifestation ends in dfuIDLE */
    SIM_CORRUPTS_BLOCKS, /* six bytes of each block are wrong */
    SIM_DROPS_ODD_BYTE,  /* the last byte of an odd length is lost */
    SIM_COUNTS_ITSELF,   /* takes no notice of block numbers */
    SIM_WANTS_ORDER,     /* blocks must follow each other, also over an ABORT */
    SIM_STATUS_IDLES,    /* GETSTATUS in dfuDNLOAD-IDLE leads to dfuIDLE */
    SIM_HABITS
};
/* Their names: "erases-to-end", ... */
extern const char *const sim_habit_names[SIM_HABITS];

struct sim_kind {
    const char *name;
    struct sim_face dfu;
    struct sim_face runtime; /* device is NULL: it has no run-time mode */
    double start_seconds;    /* a ROM: from leaving to run-time mode */
    const char *strings[SIM_STRINGS_MAX];
    uint16_t transfer_size;
    bool plain;          /* DFU 1.1: blocks from 0, no addresses, erases by itself */
    bool waits;          /* plain: it stays in DFU mode until a program was downloaded */
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
    uint64_t habits; /* of enum sim_habit */
};

extern const struct sim_kind sim_kinds[];
extern const size_t sim_kind_count;

bool simkind_has(const struct sim_kind *kind, enum sim_habit habit);

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
