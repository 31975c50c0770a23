/* SPDX-License-Identifier: MIT */
#include "usbip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "simport.h"
#include "usbipconn.h"

enum { CONNECTIONS_MOST = 128 }; /* of which each board takes one */

#define WATCH_SECONDS 0.02 /* between two looks whether boards come or go by themselves */
#define QUIET_SECONDS 1.0  /* without requests: what was flashed is told */

/* ---- events ---- */

/* The oldest make room: who fetches none for long is told how many there were. */
static void tell(struct usbip *server, struct usbip_event event)
{
    if (server->event_count == USBIP_EVENTS_MOST) {
        server->first_event = (server->first_event + 1) % USBIP_EVENTS_MOST;
        server->event_count--;
        server->lost++;
    }
    server->events[(server->first_event + server->event_count) % USBIP_EVENTS_MOST] = event;
    if (server->event_count++ == 0 && server->notify)
        server->notify(server->arg);
}

bool usbip_next(struct usbip *server, struct usbip_event *event)
{
    if (server->lost > 0) {
        *event = (struct usbip_event){ .what = USBIP_LOST,
                                       .board = USBIP_NO_BOARD,
                                       .bytes = server->lost };
        server->lost = 0;
        return true;
    }
    if (server->event_count == 0)
        return false;
    *event = server->events[server->first_event];
    server->first_event = (server->first_event + 1) % USBIP_EVENTS_MOST;
    server->event_count--;
    return true;
}

void usbip_tell(struct usbip *server, const struct slot *slot, enum usbip_what what,
                const char *why)
{
    size_t board = slot ? slot->number : USBIP_NO_BOARD;
    tell(server, (struct usbip_event){ .what = what, .board = board, .why = why });
}

/* ---- boards ---- */

/* NULL: whoever made it needs it no more. */
static struct simboard *board_of(const struct usbip *server, const struct slot *slot)
{
    return simport_find(server->port, slot->path);
}

static bool is_on_bus(enum sim_life life)
{
    return life == SIM_DFU || life == SIM_RUNTIME;
}

/* Takes what it is now for what is known. */
static void learn(struct usbip *server, struct slot *slot)
{
    struct simboard *board = board_of(server, slot);
    slot->life = board ? sim_life(simboard_sim(board), loop_now(server->loop)) : SIM_AWAY;
    slot->generation = board ? sim_generation(simboard_sim(board)) : 0;
}

/* Takes in what was flashed since the last look. */
static void take_flashed(struct usbip *server, struct slot *slot, struct simboard *board)
{
    uint64_t before = slot->flashed.written + slot->flashed.erased;
    double now = loop_now(server->loop);
    sim_flashed(simboard_sim(board), now, &slot->flashed);
    if (slot->flashed.written + slot->flashed.erased != before)
        slot->busy = now;
}

static void tell_flashed(struct usbip *server, struct slot *slot)
{
    struct sim_flashed *flashed = &slot->flashed;
    if (flashed->written == 0 && flashed->erased == 0)
        return;
    tell(server, (struct usbip_event){
                     .what = flashed->written > 0 ? USBIP_FLASHED : USBIP_ERASED,
                     .board = slot->number,
                     .bytes = flashed->written > 0 ? flashed->written : flashed->erased,
                     .first = flashed->first,
                     .last = flashed->last,
                 });
    *flashed = (struct sim_flashed){ 0 };
}

static void tell_left(struct usbip *server, struct slot *slot, const struct sim_start *start)
{
    tell(server, (struct usbip_event){ .what = USBIP_LEFT,
                                       .board = slot->number,
                                       .address = start->address,
                                       .sp = start->sp,
                                       .pc = start->pc,
                                       .works = start->works });
}

/* Says what has become of a board since the last look. */
static void look_at(struct usbip *server, struct slot *slot)
{
    struct simboard *board = board_of(server, slot);
    enum sim_life before = slot->life;
    unsigned generation = slot->generation;
    learn(server, slot);
    if (board)
        take_flashed(server, slot, board);
    if (slot->life == before && slot->generation == generation)
        return;
    tell_flashed(server, slot);
    bool left = before == SIM_DFU && (slot->life == SIM_RUNNING || slot->life == SIM_STARTING ||
                                      slot->life == SIM_RUNTIME);
    if (left)
        tell_left(server, slot, sim_started(simboard_sim(board)));
    else if (is_on_bus(slot->life))
        tell(server, (struct usbip_event){ .what = USBIP_RESET,
                                           .board = slot->number,
                                           .dfu = slot->life == SIM_DFU });
    else if (is_on_bus(before))
        usbip_tell(server, slot, USBIP_GONE, NULL);
    if (board && !slot->conn)
        simboard_changed(board);
}

