/* SPDX-License-Identifier: MIT */
/* A simulated board, device side.
 *
 * Pure: it takes a control request and the time, and returns the answer and its duration.  No I/O,
 * no clock, no Lua.  Three fronts use it: this process (simport.c), a kernel over USB/IP, and a
 * test bed under umockdev.  docs/protocol.md has its sources.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usb/dfu_spec.h"

struct sim;
struct simproduct; /* simproduct.h */
struct simreplay;  /* simreplay.h */

/* How a request can fail. */
enum sim_result {
    SIM_STALL = -1, /* refused */
    SIM_HANG = -2,  /* never answered: the host must give up */
    SIM_GONE = -3,  /* the device is no longer on the bus */
};

struct sim_answer {
    int result;     /* bytes moved, or a sim_result */
    double seconds; /* from the request to its end, as the host sees it */
    double wire;    /* of these, the time in which the bus is occupied */
};

enum sim_usb { SIM_USB_REAL, SIM_USB_IDEAL, SIM_USB_NONE };      /* what a transfer costs */
enum sim_times { SIM_TIMES_TYP, SIM_TIMES_MAX, SIM_TIMES_ZERO }; /* what the flash takes */

/* What the device is doing, as seen from outside. */
enum sim_life {
    SIM_DFU,      /* on the bus, in DFU mode */
    SIM_RUNTIME,  /* on the bus, in run-time mode (kinds that have one) */
    SIM_STARTING, /* starting a program that will be on the bus in run-time mode */
    SIM_RUNNING,  /* running a program: not on the bus */
    SIM_AWAY,     /* unplugged, or a boot loader that does not start (read protection level 2) */
};

enum sim_fault {
    SIM_FAULT_UNPLUG,  /* the device is gone */
    SIM_FAULT_STALL,   /* the request is stalled, and has no effect */
    SIM_FAULT_ERROR,   /* dfuERROR, errUNKNOWN; a stored command is dropped */
    SIM_FAULT_CORRUPT, /* one byte of a data block (number >= 2, or any of plain DFU) changes */
    SIM_FAULT_HANG,    /* no answer to this and later requests, until a reset or power-up */
    SIM_FAULT_SHORT,   /* the answer has half of its bytes */
    SIM_FAULTS,        /* number of faults */
};

/* When a fault strikes: at class request number `request`, counted from 1; or, if that is 0, at the
 * first request that does `op` at `address`. */
enum sim_op { SIM_OP_ANY, SIM_OP_WRITE, SIM_OP_READ, SIM_OP_ERASE };
struct sim_when {
    uint64_t request;
    enum sim_op op;
    uint32_t address; /* write, read: within the block; erase: within the sector */
};

struct sim_options {
    const char *kind;           /* "f407", ... */
    struct simproduct *product; /* instead: a kind made at run time, which the board keeps */
    const char *serial;         /* NULL: the kind's own */
    int rdp;                    /* read protection level: 0 to 2 */
    uint32_t wrp;               /* a bit for each write-protected sector */
    enum sim_usb usb;
    enum sim_times times;
    struct simreplay *replay; /* recorded answers, which sim_new() takes over.  NULL: none */
    int state; /* bState to start in; -1: the kind's own.  In dfuDNLOAD-SYNC the command to erase
                  the first sector is stored, and GETSTATUS would execute it. */
};

/* What leaving DFU mode started. */
struct sim_start {
    bool happened;
    bool works;       /* stack pointer in RAM and reset vector (odd) in flash or RAM */
    uint32_t address; /* of the vector table */
    uint32_t sp;
    uint32_t pc;
};

/* The name of the i-th kind; NULL after the last. */
const char *sim_kind_name(size_t i);

/* Makes a board, plugged in at time 0, with erased flash.  NULL: no such kind, an option out of
 * range, or no memory. */
struct sim *sim_new(const struct sim_options *options);
void sim_free(struct sim *sim);

/* Carries out one control request at time `now`, which never goes back.  data: setup->length bytes
 * that the host sends, or room for what it gets. */
struct sim_answer sim_control(struct sim *sim, double now, const struct usb_setup *setup,
                              uint8_t *data);

enum sim_life sim_life(struct sim *sim, double now);
unsigned sim_generation(const struct sim *sim); /* changes each time it comes to the bus */
uint64_t sim_requests(const struct sim *sim);   /* class requests so far */
const struct sim_start *sim_started(const struct sim *sim);

/* The first difference from the capture that it replays; "" if there is none. */
const char *sim_difference(const struct sim *sim);

/* The descriptors of its present mode.  Valid until sim_life() changes. */
const uint8_t *sim_device_descriptor(struct sim *sim, size_t *length);
const uint8_t *sim_config_descriptor(struct sim *sim, size_t *length);

/* The outside world.  Unplugging leaves an operation half done.  Plugging in and a reset start the
 * board in DFU mode (BOOT0 is high), with its memory unchanged. */
void sim_unplug(struct sim *sim, double now);
void sim_plug(struct sim *sim, double now);
void sim_reset(struct sim *sim, double now);     /* the reset button, or power */
void sim_bus_reset(struct sim *sim, double now); /* a USB reset by the host */
bool sim_add_fault(struct sim *sim, enum sim_fault fault, const struct sim_when *when);
bool sim_fault_by_name(const char *name, enum sim_fault *fault); /* "unplug", "stall", ... */

/* Read and change [address, address + length) behind the board's back.  False: the range does not
 * lie in one memory. */
bool sim_peek(struct sim *sim, double now, uint32_t address, uint8_t *data, size_t length);
bool sim_poke(struct sim *sim, double now, uint32_t address, const uint8_t *data, size_t length);

/* The main flash, for a front that keeps it in a file. */
uint8_t *sim_flash(struct sim *sim, double now, uint32_t *address, size_t *length);

/* Whether the main flash changed since the last call: within offsets first..last. */
bool sim_flash_changed(struct sim *sim, double now, size_t *first, size_t *last);

/* What was done to the main flash: the numbers of bytes programmed and erased.  first..last covers
 * programmed bytes; erased bytes only if none were programmed. */
struct sim_flashed {
    uint64_t written, erased;
    uint32_t first, last;
};

/* Adds what was done since the last call to `sum`. */
void sim_flashed(struct sim *sim, double now, struct sim_flashed *sum);

#endif
