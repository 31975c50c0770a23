/* SPDX-License-Identifier: MIT */
/* Inside the USB/IP server: what the server with its boards (usbip.c) and its connections
 * (usbipconn.c) share.
 */
#ifndef USBIPCONN_H
#define USBIPCONN_H

#include "loop.h"
#include "sim.h"
#include "usbip.h"
#include "usbipmsg.h"

enum { USBIP_EVENTS_MOST = 256 };

struct conn;

/* A place to plug a board in. */
struct slot {
    char *path;
    size_t number;
    struct conn *conn; /* who has it, or NULL */
    struct port_handle *handle;
    bool in_flight;       /* a request is on the wire */
    double refuses_until; /* 0, or it left at a reset: its connection ends then */
    enum sim_life life;
    unsigned generation;
    struct sim_flashed flashed; /* not told yet */
    double busy;                /* when a request began or ended last, or something was flashed */
};

struct usbip {
    struct loop *loop;
    struct port *port;
    struct loop_watch listener; /* fd -1: none */
    struct loop_timer timer;
    uint16_t port_number;
    struct slot *slots;
    size_t count;
    struct conn *conns;
    size_t conn_count;
    struct usbip_event events[USBIP_EVENTS_MOST];
    size_t first_event, event_count;
    uint64_t lost;
    void (*notify)(void *arg);
    void *arg;
};

/* slot: NULL if it is about none. */
void usbip_tell(struct usbip *server, const struct slot *slot, enum usbip_what what,
                const char *why);

/* False: whoever made the board needs it no more. */
bool usbip_describe(struct usbip *server, const struct slot *slot, struct usbipmsg_device *device);

/* Plugs a board in, if it is not, and opens it for the connection; or says why not.  slot: NULL if
 * there is none with that bus id. */
enum usbipmsg_status usbip_take(struct usbip *server, struct slot *slot, struct conn *conn,
                                const char **why);

/* Closes it; if it is still there, its plug is pulled. */
void usbip_release(struct usbip *server, struct slot *slot, const char *why);

/* The same device as when it was taken is still there. */
bool usbip_is_there(const struct usbip *server, const struct slot *slot);

/* Serves the socket from now on.  False: no memory. */
bool usbipconn_new(struct usbip *server, int fd);
void usbipconn_free(struct conn *conn);

void usbipconn_end(struct conn *conn, const char *why);

#endif
