/* SPDX-License-Identifier: MIT */
/* Kinds of simulated board that are made at run time: somebody's product, as data, on the base of
 * a kind that is built in.  Such a kind lives as long as a board that uses it.
 */
#ifndef SIMPRODUCT_H
#define SIMPRODUCT_H

#include "simkind.h"

enum {
    SIM_SETTINGS_MAX = 8,        /* alternate settings */
    SIM_PRODUCT_MOST = 64 << 20, /* bytes of all its memories */
    SIM_TRANSFER_MIN = 64,
    SIM_AS_BASE = -1, /* where a number is asked for: as the base has it */
};

/* `count` sectors of `size` bytes from `address` on. */
struct sim_segment {
    uint32_t address;
    uint32_t count;
    uint32_t size;
};

/* An alternate setting: a piece of memory, or several with gaps between them. */
struct sim_setting {
    const char *name; /* as the board sends it, layout and all; UTF-8, as all text here */
    enum sim_role role;
    const struct sim_segment *segments;
    size_t segment_count;
    double erase;  /* flash: typical seconds for a sector, or SIM_AS_BASE */
    uint32_t unit; /* flash: bytes programmed at once, 0: as the base's, in its time */
    double write;  /* flash: typical seconds for a unit */
};

/* What comes up at the board's place when a program starts. */
struct sim_application {
    bool there;
    bool dfu; /* it has a DFU interface, and goes back to DFU mode by it */
    int vid, pid, version;
    const char *manufacturer, *product, *serial; /* NULL: the board's */
    double seconds;                              /* from leaving to where it is on the bus */
};

struct sim_product {
    const char *base;
    int vid, pid, version;                       /* SIM_AS_BASE for any of them */
    const char *manufacturer, *product, *serial; /* NULL: the base's, as all that follows */
    uint16_t transfer_size;                      /* 0 */
    int dfu_version, attributes;                 /* bcdDFU, bmAttributes; 0 */
    const struct sim_poll *poll;                 /* NULL */
    bool starts_idle;                            /* in dfuIDLE, not as the base */
    uint32_t ram;                                /* bytes of the first RAM; 0 */
    const struct sim_setting *settings;          /* the first is the main flash */
    size_t setting_count;                        /* 0 */
    struct sim_application application;
    uint64_t habits; /* of enum sim_habit */
};

struct simproduct;

/* Takes a copy of all that is said.  NULL: it makes no sense, or there is no memory for it.  It has
 * one user then, the caller. */
struct simproduct *simproduct_new(const struct sim_product *said);
const struct sim_kind *simproduct_kind(const struct simproduct *product);

/* One user more; one less, and with the last it is freed.  NULL is none. */
struct simproduct *simproduct_keep(struct simproduct *product);
void simproduct_drop(struct simproduct *product);

#endif
