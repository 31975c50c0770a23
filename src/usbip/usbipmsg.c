/* SPDX-License-Identifier: MIT */
#include "usbip/usbipmsg.h"

#include <stdio.h>
#include <string.h>

enum { VERSION = 0x0111 };
enum { CMD_SUBMIT = 1, CMD_UNLINK = 2, RET_SUBMIT = 3, RET_UNLINK = 4 };
enum { DIR_OUT = 0, DIR_IN = 1 };
enum { SPEED_FULL = 2, BUS = 1 };

enum {
    PATH_SIZE = 256,
    INTERFACE_SIZE = 4,
    DATA_MOST = 65535, /* wLength has 16 bits */
};

/* ---- bytes ---- */

static void put16(uint8_t *p, unsigned n)
{
    p[0] = (uint8_t)(n >> 8);
    p[1] = (uint8_t)n;
}

static void put32(uint8_t *p, uint32_t n)
{
    put16(p, n >> 16);
    put16(p + 2, n & 0xFFFF);
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint16_t little16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

/* ---- operations ---- */

void usbipmsg_bus_id(size_t number, char id[USBIPMSG_BUS_ID])
{
    snprintf(id, USBIPMSG_BUS_ID, "%d-%zu", BUS, number + 1);
}

uint32_t usbipmsg_device_id(size_t number)
{
    return (uint32_t)BUS << 16 | (uint32_t)(number + 1);
}

bool usbipmsg_get_op(const uint8_t *p, unsigned *code)
{
    *code = get16(p + 2);
    return get16(p) == VERSION;
}

void usbipmsg_put_op(uint8_t *p, unsigned code, enum usbipmsg_status status)
{
    put16(p, VERSION);
    put16(p + 2, code & 0x7FFF);
    put32(p + 4, status);
}

void usbipmsg_put_devlist(uint8_t *p, uint32_t count)
{
    usbipmsg_put_op(p, USBIPMSG_REQ_DEVLIST, USBIPMSG_OK);
    put32(p + USBIPMSG_OP, count);
}

void usbipmsg_put_device(uint8_t *p, const struct usbipmsg_device *device)
{
    const uint8_t *bytes = device->device;
    snprintf((char *)p, PATH_SIZE, "/moonflash/%s", device->path);
    p += PATH_SIZE;
    usbipmsg_bus_id(device->number, (char *)p);
    p += USBIPMSG_BUS_ID;
    put32(p, BUS);
    put32(p + 4, usbipmsg_device_id(device->number) & 0xFFFF);
    put32(p + 8, SPEED_FULL);
    put16(p + 12, little16(bytes + 8)); /* vendor, product, version */
    put16(p + 14, little16(bytes + 10));
    put16(p + 16, little16(bytes + 12));
    memcpy(p + 18, bytes + 4, 3); /* class, subclass, protocol */
    p[21] = device->config[5];
    p[22] = bytes[17];
    p[23] = device->config[4];
}

size_t usbipmsg_interfaces_size(const struct usbipmsg_device *device)
{
    return (size_t)device->config[4] * INTERFACE_SIZE;
}

/* Class, subclass and protocol of the first alternate setting of each interface. */
void usbipmsg_put_interfaces(uint8_t *p, const struct usbipmsg_device *device)
{
    const uint8_t *config = device->config;
    size_t length = device->config_length;
    for (size_t at = 0; at + 9 <= length && config[at] >= 2; at += config[at]) {
        const uint8_t *row = config + at;
        if (row[1] == USB_INTERFACE_DESCRIPTOR && row[3] == 0 && row[2] < config[4])
            memcpy(p + (size_t)row[2] * INTERFACE_SIZE, row + 5, 3);
    }
}

/* ---- commands ---- */

/* Whether the command contradicts its setup packet, or is not for endpoint 0.  usb_submit_urb() of
 * Linux refuses such a command, too. */
static bool contradicts(const struct usbipmsg_command *command, uint32_t endpoint)
{
    const struct usb_setup *setup = &command->setup;
    bool wants_in = (setup->type & USB_IN) != 0 && setup->length > 0;
    return endpoint != 0 || command->length != setup->length ||
           (command->length > 0 && command->in != wants_in);
}

const char *usbipmsg_get_command(const uint8_t *p, uint32_t device_id,
                                 struct usbipmsg_command *command)
{
    uint32_t code = get32(p), direction = get32(p + 12);
    *command = (struct usbipmsg_command){
        .seqnum = get32(p + 4),
        .unlinks = code == CMD_UNLINK,
        .victim = get32(p + 20),
        .in = direction == DIR_IN,
        .length = get32(p + 24),
        .packets = get32(p + 32),
        .setup = { p[40], p[41], little16(p + 42), little16(p + 44), little16(p + 46) },
    };
    if (get32(p + 8) != device_id)
        return "the client sent a request for another board";
    if (command->unlinks)
        return NULL;
    if (code != CMD_SUBMIT)
        return "the client sent an unknown command";
    if (direction > DIR_IN || command->length > DATA_MOST ||
        (command->packets != 0 && command->packets != UINT32_MAX))
        return "the client sent an invalid request";
    command->bad = contradicts(command, get32(p + 16));
    return NULL;
}

void usbipmsg_put_answer(uint8_t *p, const struct usbipmsg_command *command, int status,
                         size_t moved)
{
    put32(p, command->unlinks ? RET_UNLINK : RET_SUBMIT);
    put32(p + 4, command->seqnum);
    put32(p + 20, (uint32_t)status);
    if (command->unlinks)
        return;
    put32(p + 24, (uint32_t)moved);
    put32(p + 32,
          command->packets); /* as received: 0 from Linux, 0xFFFFFFFF by the specification */
}
