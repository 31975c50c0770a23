/* SPDX-License-Identifier: MIT */
/* The kinds of simulated board, as data.  simkind.c has the source of each number beside it. */
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
    SIM_TEXT_MAX = 126,    /* UTF-16 units in a string descriptor */
    SIM_SERIAL_STRING = 3, /* its index in every kind */
    SIM_ERROR_STRING = 15, /* SIM_ADDRESS_ERRORS: the descriptor that iString names */
};

/* How a board that executes a command answers a request. */
enum sim_busy {
    SIM_BUSY_NAK,   /* with NAKs until the work is done */
    SIM_BUSY_STALL, /* with a STALL */
    SIM_BUSY_SAYS,  /* with dfuDNBUSY to GETSTATUS, as in DFU 1.1 */
};

enum sim_role {
    SIM_ROLE_FLASH,   /* the first memory of each kind is its main flash */
    SIM_ROLE_RAM,     /* not in the layout strings */
    SIM_ROLE_OPTIONS, /* written whole, and the board resets */
    SIM_ROLE_OTP,     /* bits only clear */
    SIM_ROLE_FEATURE, /* the "Device Feature" word: supply voltage, hence parallelism */
    SIM_ROLE_DATA,    /* EEPROM: written without erasing, 0x00 when blank */
    SIM_ROLE_SYSTEM,  /* the ROM and what the maker wrote; read only, in no layout string */
};

/* Milliseconds for each programming width: narrow (of a new board), middle, wide. */
struct sim_ms {
    double typ[3];
    double max[3];
};

/* `count` sectors of `size` bytes. */
struct sim_run {
    uint32_t count;
    uint32_t size;
    struct sim_ms erase;
};

struct sim_memory {
    enum sim_role role;
    uint8_t alt; /* SIM_BY_SETTING: the alternate setting that it belongs to */
    uint32_t address;
    uint32_t size;
    uint32_t reserved;      /* bytes at its start that the boot loader uses */
    const uint8_t *initial; /* contents of a new board; the rest is erased */
    size_t initial_length;
    const struct sim_run *runs; /* flash: its sectors */
    size_t run_count;
    uint32_t unit; /* flash: bytes programmed at once, with their times; 0: the kind's */
    double unit_us_typ;
    double unit_us_max;
};

/* The bwPollTimeout that the board announces, in milliseconds. */
struct sim_poll {
    uint32_t erase;
    uint32_t write;
    uint32_t address;
    uint32_t manifest;
};

/* The descriptors of a board in one mode. */
struct sim_face {
    const uint8_t *device; /* SIM_DEVICE_DESCRIPTOR bytes */
    const uint8_t *config;
    size_t config_length;
    uint8_t alts;
    bool no_dfu; /* it has no DFU interface */
};

/* Differences of other boot loaders from ST's ROM, or from DFU 1.1 (docs/protocol.md); bits of a
 * kind's `habits`: 1 << habit. */
