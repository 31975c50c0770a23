/* SPDX-License-Identifier: MIT */
/* Inside the umockdev bed: what bed.c (boards and their bus), strike.c (requests and faults) and
 * usbfs.c (ioctls) share.  All of it is guarded by the bed's lock.
 */
#ifndef INSIDE_H
#define INSIDE_H

#include <umockdev.h>

#include "bed.h"

#define SYSFS "/sys/devices/pci0000:00/0000:00:14.0/usb1"

enum { BED_STRIKES = 64, BED_STRINGS = 256, BED_PATH = 64 };

/* A board while it is on the bus: it comes back as another device. */
struct bed_device {
    struct bed *bed;
    struct bed_board *board; /* NULL: forgotten, and the device is gone */
    UMockdevIoctlBase *handler;
    unsigned generation; /* of the simulated board */
    unsigned number;     /* devnum */
    int configuration;   /* bConfigurationValue of the active one */
    unsigned clients;
    unsigned claims[32]; /* by clients, of each interface */
    bool gone;
    bool shown;    /* in sysfs */
    bool attached; /* its node answers */
    struct bed_device *next;
};

struct bed_string {
    bool set;
    uint8_t *bytes; /* NULL: stalled */
    size_t length;
};

struct bed_board {
    struct bed *bed;
    char path[BED_PATH];
    struct sim *sim;
    double started, skipped; /* the board's clock: the time since, and what was not waited for */
    bool plugged;
    bool locked, occupied;
    struct bed_device *device; /* NULL: not on the bus */
    uint8_t *device_bytes, *config_bytes;
    size_t device_length, config_length;
    struct bed_string strings[BED_STRINGS];
    GString *attributes; /* as umockdev wants to be told of them */

    struct bed_strike strikes[BED_STRIKES];
    unsigned strike_count;
    unsigned requests;
    GArray *log; /* of struct bed_entry */
    bool hung, gate_open, held;
    int stuck;                /* a bState, or -1 */
    int64_t poll, usual_poll; /* bwPollTimeout; -1: the board's own */
    unsigned yank_left;       /* requests until the hub notices; 0: it is not pulled */
    struct bed_board *next;
};

struct bed {
    UMockdevTestbed *testbed;
    GMutex lock;
    struct bed_board *boards;
    struct bed_device *devices; /* those of the past as well, while clients have them open */
    unsigned last_number;
    pid_t client;
};

/* What a request came to. */
struct outcome {
    int status;     /* 0 or -errno */
    int count;      /* bytes moved */
    double seconds; /* from now until it is known */
    bool never;     /* not before it is discarded */
    bool held;      /* not carried out: the gate is closed */
};

/* A control request by a client; `data` has setup->length bytes. */
struct outcome bed_request(struct bed_board *board, const struct usb_setup *setup, uint8_t *data);

double bed_now(const struct bed_board *board);
bool bed_on_bus(struct bed_board *board);
void bed_lose(struct bed_board *board); /* its device is gone, from now on */

void usbfs_serve(struct bed_device *device);

#endif
