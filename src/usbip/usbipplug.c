/* SPDX-License-Identifier: MIT */
#include "usbip/usbipplug.h"

#include <stdlib.h>
#include <string.h>

#include "loop/loop.h"
#include "usb/port.h"
#include "sim/simport.h"

enum { EVENTS_MOST = 256 };

#define QUIET_SECONDS 1.0 /* without requests, after which flashed bytes are reported */

struct usbipplug {
    struct loop *loop;
    struct port *port;
    struct slot *slots;
    size_t count;
    struct usbip_event events[EVENTS_MOST];
    size_t first_event, event_count;
    uint64_t lost; /* events that were dropped */
    void (*notify)(void *arg);
    void *arg;
};

/* ---- events ---- */

/* Ring buffer: when it is full, the oldest event is dropped and counted; USBIP_LOST reports the
 * count. */
static void tell(struct usbipplug *plug, struct usbip_event event)
{
    if (plug->event_count == EVENTS_MOST) {
        plug->first_event = (plug->first_event + 1) % EVENTS_MOST;
        plug->event_count--;
        plug->lost++;
    }
    plug->events[(plug->first_event + plug->event_count) % EVENTS_MOST] = event;
    if (plug->event_count++ == 0 && plug->notify)
        plug->notify(plug->arg);
}

bool usbipplug_next(struct usbipplug *plug, struct usbip_event *event)
{
    if (plug->lost > 0) {
        *event = (struct usbip_event){ .what = USBIP_LOST,
                                       .board = USBIP_NO_BOARD,
                                       .bytes = plug->lost };
        plug->lost = 0;
        return true;
    }
    if (plug->event_count == 0)
        return false;
    *event = plug->events[plug->first_event];
    plug->first_event = (plug->first_event + 1) % EVENTS_MOST;
    plug->event_count--;
    return true;
}

void usbipplug_set_notify(struct usbipplug *plug, void (*notify)(void *arg), void *arg)
{
    plug->notify = notify;
    plug->arg = arg;
}

void usbipplug_tell(struct usbipplug *plug, const struct slot *slot, enum usbip_what what,
                    const char *why)
{
    size_t board = slot ? slot->number : USBIP_NO_BOARD;
    tell(plug, (struct usbip_event){ .what = what, .board = board, .why = why });
}

/* ---- boards ---- */

/* NULL: the board was removed. */
static struct simboard *board_of(const struct usbipplug *plug, const struct slot *slot)
{
    return simport_find(plug->port, slot->path);
}

static bool is_on_bus(enum sim_life life)
{
    return life == SIM_DFU || life == SIM_RUNTIME;
}

/* Updates what is known of the board without an event. */
static void learn(struct usbipplug *plug, struct slot *slot)
{
    struct simboard *board = board_of(plug, slot);
    slot->life = board ? sim_life(simboard_sim(board), loop_now(plug->loop)) : SIM_AWAY;
    slot->generation = board ? sim_generation(simboard_sim(board)) : 0;
}

/* Adds up what was flashed since the last look. */
static void take_flashed(struct usbipplug *plug, struct slot *slot, struct simboard *board)
{
    uint64_t before = slot->flashed.written + slot->flashed.erased;
    double now = loop_now(plug->loop);
    sim_flashed(simboard_sim(board), now, &slot->flashed);
    if (slot->flashed.written + slot->flashed.erased != before)
        slot->active_at = now;
}

static void tell_flashed(struct usbipplug *plug, struct slot *slot)
{
    struct sim_flashed *flashed = &slot->flashed;
    if (flashed->written == 0 && flashed->erased == 0)
        return;
    tell(plug, (struct usbip_event){
                   .what = flashed->written > 0 ? USBIP_FLASHED : USBIP_ERASED,
                   .board = slot->number,
                   .bytes = flashed->written > 0 ? flashed->written : flashed->erased,
                   .first = flashed->first,
                   .last = flashed->last,
               });
    *flashed = (struct sim_flashed){ 0 };
}

static void tell_left(struct usbipplug *plug, struct slot *slot, const struct sim_start *start)
{
    tell(plug, (struct usbip_event){ .what = USBIP_LEFT,
                                     .board = slot->number,
                                     .address = start->address,
                                     .sp = start->sp,
                                     .pc = start->pc,
                                     .works = start->works });
}

/* Records what the board did since the last look. */
static void look_at(struct usbipplug *plug, struct slot *slot)
{
    struct simboard *board = board_of(plug, slot);
    enum sim_life before = slot->life;
    unsigned generation = slot->generation;
    learn(plug, slot);
    if (board)
        take_flashed(plug, slot, board);
    if (slot->life == before && slot->generation == generation)
        return;
    tell_flashed(plug, slot);
    bool left = before == SIM_DFU && (slot->life == SIM_RUNNING || slot->life == SIM_STARTING ||
                                      slot->life == SIM_RUNTIME);
    if (left)
        tell_left(plug, slot, sim_started(simboard_sim(board)));
    else if (is_on_bus(slot->life))
        tell(plug, (struct usbip_event){
                       .what = USBIP_RESET, .board = slot->number, .dfu = slot->life == SIM_DFU });
    else if (is_on_bus(before))
        usbipplug_tell(plug, slot, USBIP_GONE, NULL);
    if (board && !slot->handle)
        simboard_changed(board);
}