enum sim_habit {
    /* erasing, and commands */
    SIM_ERASES_TO_END,       /* an erase also erases all sectors after its own */
    SIM_ERASES_FOUR_ON,      /* in the second half, also the fourth sector after it */
    SIM_ERASES_FOURTH,       /* in the second half, the fourth sector after it instead */
    SIM_ERASES_ONE_BANK,     /* in the second half, nothing; reported as done */
    SIM_STAYS_BUSY,          /* in the second half, stays in dfuDNBUSY until CLRSTATUS twice */
    SIM_ANSWERS_EARLY,       /* in the second half, reports an erase as done while it still runs */
    SIM_REFUSES_MASS_ERASE,  /* mass erase is an unknown command */
    SIM_REFUSES_UNPROTECT,   /* likewise Read Unprotect; Get Commands does not list it */
    SIM_ERASES_TO_ZERO,      /* erased flash is 0x00 */
    SIM_IGNORES_MASS_ERASE,  /* mass erase has no effect, and is reported as done */
    SIM_IGNORES_UNPROTECT,   /* likewise Read Unprotect */
    SIM_IGNORES_COMMANDS,    /* likewise unknown commands */
    SIM_UNPROTECTS_AT_POWER, /* Read Unprotect takes effect at the next power-up */
    SIM_OPTIONS_STAY,        /* writing option bytes does not reset the chip */
    SIM_KEEPS_POINTER,       /* an erase does not move the address pointer */
    SIM_NO_ANSWER_TO_GET,    /* UPLOAD of block 0 is never answered */
    SIM_REFUSES_GET,         /* UPLOAD of block 0 is stalled */
    SIM_STALE_GET,           /* UPLOAD of block 0 gives old bytes of a buffer */
    /* when a block is executed */
    SIM_EXECUTES_IN_STATUS,   /* in the GETSTATUS, which is answered at the end */
    SIM_EXECUTES_IN_DOWNLOAD, /* in the DNLOAD, which is answered at the end */
    /* errors */
    SIM_ERROR_WITHOUT_STATE,  /* a refusal has a bStatus, but leads to dfuDNLOAD-IDLE */
    SIM_VENDOR_ERRORS,        /* a bad address is errVENDOR */
    SIM_ADDRESS_ERRORS,       /* a bad address is errADDRESS, with a string */
    SIM_DEAF_IN_ERROR,        /* dfuERROR answers nothing but CLRSTATUS */
    SIM_ODD_STATE,            /* a refused UPLOAD leaves bState 15 */
    SIM_CLEAR_IDLES,          /* CLRSTATUS outside dfuERROR leads to dfuIDLE */
    SIM_CLEAR_STALLS,         /* CLRSTATUS outside dfuERROR is stalled, without effect */
    SIM_REPEATS_POLL,         /* the GETSTATUS after a block announces its poll timeout again */
    SIM_ABORT_STALLS_IN_SYNC, /* ABORT in dfuDNLOAD-SYNC is stalled, without effect */
    SIM_ABORT_ERRS_IN_SYNC,   /* ABORT in dfuDNLOAD-SYNC leads to dfuERROR, with bStatus OK */
    /* blocks */
    SIM_HALF_BLOCKS,          /* blocks count for half of wTransferSize */
    SIM_BY_SETTING,           /* alternate settings share addresses */
    SIM_NO_UPLOAD,            /* bitCanUpload is 0, and UPLOAD is refused */
    SIM_UPLOADS_ANYWHERE,     /* UPLOAD is accepted in dfuDNLOAD-IDLE */
    SIM_UPLOADS_WHOLE_BLOCKS, /* UPLOAD gives wTransferSize bytes, whatever wLength is */
    /* leaving */
    SIM_WAITS_FOR_STATUS, /* goes to dfuMANIFEST-WAIT-RESET, and leaves at the next GETSTATUS */
    SIM_STAYS,            /* the empty DNLOAD ends in dfuIDLE */
    SIM_DETACHES,         /* DETACH in dfuIDLE leaves */
    SIM_COMES_BACK,       /* without a valid program it resets, into DFU mode */
    /* plain DFU */
    SIM_TOLERANT,        /* manifestation ends in dfuIDLE */
    SIM_CORRUPTS_BLOCKS, /* six bytes of each block are wrong */
    SIM_DROPS_ODD_BYTE,  /* the last byte of an odd length is lost */
    SIM_COUNTS_ITSELF,   /* ignores block numbers */
    SIM_WANTS_ORDER,     /* block numbers must be consecutive, also across an ABORT */
    SIM_STATUS_IDLES,    /* GETSTATUS in dfuDNLOAD-IDLE leads to dfuIDLE */
    SIM_HABITS
};
/* Their names: "erases-to-end", ... */
extern const char *const sim_habit_names[SIM_HABITS];

struct sim_kind {
    const char *name;
    struct sim_face dfu;
    struct sim_face runtime; /* device NULL: no run-time mode */
    double start_seconds;    /* a ROM: from leaving to run-time mode */
    const char *strings[SIM_STRINGS_MAX];
    uint16_t transfer_size;
    bool plain;          /* plain DFU 1.1: blocks from 0, no addresses, no erase command */
    bool waits;          /* plain: stays in DFU mode until a program was downloaded */
    uint8_t start_state; /* bState after power-up in DFU mode; dfuERROR has errFIRMWARE */
    enum sim_busy busy;
    struct sim_poll poll;

    struct sim_memory memories[SIM_MEMORIES_MAX];
    size_t memory_count;
    struct sim_ms mass_erase; /* of the main flash */
    uint32_t unit[3];         /* bytes programmed at once, for each width */
    double unit_us_typ;
    double unit_us_max;

    uint32_t align;   /* writes that are not aligned to it fail, and all that follow; 0: none do */
    uint32_t rdp_at;  /* offset of the RDP byte in the first option bytes, ... */
    uint8_t rdp_open; /* ... and its value at level 0 */
    uint32_t nwrp_at; /* offset of the write protection bits, 0: kept beside the option bytes */
    uint32_t pointer; /* the address pointer after power-up */
    uint32_t alias;   /* a second address of the main flash; 0: none */
    uint32_t stack;   /* more RAM that a stack may lie in, and its size; 0: none */
    uint32_t stack_size;
    double manifest_seconds;
    uint64_t habits; /* of enum sim_habit */
};

extern const struct sim_kind sim_kinds[];
extern const size_t sim_kind_count;

bool simkind_has(const struct sim_kind *kind, enum sim_habit habit);

/* NULL: no such kind. */
const struct sim_kind *simkind_find(const char *name);

/* Sets `sector` to the one that holds the byte at `offset` of a flash.  False: there is none. */
struct sim_sector {
    uint32_t index;
    uint32_t offset;
    uint32_t size;
    const struct sim_ms *erase;
};
bool simkind_sector(const struct sim_memory *memory, uint64_t offset, struct sim_sector *sector);

#endif
