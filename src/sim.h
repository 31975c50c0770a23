/* SPDX-License-Identifier: MIT */
/* A simulated board, device side.
 *
 * Pure: a control request and the time go in, the answer and how long it took come out.
 * No I/O, no clock, no Lua.  Three fronts stand on it: this process (simport.c), a kernel
 * over USB/IP, and a test bed under umockdev.  What it follows, and where that was seen,
 * is docs/protocol.md.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dfu_spec.h"

struct sim;
struct simproduct; /* simproduct.h */

/* How a request can end but for a count of bytes. */
enum sim_result {
    SIM_STALL = -1, /* refused; the next request is heard again */
    SIM_HANG = -2,  /* never answered: the host's timeout ends it */
    SIM_GONE = -3,  /* the device is no longer on the bus */
};

struct sim_answer {
    int result;     /* bytes moved, or a sim_result */
    double seconds; /* from the request to its end, as the host sees it */
    double wire;    /* of these, the time in which nothing else can use the bus */
};

enum sim_usb { SIM_USB_REAL, SIM_USB_IDEAL, SIM_USB_NONE };      /* what a transfer costs */
enum sim_times { SIM_TIMES_TYP, SIM_TIMES_MAX, SIM_TIMES_ZERO }; /* what the flash takes */

/* Where the device stands, as its surroundings see it. */
enum sim_life {
    SIM_DFU,      /* on the bus, in DFU mode */
    SIM_RUNTIME,  /* on the bus, in run-time mode (kinds that have one) */
    SIM_STARTING, /* left for its program, which will be on the bus in run-time mode */
    SIM_RUNNING,  /* left for its program: not on the bus */
    SIM_AWAY,     /* unplugged, or a boot loader that does not start (read protection level 2) */
};

enum sim_fault {
    SIM_FAULT_UNPLUG,  /* the device is gone */
    SIM_FAULT_STALL,   /* the request is refused, and otherwise ignored */
    SIM_FAULT_ERROR,   /* dfuERROR, errUNKNOWN; a stored command is dropped */
    SIM_FAULT_CORRUPT, /* one byte of a data block (number >= 2, or any of plain DFU) changes */
    SIM_FAULT_HANG,    /* no answer, now or to anything later, until reset or plugged in again */
    SIM_FAULT_SHORT,   /* an answer of the board has half of its bytes */
    SIM_FAULTS,        /* how many there are */
};

/* When a fault strikes: at the request-th class request counted from 1 (request > 0), or at the
 * first request that does `op` at `address`. */
enum sim_op { SIM_OP_ANY, SIM_OP_WRITE, SIM_OP_READ, SIM_OP_ERASE };
struct sim_when {
    uint64_t request;
    enum sim_op op;
    uint32_t address; /* write, read: within the block; erase: within the sector */
};

struct sim_options {
    const char *kind;           /* "f407", ... */
    struct simproduct *product; /* a kind made at run time, instead; the board keeps it */
    const char *serial;         /* NULL: the kind's own */
    int rdp;                    /* read protection level: 0, 1, 2 */
    uint32_t wrp;               /* a bit for each write-protected sector */
    enum sim_usb usb;
    enum sim_times times;
    int state; /* bState to start in, -1: the kind's own.  In dfuDNLOAD-SYNC (3) the command to
                  erase the first sector is left over, and GETSTATUS would execute it. */
};

/* What leaving DFU mode would start. */
struct sim_start {
    bool happened;
    bool works;       /* stack pointer in RAM and reset vector (odd) in flash or RAM */
    uint32_t address; /* of the vector table */
    uint32_t sp;
    uint32_t pc;
};

/* The names of the kinds there are, in order; NULL after the last. */
const char *sim_kind_name(size_t i);

/* A board, plugged in at time 0 with erased flash; NULL: no such kind, an option out of range,
 * or no memory. */
struct sim *sim_new(const struct sim_options *options);
void sim_free(struct sim *sim);

/* Carries out one control request at time `now` (never earlier than the one before).  `data`
 * holds what the host sends, or takes what it gets; it has room for setup->length bytes. */
struct sim_answer sim_control(struct sim *sim, double now, const struct usb_setup *setup,
                              uint8_t *data);

enum sim_life sim_life(struct sim *sim, double now);
unsigned sim_generation(const struct sim *sim); /* another number each time it comes to the bus */
uint64_t sim_requests(const struct sim *sim);   /* class requests so far */
const struct sim_start *sim_started(const struct sim *sim);

/* The descriptors of the mode it is in.  They stay valid until its life changes. */
const uint8_t *sim_device_descriptor(struct sim *sim, size_t *length);
const uint8_t *sim_config_descriptor(struct sim *sim, size_t *length);

/* The outside world.  Unplugging in the middle of an operation leaves it half done; plugging
 * in and a reset bring the board back in DFU mode (BOOT0 is high), its memory as it was. */
void sim_unplug(struct sim *sim, double now);
void sim_plug(struct sim *sim, double now);
void sim_reset(struct sim *sim, double now);     /* the reset button, or power */
void sim_bus_reset(struct sim *sim, double now); /* a USB reset by the host */
bool sim_add_fault(struct sim *sim, enum sim_fault fault, const struct sim_when *when);
bool sim_fault_by_name(const char *name, enum sim_fault *fault); /* "unplug", "stall", ... */

/* The memories, from behind, without any effect on the board: what is at [address, address +
 * length), which must lie in one memory; false, and nothing moved, if it does not. */
bool sim_peek(struct sim *sim, double now, uint32_t address, uint8_t *data, size_t length);
bool sim_poke(struct sim *sim, double now, uint32_t address, const uint8_t *data, size_t length);

/* The main flash as it is now: for a front that keeps it in a file. */
uint8_t *sim_flash(struct sim *sim, double now, uint32_t *address, size_t *length);

/* True when the main flash changed since the last call: offsets first..last, at the widest. */
bool sim_flash_changed(struct sim *sim, double now, size_t *first, size_t *last);

/* What was done to the main flash: bytes programmed and erased, and the addresses that the bytes
 * programmed (if there are none: those erased) lie within. */
struct sim_flashed {
    uint64_t written, erased;
    uint32_t first, last;
};

/* Adds what was done since the last call. */
void sim_flashed(struct sim *sim, double now, struct sim_flashed *sum);

#endif