/* Plugs the board in, if it is not.  One that runs its program is unplugged first, because that is
 * how it returns to DFU mode. */
static void plug_in(struct usbipplug *plug, struct slot *slot, struct simboard *board)
{
    double now = loop_now(plug->loop);
    struct sim *sim = simboard_sim(board);
    enum sim_life life = sim_life(sim, now);
    if (is_on_bus(life))
        return;
    if (life == SIM_RUNNING)
        sim_unplug(sim, now);
    sim_plug(sim, now);
    simboard_changed(board);
    learn(plug, slot);
}

bool usbipplug_is_there(const struct usbipplug *plug, const struct slot *slot)
{
    struct simboard *board = board_of(plug, slot);
    if (!board)
        return false;
    struct sim *sim = simboard_sim(board);
    return is_on_bus(sim_life(sim, loop_now(plug->loop))) &&
           sim_generation(sim) == slot->generation;
}

bool usbipplug_describe(const struct usbipplug *plug, const struct slot *slot,
                        struct usbipmsg_device *device)
{
    size_t length;
    struct simboard *board = board_of(plug, slot);
    if (!board)
        return false;
    *device = (struct usbipmsg_device){ .number = slot->number, .path = slot->path };
    device->device = sim_device_descriptor(simboard_sim(board), &length);
    device->config = sim_config_descriptor(simboard_sim(board), &device->config_length);
    return true;
}

enum usbipmsg_status usbipplug_take(struct usbipplug *plug, struct slot *slot, const char **why)
{
    struct simboard *board = slot ? board_of(plug, slot) : NULL;
    if (!board) {
        *why = "no board has the bus id that the client asked for";
        return USBIPMSG_NODEV;
    }
    if (slot->handle) {
        *why = "the board is in use";
        return USBIPMSG_BUSY;
    }
    look_at(plug, slot);
    plug_in(plug, slot, board);
    if (!is_on_bus(slot->life)) {
        *why = "the board is not on the bus: it restarts, or its boot loader never starts";
        return USBIPMSG_NA;
    }
    int result = plug->port->open(plug->port, slot->path, slot->generation, 0, 0, &slot->handle);
    if (result != 0) {
        slot->handle = NULL;
        *why = "the board is open in this program";
        return result == PORT_BUSY ? USBIPMSG_BUSY : USBIPMSG_DEV_ERR;
    }
    slot->active_at = loop_now(plug->loop);
    return USBIPMSG_OK;
}

void usbipplug_release(struct usbipplug *plug, struct slot *slot, const char *why)
{
    bool pulled = usbipplug_is_there(plug, slot);
    look_at(plug, slot);
    plug->port->close(slot->handle);
    slot->handle = NULL;
    slot->in_flight = false;
    struct simboard *board = board_of(plug, slot);
    if (board && pulled)
        sim_unplug(simboard_sim(board), loop_now(plug->loop));
    if (board) {
        take_flashed(plug, slot, board);
        simboard_changed(board);
    }
    if (pulled)
        learn(plug, slot);
    tell_flashed(plug, slot);
    usbipplug_tell(plug, slot, USBIP_DETACHED, why);
}

/* Whether something was flashed, and no request followed for QUIET_SECONDS. */
static bool is_quiet(const struct usbipplug *plug, const struct slot *slot)
{
    return (slot->flashed.written > 0 || slot->flashed.erased > 0) && !slot->in_flight &&
           loop_now(plug->loop) - slot->active_at >= QUIET_SECONDS;
}

void usbipplug_look(struct usbipplug *plug, struct slot *slot)
{
    if (!slot->handle)
        look_at(plug, slot);
    struct simboard *board = board_of(plug, slot);
    if (!board)
        return;
    take_flashed(plug, slot, board);
    if (is_quiet(plug, slot)) {
        simboard_changed(board);
        tell_flashed(plug, slot);
    }
}

/* ---- all of them ---- */

static bool init_slot(struct usbipplug *plug, size_t n, const char *path)
{
    struct slot *slot = &plug->slots[n];
    slot->number = n;
    slot->path = strdup(path);
    if (!slot->path)
        return false;
    learn(plug, slot);
    struct simboard *board = board_of(plug, slot);
    if (board)
        take_flashed(plug, slot, board);
    slot->flashed = (struct sim_flashed){ 0 }; /* what was flashed before is not reported */
    return true;
}

struct usbipplug *usbipplug_new(struct loop *loop, struct port *sims, const char *const *paths,
                                size_t count)
{
    struct usbipplug *plug = calloc(1, sizeof *plug);
    if (!plug)
        return NULL;
    plug->loop = loop;
    plug->port = sims;
    plug->slots = calloc(count ? count : 1, sizeof *plug->slots);
    bool good = plug->slots != NULL;
    plug->count = good ? count : 0;
    for (size_t i = 0; i < plug->count; i++)
        good = good && init_slot(plug, i, paths[i]);
    if (good)
        return plug;
    usbipplug_free(plug);
    return NULL;
}

void usbipplug_free(struct usbipplug *plug)
{
    if (!plug)
        return;
    for (size_t i = 0; i < plug->count; i++)
        free(plug->slots[i].path);
    free(plug->slots);
    free(plug);
}

struct slot *usbipplug_slot(struct usbipplug *plug, size_t n)
{
    return n < plug->count ? &plug->slots[n] : NULL;
}
