/* SPDX-License-Identifier: MIT */
/* Inside a simulated board: what sim.c (life and time), simdfu.c (class requests) and simstd.c
 * (standard requests, and what a transfer costs) share.
 */
#ifndef SIMDEV_H
#define SIMDEV_H

#include "sim.h"
#include "simkind.h"
#include "simmem.h"

enum { SIM_SERIAL_MAX = 3 * SIM_TEXT_MAX, SIM_FAULTS_MAX = 64 }; /* bytes of UTF-8 */

/* From a start of the chip to where it is seen on the bus. */
#define SIM_RESET_SECONDS 0.1

/* What a board is at, from one moment to another.  Its effect lands at the end. */
enum sim_work_kind {
    SIM_WORK_NONE,
    SIM_WORK_REFUSE,    /* ends in dfuERROR with .status */
    SIM_WORK_NOTHING,   /* a command that is taken for done */
    SIM_WORK_ADDRESS,   /* set the address pointer */
    SIM_WORK_WRITE,     /* the stored block, to .address */
    SIM_WORK_ERASE,     /* .length bytes of a flash from the sector that has .address */
    SIM_WORK_OPTIONS,   /* off the bus: writes them, and starts again */
    SIM_WORK_UNPROTECT, /* off the bus: erases all, and starts again */
    SIM_WORK_RESET,     /* off the bus: starts again */
    SIM_WORK_MANIFEST,  /* plain DFU: the program is being taken over */
    SIM_WORK_LEAVE,     /* the boot loader jumps */
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
    struct simproduct *product; /* which the kind belongs to, or NULL */
    enum sim_usb usb;
    char serial[SIM_SERIAL_MAX + 1];
    struct simmem mem;

    bool plugged;
    bool hung;
    bool downloaded;  /* a program, since power came */
    bool has_program; /* plain DFU: what it has to start is whole */
    enum sim_life life;
    unsigned generation;
    struct sim_start start;
    struct sim_work work;

    uint8_t state;
    uint8_t status;
    uint8_t configuration;
    uint32_t pointer;

    bool stored; /* a command waits for the GETSTATUS that executes it */
    uint16_t block;
    uint16_t next_block; /* as a board counts that does so itself */
    uint16_t length;
    uint8_t buffer[SIM_TRANSFER_MAX];

    uint64_t requests;
    size_t fault_count;
    struct sim_pending_fault faults[SIM_FAULTS_MAX];
};

/* What a request does to which bytes, whether the board will take it or not. */
struct sim_span {
    enum sim_op op; /* SIM_OP_ANY: none of them */
    uint64_t address;
    uint64_t length;
};

/* simdfu.c.  A class request gives bytes or a sim_result, and the work that begins with its
 * end; the other two say what work does when it begins and when it ends. */
int simdfu_request(struct sim *sim, const struct usb_setup *setup, uint8_t *data,
                   struct sim_work *work);
struct sim_span simdfu_span(const struct sim *sim, const struct usb_setup *setup,
                            const uint8_t *data);
bool simdfu_busy(const struct sim *sim);
void simdfu_land(struct sim *sim, double fraction);
void simdfu_error(struct sim *sim, enum dfu_status status);

/* simstd.c */
int simstd_request(struct sim *sim, const struct usb_setup *setup, uint8_t *data);
const struct sim_face *simstd_face(const struct sim *sim);
/* How long a transfer takes for the host, and for how much of that it occupies the bus. */
double simstd_seconds(const struct sim *sim, bool in, size_t length);
double simstd_wire_seconds(const struct sim *sim, size_t length);

#endif
