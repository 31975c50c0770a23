/* SPDX-License-Identifier: MIT */
/* Simulated boards offered to a kernel over USB/IP 1.1.1: to it they are USB devices.
 *
 * The boards are those of a port made by simport_new(), and are known by their paths; the n-th has
 * bus id 1-n.  To import a board is to plug it in: one that was unplugged, or that has left for
 * its program, comes back in DFU mode (BOOT0 is high).  When the connection ends, the plug is
 * pulled; when the board goes by itself (it left, it restarts, it was unplugged), the connection
 * is closed, so that the kernel sees its device disconnect, and the board can be imported anew.
 *
 * All goes on in the loop: sockets are watches, answers are timers.  What a peer can make the
 * server keep is bounded.
 */
#ifndef USBIP_H
#define USBIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct port;
struct usbip;

#define USBIP_PORT   3240
#define USBIP_BOARDS 64 /* at most */

enum usbip_what {
    USBIP_READY,    /* it listens */
    USBIP_ATTACHED, /* a board was imported */
    USBIP_DETACHED, /* the connection of a board ended; why */
    USBIP_FLASHED,  /* bytes were written to its main flash: first..last */
    USBIP_ERASED,   /* bytes were erased, and none written */
    USBIP_LEFT,     /* it left DFU mode; what it starts */
    USBIP_RESET,    /* it came (back) to the bus; dfu: in DFU mode */
    USBIP_GONE,     /* it is no longer on the bus: unplugged, or it restarts */
    USBIP_REFUSED,  /* a peer did not get what it asked for; why */
    USBIP_TROUBLE,  /* something is wrong on our side; why */
    USBIP_LOST,     /* so many events (bytes) were not fetched in time */
};

#define USBIP_NO_BOARD SIZE_MAX

struct usbip_event {
    enum usbip_what what;
    size_t board;    /* counted from 0, or USBIP_NO_BOARD */
    const char *why; /* stays valid */
    uint64_t bytes;
    uint32_t first, last;     /* addresses */
    uint32_t address, sp, pc; /* LEFT: of the vector table, and what stands there */
    bool works;               /* LEFT: it can */
    bool dfu;
};

struct usbip_options {
    const char *address; /* numeric; NULL: nobody listens, connections come by usbip_adopt() */
    uint16_t port;       /* 0: one that is free */
    bool anywhere;       /* an address that is not this computer's own loopback is fine */
    const char *const *paths;
    size_t count;
    void (*notify)(void *arg); /* an event came, and there was none before; from the loop */
    void *arg;
};

/* How making one can fail. */
enum usbip_failure {
    USBIP_FINE,
    USBIP_BAD_ADDRESS,  /* not numeric, or not this computer's */
    USBIP_NOT_LOOPBACK, /* other computers can reach it, and nobody said that they may */
    USBIP_IN_USE,       /* somebody listens there */
    USBIP_FORBIDDEN,    /* this user may not listen there */
    USBIP_FAILED,       /* memory, file descriptors */
};

/* NULL: `failure` is one of the above, and `why` says it in words. */
struct usbip *usbip_new(struct loop *loop, struct port *sims, const struct usbip_options *options,
                        enum usbip_failure *failure, char *why, size_t why_size);

/* Closes all connections, which unplugs their boards. */
void usbip_free(struct usbip *server);

/* The next event; false: there is none. */
bool usbip_next(struct usbip *server, struct usbip_event *event);

uint16_t usbip_port(const struct usbip *server);
const char *usbip_path(const struct usbip *server, size_t board);

/* Serves a connected stream socket, which is the server's from now on.  False: there are too
 * many connections, or no memory; the socket was closed. */
bool usbip_adopt(struct usbip *server, int fd);

/* How many connections there are. */
size_t usbip_connections(const struct usbip *server);

#endif
