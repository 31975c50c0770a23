/* SPDX-License-Identifier: MIT */
/* A USB/IP 1.1.1 server: simulated boards, offered to a kernel as USB devices.
 *
 * The boards are those of a port made by simport_new(), named by their paths; the n-th has bus id
 * 1-n.  Importing a board plugs it in: a board that was unplugged, or that runs its program, comes
 * back in DFU mode (BOOT0 is high).  The end of the connection unplugs the board.  If the board
 * leaves the bus by itself, the server closes the connection, so that the kernel sees a disconnect
 * and can import the board anew.
 *
 * Everything runs in the loop: sockets are watches, answers are timers.  The memory that a peer can
 * make the server use is bounded.
 */
#ifndef USBIP_H
#define USBIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usbip/usbipplug.h"

struct loop;
struct port;
struct usbip;

#define USBIP_PORT   3240
#define USBIP_BOARDS 64 /* at most */

struct usbip_options {
    const char *address; /* numeric; NULL: no listener, connections come by usbip_adopt() */
    uint16_t port;       /* 0: a free one */
    bool anywhere;       /* allows an address that is not loopback */
    const char *const *paths;
    size_t count;
    void (*notify)(void *arg); /* see usbipplug_set_notify() */
    void *arg;
};

/* How usbip_new() can fail. */
enum usbip_failure {
    USBIP_FINE,
    USBIP_BAD_ADDRESS,  /* not numeric, or not this computer's */
    USBIP_NOT_LOOPBACK, /* other computers can reach it, and `anywhere` is false */
    USBIP_IN_USE,       /* another program listens there */
    USBIP_FORBIDDEN,    /* this user may not listen there */
    USBIP_FAILED,       /* memory, file descriptors */
};

/* Returns NULL if it fails; `failure` is one of the above then, and `why` a message. */
struct usbip *usbip_new(struct loop *loop, struct port *sims, const struct usbip_options *options,
                        enum usbip_failure *failure, char *why, size_t why_size);

/* Closes all connections, which unplugs their boards. */
void usbip_free(struct usbip *server);

/* Takes the oldest event.  False: there is none. */
bool usbip_next(struct usbip *server, struct usbip_event *event);

uint16_t usbip_port(const struct usbip *server);
const char *usbip_path(const struct usbip *server, size_t board);

/* Serves a connected stream socket, which the server owns from now on.  False: there are too many
 * connections, or no memory; the socket was closed. */
bool usbip_adopt(struct usbip *server, int fd);

/* How many connections there are. */
size_t usbip_connections(const struct usbip *server);

#endif
