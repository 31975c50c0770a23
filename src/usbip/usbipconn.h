/* SPDX-License-Identifier: MIT */
/* The connections of a USB/IP server. */
#ifndef USBIPCONN_H
#define USBIPCONN_H

#include <stdbool.h>
#include <stddef.h>

struct conn;
struct loop;
struct slot;
struct usbipplug;

/* All connections of a server, and what they work with. */
struct usbipconns {
    struct loop *loop;
    struct usbipplug *plug;
    struct conn *first;
    size_t count;
};

/* Serves the socket, which the connection owns from now on.  False: no memory. */
bool usbipconn_new(struct usbipconns *conns, int fd);

/* Closes all, which unplugs their boards. */
void usbipconns_free(struct usbipconns *conns);

/* Ends the slot's connection, if it has one, and its board has left the bus by itself. */
void usbipconns_check(struct usbipconns *conns, const struct slot *slot);

#endif
