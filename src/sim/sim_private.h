/* SPDX-License-Identifier: MIT */
/* The inside of a simulated board, for sim.c (life and time), simdfu.c (class requests) and
 * simstd.c (standard requests, and what a transfer costs).
 */
#ifndef SIM_PRIVATE_H
#define SIM_PRIVATE_H

#include "sim/sim.h"
#include "sim/simkind.h"
#include "sim/simmem.h"
#include "sim/simreplay.h"

enum { SIM_SERIAL_MAX = 3 * SIM_TEXT_MAX, SIM_FAULTS_MAX = 64 }; /* bytes of UTF-8 */

/* From the start of the chip until it is on the bus. */
#define SIM_RESET_SECONDS 0.1

/* Work that a board does from one moment to another.  It takes effect at its end. */
enum sim_work_kind {
    SIM_WORK_NONE,
    SIM_WORK_REFUSE,    /* ends in dfuERROR with .status */
    SIM_WORK_NOTHING,   /* a command without effect, reported as done */
    SIM_WORK_ADDRESS,   /* set the address pointer */
    SIM_WORK_WRITE,     /* the stored block, to .address */
    SIM_WORK_ERASE,     /* .length bytes of flash from the sector that holds .address */
    SIM_WORK_OPTIONS,   /* off the bus: writes the option bytes, and starts again */
    SIM_WORK_UNPROTECT, /* off the bus: erases everything, and starts again */
    SIM_WORK_RESET,     /* off the bus: starts again */
    SIM_WORK_MANIFEST,  /* plain DFU: manifestation of the program */
    SIM_WORK_LEAVE,     /* the boot loader jumps to the program */
    SIM_WORK_START,     /* off the bus: comes back in run-time mode */
    SIM_WORK_DETACH,    /* still on the bus in appDETACH */
    SIM_WORK_ATTACH,    /* off the bus: comes back in DFU mode */
};

struct sim_work {
    enum sim_work_kind kind;
    enum dfu_status status;
    uint32_t address;
    uint32_t length;
    double seconds;
    double begin;
    double end;
};

struct sim_pending_fault {
    enum sim_fault fault;
    struct sim_when when;
};

struct sim {
    const struct sim_kind *kind;
    struct simproduct *product; /* owns the kind; NULL: a built-in kind */
    struct simreplay *replay;   /* NULL: none */
    enum sim_usb usb;
    char serial[SIM_SERIAL_MAX + 1];
    struct simmem mem;

    bool plugged;
    bool hung;        /* answers nothing, see SIM_FAULT_HANG */
    bool downloaded;  /* a program was downloaded since power-up */
    bool has_program; /* plain DFU: it has a complete program to start */
    enum sim_life life;
    unsigned generation;
    struct sim_start start;
    struct sim_work work;
    struct sim_work
        late;        /* SIM_ANSWERS_EARLY: an erase that was reported as done, and still runs */
    bool misaligned; /* a write was not aligned, so all fail (struct sim_kind, align) */

    uint8_t state;  /* bState: dfu_state, or a number that is no state */
    uint8_t status; /* bStatus */
    uint8_t configuration;
    uint32_t poll;    /* the last bwPollTimeout that was announced */
    uint32_t pointer; /* DfuSe: the address pointer */

    bool stored;         /* a command or block waits for the GETSTATUS that executes it */
    uint16_t block;      /* its number, ... */
    uint16_t next_block; /* of a board that counts blocks itself */
    uint16_t length;     /* ... and how many bytes of `buffer` it has */
    uint8_t buffer[SIM_TRANSFER_MAX];

    uint64_t requests;
    size_t fault_count;
    struct sim_pending_fault faults[SIM_FAULTS_MAX];
};

/* The bytes that a request reads, writes or erases, whether the board accepts it or not. */
struct sim_span {
    enum sim_op op; /* SIM_OP_ANY: none */
    uint64_t address;
    uint64_t length;
};

/* ---- simdfu.c ---- */

/* Carries out a class request.  Returns bytes or a sim_result, and sets the work that begins at the
 * end of the request. */
int simdfu_request(struct sim *sim, const struct usb_setup *setup, uint8_t *data,
                   struct sim_work *work);
struct sim_span simdfu_span(const struct sim *sim, const struct usb_setup *setup,
                            const uint8_t *data);

/* Whether the board executes a command or block, while it is on the bus. */
bool simdfu_busy(const struct sim *sim);

/* The effect of the work under way on memories and state.  fraction < 1: it was cut off there. */
void simdfu_end_work(struct sim *sim, double fraction);

/* Carries out an erase that was reported as done before (struct sim, late). */
void simdfu_end_late(struct sim *sim);

/* Enters dfuERROR. */
void simdfu_error(struct sim *sim, enum dfu_status status);

/* ---- simstd.c ---- */

int simstd_request(struct sim *sim, const struct usb_setup *setup, uint8_t *data);
const struct sim_face *simstd_face(const struct sim *sim);

/* Seconds that a transfer takes for the host, and for which it occupies the bus. */
double simstd_seconds(const struct sim *sim, bool in, size_t length);
double simstd_wire_seconds(const struct sim *sim, size_t length);

#endif