/* Plugs it in, if it is not.  One that runs its program is pulled out first: that is how it gets
 * back to DFU mode. */
static void plug(struct usbip *server, struct slot *slot, struct simboard *board)
{
    double now = loop_now(server->loop);
    struct sim *sim = simboard_sim(board);
    enum sim_life life = sim_life(sim, now);
    if (is_on_bus(life))
        return;
    if (life == SIM_RUNNING)
        sim_unplug(sim, now);
    sim_plug(sim, now);
    simboard_changed(board);
    learn(server, slot);
}

bool usbip_is_there(const struct usbip *server, const struct slot *slot)
{
    struct simboard *board = board_of(server, slot);
    if (!board)
        return false;
    struct sim *sim = simboard_sim(board);
    return is_on_bus(sim_life(sim, loop_now(server->loop))) &&
           sim_generation(sim) == slot->generation;
}

bool usbip_describe(struct usbip *server, const struct slot *slot, struct usbipmsg_device *device)
{
    size_t length;
    struct simboard *board = board_of(server, slot);
    if (!board)
        return false;
    *device = (struct usbipmsg_device){ .number = slot->number, .path = slot->path };
    device->device = sim_device_descriptor(simboard_sim(board), &length);
    device->config = sim_config_descriptor(simboard_sim(board), &device->config_length);
    return true;
}

enum usbipmsg_status usbip_take(struct usbip *server, struct slot *slot, struct conn *conn,
                                const char **why)
{
    struct simboard *board = slot ? board_of(server, slot) : NULL;
    if (!board) {
        *why = "there is no board with the bus id it asked for";
        return USBIPMSG_NODEV;
    }
    if (slot->conn) {
        *why = "the board is in use";
        return USBIPMSG_BUSY;
    }
    look_at(server, slot);
    plug(server, slot, board);
    if (!is_on_bus(slot->life)) {
        *why = "the board is not on the bus: it restarts, or its boot loader never starts";
        return USBIPMSG_NA;
    }
    int result =
        server->port->open(server->port, slot->path, slot->generation, 0, 0, &slot->handle);
    if (result != 0) {
        *why = "the board is open in this program";
        return result == PORT_BUSY ? USBIPMSG_BUSY : USBIPMSG_DEV_ERR;
    }
    slot->conn = conn;
    slot->refuses_until = 0;
    slot->busy = loop_now(server->loop);
    return USBIPMSG_OK;
}

void usbip_release(struct usbip *server, struct slot *slot, const char *why)
{
    bool pulled = usbip_is_there(server, slot);
    look_at(server, slot);
    server->port->close(slot->handle);
    slot->conn = NULL;
    slot->in_flight = false;
    struct simboard *board = board_of(server, slot);
    if (board && pulled)
        sim_unplug(simboard_sim(board), loop_now(server->loop));
    if (board) {
        take_flashed(server, slot, board);
        simboard_changed(board);
    }
    if (pulled)
        learn(server, slot);
    tell_flashed(server, slot);
    usbip_tell(server, slot, USBIP_DETACHED, why);
}

/* ---- the server ---- */

bool usbip_adopt(struct usbip *server, int fd)
{
    if (server->conn_count < CONNECTIONS_MOST && usbipconn_new(server, fd))
        return true;
    close(fd);
    return false;
}

size_t usbip_connections(const struct usbip *server)
{
    return server->conn_count;
}

static void on_accept(void *arg, short events)
{
    struct usbip *server = arg;
    (void)events;
    int fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && !usbip_adopt(server, fd))
        usbip_tell(server, NULL, USBIP_REFUSED, "there are too many connections");
    if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        loop_unwatch(server->loop, &server->listener); /* no descriptors: until the next look */
}

/* Something was flashed, and nothing more is on its way. */
static bool is_quiet(const struct usbip *server, const struct slot *slot)
{
    return (slot->flashed.written > 0 || slot->flashed.erased > 0) && !slot->in_flight &&
           loop_now(server->loop) - slot->busy >= QUIET_SECONDS;
}

/* A board that goes while a request is on the wire has an answer to give first; the end of that
 * sees to it. */
static void watch_slot(struct usbip *server, struct slot *slot)
{
    bool refuses = loop_now(server->loop) < slot->refuses_until;
    if (slot->conn && !slot->in_flight && !refuses && !usbip_is_there(server, slot))
        usbipconn_end(slot->conn, "the board left the bus");
    if (!slot->conn)
        look_at(server, slot);
    struct simboard *board = board_of(server, slot);
    if (!board)
        return;
    take_flashed(server, slot, board);
    if (is_quiet(server, slot)) {
        simboard_changed(board);
        tell_flashed(server, slot);
    }
}

