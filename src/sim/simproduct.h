/* SPDX-License-Identifier: MIT */
/* Kinds of simulated board that are made at run time: a product, described by data, on the base of
 * a built-in kind.  Such a kind lives as long as a board that uses it.
 */
#ifndef SIMPRODUCT_H
#define SIMPRODUCT_H

#include "sim/simkind.h"

enum {
    SIM_SETTINGS_MAX = 8,        /* alternate settings */
    SIM_PRODUCT_MOST = 64 << 20, /* bytes of all its memories */
    SIM_TRANSFER_MIN = 64,
    SIM_AS_BASE = -1, /* in place of a number: the base's */
};

/* `count` sectors of `size` bytes from `address` on. */
struct sim_segment {
    uint32_t address;
    uint32_t count;
    uint32_t size;
    double erase; /* flash: typical seconds for a sector; 0: as its setting says */
};

/* The read protection byte: its offset in the first option bytes, and its value at level 0. */
struct sim_rdp {
    uint32_t at;
    uint8_t open;
};

/* An alternate setting: one or more segments of memory. */
struct sim_setting {
    const char *name; /* the string with the layout; UTF-8, as all text here */
    enum sim_role role;
    const struct sim_segment *segments;
    size_t segment_count;
    double erase;        /* flash: typical seconds for a sector, or SIM_AS_BASE */
    uint32_t unit;       /* flash, EEPROM: bytes programmed at once; 0: the base's, and its time */
    double write;        /* typical seconds for a unit */
    const char *initial; /* contents of a new board; the rest is erased */
    size_t initial_length; /* at most the size of the first segment */
    bool hidden;           /* in no alternate setting */
};

/* The device that appears at the board's place when a program runs. */
struct sim_application {
    bool there; /* false: there is none */
    bool dfu;   /* it has a DFU interface, which leads back to DFU mode */
    int vid, pid, version;
    const char *manufacturer, *product, *serial; /* NULL: the board's */
    double seconds;                              /* from leaving until it is on the bus */
};

struct sim_product {
    const char *base;
    int vid, pid, version;                       /* SIM_AS_BASE for any of them */
    const char *manufacturer, *product, *serial; /* NULL: the base's; likewise all that follows, */
    uint16_t transfer_size;                      /* if it is 0 or NULL */
    int dfu_version, attributes;                 /* bcdDFU, bmAttributes */
    const struct sim_poll *poll;
    bool starts_idle;  /* in dfuIDLE */
    uint32_t ram;      /* bytes of the first RAM */
    uint32_t align;    /* of writes to flash; 0: any */
    double mass_erase; /* typical seconds */
    const struct sim_rdp *rdp;
    const struct sim_setting *settings; /* the first is the main flash */
    size_t setting_count;
    struct sim_application application;
    const char *config; /* the whole configuration; its one DFU interface has `alts` settings */
    size_t config_length;
    uint8_t alts;
    uint64_t habits; /* of enum sim_habit */
};

struct simproduct;

/* Makes a kind from a copy of the description, with the caller as its one user.  NULL: the
 * description is not valid, or no memory. */
struct simproduct *simproduct_new(const struct sim_product *said);
const struct sim_kind *simproduct_kind(const struct simproduct *product);

/* Adds a user; removes one, and frees the kind with the last.  NULL is allowed. */
struct simproduct *simproduct_keep(struct simproduct *product);
void simproduct_drop(struct simproduct *product);

#endif
