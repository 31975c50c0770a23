/* SPDX-License-Identifier: MIT */
/* The messages of USB/IP 1.1.1, to and from bytes: no I/O, no state.
 *
 * The format is in Linux's Documentation/usb/usbip_protocol.rst.  A peer first asks for an
 * operation: a list of devices, or the import of one, whose bus id follows.  For an imported device
 * it sends commands: to submit a control transfer, or to unlink one.
 */
#ifndef USBIPMSG_H
#define USBIPMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usb/port.h"

/* The lengths of parts of messages, in bytes. */
enum {
    USBIPMSG_OP = 8, /* a request for an operation; the head of its answer */
    USBIPMSG_BUS_ID = 32,
    USBIPMSG_DEVLIST = 12,
    USBIPMSG_DEVICE = 312,
    USBIPMSG_HEAD = 48, /* a command or its answer, without data */
};

enum { USBIPMSG_REQ_IMPORT = 0x8003, USBIPMSG_REQ_DEVLIST = 0x8005 };

/* The status of an operation: ST_OK, ... of `usbip`. */
enum usbipmsg_status {
    USBIPMSG_OK,
    USBIPMSG_NA,
    USBIPMSG_BUSY,
    USBIPMSG_DEV_ERR,
    USBIPMSG_NODEV,
    USBIPMSG_ERROR,
};

/* The status of a command: negative errno values of Linux, on any system. */
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
    uint32_t victim; /* unlinks: the seqnum of the command to unlink */

    bool in;  /* this and the rest: submits */
    bool bad; /* contradicts itself: to be refused, with the data that follow */
    uint32_t length, packets;
    struct usb_setup setup;
};

/* "1-3" of the third board. */
void usbipmsg_bus_id(size_t number, char id[USBIPMSG_BUS_ID]);
uint32_t usbipmsg_device_id(size_t number);

/* False: the peer has another version. */
bool usbipmsg_get_op(const uint8_t *p, unsigned *code);

/* Returns NULL, or what is wrong; the rest of the stream has no meaning then. */
const char *usbipmsg_get_command(const uint8_t *p, uint32_t device_id,
                                 struct usbipmsg_command *command);

/* The bytes at `p` are zero before. */
void usbipmsg_put_op(uint8_t *p, unsigned code, enum usbipmsg_status status);
void usbipmsg_put_devlist(uint8_t *p, uint32_t count); /* devices and interfaces follow */
void usbipmsg_put_device(uint8_t *p, const struct usbipmsg_device *device);
void usbipmsg_put_interfaces(uint8_t *p, const struct usbipmsg_device *device);
size_t usbipmsg_interfaces_size(const struct usbipmsg_device *device);
void usbipmsg_put_answer(uint8_t *p, const struct usbipmsg_command *command, int status,
                         size_t moved);

#endif
