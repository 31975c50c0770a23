/* SPDX-License-Identifier: MIT */
/* The messages of USB/IP 1.1.1, to and from bytes: no I/O, and nothing is kept.
 *
 * The format is that of Documentation/usb/usbip_protocol.rst of Linux.  A peer asks for an
 * operation first: a list of the devices, or the import of one, whose bus id follows.  What it has
 * imported it sends commands for: to submit a control transfer, or to unlink one.
 */
#ifndef USBIPMSG_H
#define USBIPMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port.h"

/* How many bytes the parts of messages have. */
enum {
    USBIPMSG_OP = 8, /* what is asked for; what came of it */
    USBIPMSG_BUS_ID = 32,
    USBIPMSG_DEVLIST = 12,
    USBIPMSG_DEVICE = 312,
    USBIPMSG_HEAD = 48, /* a command, or its answer, without data */
};

enum { USBIPMSG_REQ_IMPORT = 0x8003, USBIPMSG_REQ_DEVLIST = 0x8005 };

/* What came of it: `usbip` has words for them, and calls them ST_OK, ... */
enum usbipmsg_status {
    USBIPMSG_OK,
    USBIPMSG_NA,
    USBIPMSG_BUSY,
    USBIPMSG_DEV_ERR,
    USBIPMSG_NODEV,
    USBIPMSG_ERROR,
};

/* What came of a command: errno values of Linux, negative, whatever this system's are. */
enum {
    USBIPMSG_ENOMEM = -12,
    USBIPMSG_EPIPE = -32,
    USBIPMSG_EPROTO = -71,
    USBIPMSG_ECONNRESET = -104,
};

struct usbipmsg_device {
    size_t number; /* counted from 0 */
    const char *path;
    const uint8_t *device, *config; /* its descriptors */
    size_t config_length;
};

struct usbipmsg_command {
    uint32_t seqnum;
    bool unlinks;
    uint32_t victim; /* unlinks: the seqnum of what is given up */

    bool in;  /* and the rest: submits */
    bool bad; /* it contradicts itself: to be refused, with the data that follow it */
    uint32_t length, packets;
    struct usb_setup setup;
};

/* "1-3" of the third board. */
void usbipmsg_bus_id(size_t number, char id[USBIPMSG_BUS_ID]);
uint32_t usbipmsg_device_id(size_t number);

/* False: it is of another version. */
bool usbipmsg_get_op(const uint8_t *p, unsigned *code);

/* NULL, or what is wrong with it: nothing that follows has a meaning then. */
const char *usbipmsg_get_command(const uint8_t *p, uint32_t device_id,
                                 struct usbipmsg_command *command);

/* Where answers are put is zero before. */
void usbipmsg_put_op(uint8_t *p, unsigned code, enum usbipmsg_status status);
void usbipmsg_put_devlist(uint8_t *p, uint32_t count); /* the devices, and interfaces, follow */
void usbipmsg_put_device(uint8_t *p, const struct usbipmsg_device *device);
void usbipmsg_put_interfaces(uint8_t *p, const struct usbipmsg_device *device);
size_t usbipmsg_interfaces_size(const struct usbipmsg_device *device);
void usbipmsg_put_answer(uint8_t *p, const struct usbipmsg_command *command, int status,
                         size_t moved);

#endif
