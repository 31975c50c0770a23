/* SPDX-License-Identifier: MIT */
/* The boards of a USB/IP server: which are plugged in, and the events since the last fetch.  No
 * sockets.  The boards are those of a port made by simport_new().  Each of these functions accepts
 * that a board has been removed meanwhile.
 */
#ifndef USBIPPLUG_H
#define USBIPPLUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/sim.h"
#include "usbip/usbipmsg.h"

struct loop;
struct port;
struct port_handle;
struct usbipplug; /* all slots of a server */

/* ---- events ---- */

enum usbip_what {
    USBIP_READY,    /* the server listens */
    USBIP_ATTACHED, /* a board was imported */
    USBIP_DETACHED, /* the connection of a board ended; why */
    USBIP_FLASHED,  /* bytes were written to its main flash: first..last */
    USBIP_ERASED,   /* bytes were erased, and none written */
    USBIP_LEFT,     /* it left DFU mode; what it starts */
    USBIP_RESET,    /* it came (back) to the bus; dfu: in DFU mode */
    USBIP_GONE,     /* it is no longer on the bus: unplugged, or restarting */
    USBIP_REFUSED,  /* a peer did not get what it asked for; why */
    USBIP_TROUBLE,  /* a fault of this program or computer; why */
    USBIP_LOST,     /* this many events (bytes) were dropped: they were not fetched in time */
};

#define USBIP_NO_BOARD SIZE_MAX

struct usbip_event {
    enum usbip_what what;
    size_t board;    /* counted from 0, or USBIP_NO_BOARD */
    const char *why; /* stays valid */
    uint64_t bytes;
    uint32_t first, last;     /* addresses */
    uint32_t address, sp, pc; /* LEFT: of the vector table, and its first two words */
    bool works;               /* LEFT: the program can start */
    bool dfu;
};

/* Records an event.  slot: NULL if it is about no board. */
struct slot;
void usbipplug_tell(struct usbipplug *plug, const struct slot *slot, enum usbip_what what,
                    const char *why);

/* Takes the oldest event.  False: there is none. */
bool usbipplug_next(struct usbipplug *plug, struct usbip_event *event);

/* Calls notify, from the loop, at each event that is recorded while there is none.  NULL: never. */
void usbipplug_set_notify(struct usbipplug *plug, void (*notify)(void *arg), void *arg);

/* ---- boards ---- */

/* A place to plug a board in. */
struct slot {
    char *path;
    size_t number;
    struct port_handle *handle; /* NULL: no connection has taken the slot */
    bool in_flight;             /* a request is on the wire: kept up by the connection */
    double active_at;           /* when a request began or ended last, or the flash changed */

    enum sim_life life; /* these three: at the last look, for usbipplug.c */
    unsigned generation;
    struct sim_flashed flashed; /* since the last event about it */
};

/* The slots of these paths.  NULL: no memory. */
struct usbipplug *usbipplug_new(struct loop *loop, struct port *sims, const char *const *paths,
                                size_t count);
void usbipplug_free(struct usbipplug *plug);

/* The n-th slot, counted from 0; NULL: there are fewer. */
struct slot *usbipplug_slot(struct usbipplug *plug, size_t n);

/* Fills in the slot's descriptors.  False: its board was removed. */
bool usbipplug_describe(const struct usbipplug *plug, const struct slot *slot,
                        struct usbipmsg_device *device);

/* Plugs the slot's board in, if it is not, and opens it; or sets `why` to the reason why not.
 * slot: NULL if the bus id that was asked for does not exist. */
enum usbipmsg_status usbipplug_take(struct usbipplug *plug, struct slot *slot, const char **why);

/* Closes a board that was taken; if it is still there, unplugs it. */
void usbipplug_release(struct usbipplug *plug, struct slot *slot, const char *why);

/* Whether the same device as when it was taken is still there. */
bool usbipplug_is_there(const struct usbipplug *plug, const struct slot *slot);

/* Called regularly: records changes that boards made by themselves, and flashed bytes once no
 * request has followed for a second. */
void usbipplug_look(struct usbipplug *plug, struct slot *slot);

#endif