static void on_watch(void *arg)
{
    struct usbip *server = arg;
    for (size_t i = 0; i < server->count; i++)
        watch_slot(server, &server->slots[i]);
    if (server->listener.fd >= 0)
        loop_watch(server->loop, &server->listener);
    loop_timer_set(server->loop, &server->timer, loop_now(server->loop) + WATCH_SECONDS);
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
    return false;
}

static enum usbip_failure failure_of(int error)
{
    switch (error) {
    case EADDRINUSE:
        return USBIP_IN_USE;
    case EACCES:
    case EPERM:
        return USBIP_FORBIDDEN;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return USBIP_BAD_ADDRESS;
    default:
        return USBIP_FAILED;
    }
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage bound = { 0 };
    socklen_t length = sizeof bound;
    getsockname(fd, (struct sockaddr *)&bound, &length);
    if (bound.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
    return ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

static enum usbip_failure listen_at(struct usbip *server, const struct addrinfo *found)
{
    int one = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failure_of(errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 16) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return failure_of(error);
    }
    server->port_number = port_of(fd);
    server->listener =
        (struct loop_watch){ .ready = on_accept, .arg = server, .fd = fd, .events = POLLIN };
    loop_watch(server->loop, &server->listener);
    return USBIP_FINE;
}

static enum usbip_failure open_listener(struct usbip *server, const struct usbip_options *options,
                                        char *why, size_t why_size)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", options->port);
    if (getaddrinfo(options->address, service, &hints, &found) != 0) {
        snprintf(why, why_size, "'%s' is not a numeric address", options->address);
        return USBIP_BAD_ADDRESS;
    }
    enum usbip_failure failure = USBIP_NOT_LOOPBACK;
    if (!options->anywhere && !is_loopback(found->ai_addr)) {
        snprintf(why, why_size, "%s can be reached from other computers", options->address);
    } else {
        failure = listen_at(server, found);
        if (failure != USBIP_FINE)
            snprintf(why, why_size, "%s:%u: %s", options->address, options->port, strerror(errno));
    }
    freeaddrinfo(found);
    return failure;
}

static bool make_slots(struct usbip *server, const struct usbip_options *options)
{
    server->slots = calloc(options->count ? options->count : 1, sizeof *server->slots);
    if (!server->slots || options->count > USBIP_BOARDS)
        return false;
    server->count = options->count;
    for (size_t i = 0; i < server->count; i++) {
        struct slot *slot = &server->slots[i];
        slot->number = i;
        slot->path = strdup(options->paths[i]);
        if (!slot->path)
            return false;
        learn(server, slot);
        struct simboard *board = board_of(server, slot);
        if (board) /* what was flashed before is nobody's business */
            take_flashed(server, slot, board);
        slot->flashed = (struct sim_flashed){ 0 };
    }
    return true;
}

struct usbip *usbip_new(struct loop *loop, struct port *sims, const struct usbip_options *options,
                        enum usbip_failure *failure, char *why, size_t why_size)
{
    struct usbip *server = calloc(1, sizeof *server);
    *failure = USBIP_FAILED;
    snprintf(why, why_size, "out of memory");
    if (!server)
        return NULL;
    server->loop = loop;
    server->port = sims;
    server->listener.fd = -1;
    if (make_slots(server, options))
        *failure = options->address ? open_listener(server, options, why, why_size) : USBIP_FINE;
    if (*failure != USBIP_FINE) {
        usbip_free(server);
        return NULL;
    }
    server->timer = (struct loop_timer){ .fire = on_watch, .arg = server };
    loop_timer_set(loop, &server->timer, loop_now(loop) + WATCH_SECONDS);
    usbip_tell(server, NULL, USBIP_READY, NULL);
    server->notify = options->notify;
    server->arg = options->arg;
    return server;
}

void usbip_free(struct usbip *server)
{
    if (!server)
        return;
    server->notify = NULL;
    while (server->conns)
        usbipconn_free(server->conns);
    loop_timer_cancel(server->loop, &server->timer);
    loop_unwatch(server->loop, &server->listener);
    if (server->listener.fd >= 0)
        close(server->listener.fd);
    for (size_t i = 0; server->slots && i < server->count; i++)
        free(server->slots[i].path);
    free(server->slots);
    free(server);
}

uint16_t usbip_port(const struct usbip *server)
{
    return server->port_number;
}

const char *usbip_path(const struct usbip *server, size_t board)
{
    return server->slots[board].path;
}
