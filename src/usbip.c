/* SPDX-License-Identifier: MIT */
/* The wire format is that of Documentation/usb/usbip_protocol.rst of Linux.  Two things that it
 * does not say, as vhci_hcd does them: a reset of the port is not sent (see is_enumeration()), and
 * the address of a device is its own affair, so that SET_ADDRESS never comes. */
#include "usbip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "simport.h"

enum { VERSION = 0x0111 };
enum { REQ_IMPORT = 0x8003, REP_IMPORT = 0x0003, REQ_DEVLIST = 0x8005, REP_DEVLIST = 0x0005 };
enum { CMD_SUBMIT = 1, CMD_UNLINK = 2, RET_SUBMIT = 3, RET_UNLINK = 4 };
enum { DIR_OUT = 0, DIR_IN = 1 };
enum { SPEED_FULL = 2, BUS = 1 };

/* What the answer to an import says (tools/usb/usbip of Linux has words for them). */
enum status { ST_OK, ST_NA, ST_DEV_BUSY, ST_DEV_ERR, ST_NODEV, ST_ERROR };

/* Statuses of requests are errno values of Linux, negative, whatever this system's are. */
enum { LINUX_ENOMEM = -12, LINUX_EPIPE = -32, LINUX_EPROTO = -71, LINUX_ECONNRESET = -104 };

enum {
    OP_SIZE = 8,
    HEAD_SIZE = 48,
    PATH_SIZE = 256,
    DEVICE_SIZE = PATH_SIZE + USBIP_BUS_ID_SIZE + 24,
    DATA_MOST = 65535,      /* wLength has 16 bits */
    REQUESTS_MOST = 16,     /* that wait, of one connection */
    CONNECTIONS_MOST = 128, /* of which each board takes one */
    OUT_GATE = 4096,        /* no more is read while so many bytes wait to be sent */
    READS_PER_TURN = 64,    /* then others have their turn */
    EVENTS_MOST = 256,
};

#define HANDSHAKE_SECONDS 10.0 /* until a peer has said what it wants */
#define STALL_SECONDS     10.0 /* for which a peer may take nothing of what is sent */
#define LINGER_SECONDS    2.0  /* in which it may take the last of it, and hang up */
#define WATCH_SECONDS     0.02 /* between two looks whether boards come or go by themselves */
#define QUIET_SECONDS     1.0  /* without requests: what was flashed is told */
#define ANSWER_SECONDS    120  /* no board is busy for longer: it hangs */

/* One control transfer that the peer wants. */
struct request {
    struct request *next;
    uint32_t seqnum, packets;
    bool in;
    bool bad;     /* it contradicts itself: refused once all of it is there */
    bool dropped; /* unlinked while the board was at it */
    struct port_setup setup;
    uint8_t data[];
};

enum phase {
    HEARS_OP,     /* a device list, or an import? */
    HEARS_BUS_ID, /* an import, of what? */
    HEARS_HEAD,   /* imported: a request */
    HEARS_DATA,   /* the bytes of one */
    ENDS,         /* what waits is sent, what comes is dropped */
};

struct conn {
    struct usbip *server;
    struct conn *next;
    struct loop_watch watch;
    struct loop_timer timer;
    enum phase phase;
    bool over;    /* nothing is left to be done for it */
    double since; /* the phase that has a deadline, or the stall, began */

    uint8_t head[HEAD_SIZE];
    uint8_t *into; /* where what comes next belongs */
    size_t have, want;
    struct request *incoming; /* whose data comes */

    uint8_t *out;
    size_t out_size, out_first, out_end;
    bool stalls, shut;

    struct slot *slot; /* the board it has imported, or NULL */
    struct port_handle *handle;
    struct request *queue; /* the first is on the wire, if in_flight */
    size_t queued;
    struct port_transfer transfer;
    bool in_flight, hung, configured;
};

/* A place to plug a board in. */
struct slot {
    char *path;
    struct conn *conn; /* who has it, or NULL */
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
    struct usbip_event events[EVENTS_MOST];
    size_t first_event, event_count;
    uint64_t lost;
    void (*notify)(void *arg);
    void *arg;
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

/* ---- events ---- */

/* The oldest make room: who fetches none for long is told how many there were. */
static void tell(struct usbip *server, struct usbip_event event)
{
    if (server->event_count == EVENTS_MOST) {
        server->first_event = (server->first_event + 1) % EVENTS_MOST;
        server->event_count--;
        server->lost++;
    }
    server->events[(server->first_event + server->event_count) % EVENTS_MOST] = event;
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
    server->first_event = (server->first_event + 1) % EVENTS_MOST;
    server->event_count--;
    return true;
}

static size_t number_of(const struct usbip *server, const struct slot *slot)
{
    return slot ? (size_t)(slot - server->slots) : USBIP_NO_BOARD;
}

static void tell_why(struct usbip *server, const struct slot *slot, enum usbip_what what,
                     const char *why)
{
    tell(server,
         (struct usbip_event){ .what = what, .board = number_of(server, slot), .why = why });
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
                     .board = number_of(server, slot),
                     .bytes = flashed->written > 0 ? flashed->written : flashed->erased,
                     .first = flashed->first,
                     .last = flashed->last,
                 });
    *flashed = (struct sim_flashed){ 0 };
}

static void tell_left(struct usbip *server, struct slot *slot, const struct sim_start *start)
{
    tell(server, (struct usbip_event){ .what = USBIP_LEFT,
                                       .board = number_of(server, slot),
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
    bool left = before == SIM_DFU && (slot->life == SIM_RUNNING || slot->life == SIM_RUNTIME);
    if (left)
        tell_left(server, slot, sim_started(simboard_sim(board)));
    else if (is_on_bus(slot->life))
        tell(server, (struct usbip_event){ .what = USBIP_RESET,
                                           .board = number_of(server, slot),
                                           .dfu = slot->life == SIM_DFU });
    else if (is_on_bus(before))
        tell(server, (struct usbip_event){ .what = USBIP_GONE, .board = number_of(server, slot) });
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

/* The same device as when it was imported is still there. */
static bool is_there(const struct conn *conn)
{
    const struct slot *slot = conn->slot;
    struct simboard *board = board_of(conn->server, slot);
    if (!board)
        return false;
    struct sim *sim = simboard_sim(board);
    return is_on_bus(sim_life(sim, loop_now(conn->server->loop))) &&
           sim_generation(sim) == slot->generation;
}

/* ---- output ---- */

static size_t waiting(const struct conn *conn)
{
    return conn->out_end - conn->out_first;
}

/* Room for so many bytes, zeroed, behind what waits; NULL: no memory. */
static uint8_t *reserve(struct conn *conn, size_t length)
{
    if (conn->out_first > 0) {
        memmove(conn->out, conn->out + conn->out_first, waiting(conn));
        conn->out_end -= conn->out_first;
        conn->out_first = 0;
    }
    if (conn->out_end + length > conn->out_size) {
        uint8_t *grown = realloc(conn->out, conn->out_end + length);
        if (!grown) {
            conn->over = true;
            return NULL;
        }
        conn->out = grown;
        conn->out_size = conn->out_end + length;
    }
    uint8_t *room = conn->out + conn->out_end;
    memset(room, 0, length);
    conn->out_end += length;
    return room;
}

static void flush(struct conn *conn)
{
    size_t before = waiting(conn);
    while (waiting(conn) > 0 && !conn->over) {
        ssize_t n = send(conn->watch.fd, conn->out + conn->out_first, waiting(conn), MSG_NOSIGNAL);
        if (n >= 0)
            conn->out_first += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        else if (errno != EINTR)
            conn->over = true;
    }
    bool stalls = waiting(conn) > 0;
    if (stalls && (!conn->stalls || waiting(conn) < before) && conn->phase != ENDS)
        conn->since = loop_now(conn->server->loop);
    conn->stalls = stalls;
}

/* ---- requests ---- */

static void answer_submit(struct conn *conn, uint32_t seqnum, uint32_t packets, int status,
                          size_t moved, const uint8_t *data)
{
    uint8_t *p = reserve(conn, HEAD_SIZE + (data ? moved : 0));
    if (!p)
        return;
    put32(p, RET_SUBMIT);
    put32(p + 4, seqnum);
    put32(p + 20, (uint32_t)status);
    put32(p + 24, (uint32_t)moved);
    put32(p + 32, packets); /* as it came: 0 from Linux, 0xFFFFFFFF by the book */
    if (data && moved > 0)
        memcpy(p + HEAD_SIZE, data, moved);
}

static void answer_unlink(struct conn *conn, uint32_t seqnum, int status)
{
    uint8_t *p = reserve(conn, HEAD_SIZE);
    if (!p)
        return;
    put32(p, RET_UNLINK);
    put32(p + 4, seqnum);
    put32(p + 20, (uint32_t)status);
}

static void drop_first(struct conn *conn)
{
    struct request *request = conn->queue;
    conn->queue = request->next;
    conn->queued--;
    free(request);
}

/* ---- the end of a connection ---- */

/* What the peer imported is let go; if the board is still there, its plug is pulled. */
static void let_go(struct conn *conn, const char *why)
{
    struct usbip *server = conn->server;
    struct slot *slot = conn->slot;
    if (!slot)
        return;
    bool pulled = is_there(conn);
    look_at(server, slot);
    server->port->close(conn->handle);
    conn->handle = NULL;
    conn->slot = NULL;
    slot->conn = NULL;
    conn->in_flight = conn->hung = false;
    while (conn->queue)
        drop_first(conn);
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
    tell_why(server, slot, USBIP_DETACHED, why);
}

static void end(struct conn *conn, const char *why)
{
    if (conn->phase == ENDS)
        return;
    let_go(conn, why);
    free(conn->incoming);
    conn->incoming = NULL;
    conn->phase = ENDS;
    conn->since = loop_now(conn->server->loop);
}

/* The peer does what it may not: nothing that it sends has a meaning any more. */
static void refuse(struct conn *conn, const char *why)
{
    if (!conn->slot)
        tell_why(conn->server, NULL, USBIP_REFUSED, why);
    end(conn, why);
}

static void free_conn(struct conn *conn)
{
    struct usbip *server = conn->server;
    end(conn, "unplugged");
    loop_unwatch(server->loop, &conn->watch);
    loop_timer_cancel(server->loop, &conn->timer);
    close(conn->watch.fd);
    struct conn **p = &server->conns;
    while (*p != conn)
        p = &(*p)->next;
    *p = conn->next;
    server->conn_count--;
    free(conn->out);
    free(conn);
}

/* ---- carrying requests out ---- */

static bool is_setup(const struct request *request, unsigned type, unsigned code)
{
    return request->setup.type == type && request->setup.request == code;
}

/* A reset of the port never comes over the wire: vhci_hcd plays it alone.  But what hub.c does
 * next does, and nothing else asks for it: 64 bytes of the device descriptor, of a device that was
 * configured before. */
static bool is_enumeration(const struct conn *conn, const struct request *request)
{
    return conn->configured && is_setup(request, 0x80, 6) && request->setup.value == 0x0100 &&
           request->setup.length == 64;
}

/* What other clients send for the same: SET_FEATURE(PORT_RESET), as if to a hub. */
static bool is_port_reset(const struct request *request)
{
    return is_setup(request, 0x23, 3) && request->setup.value == 4;
}

static bool reset_board(struct conn *conn)
{
    conn->configured = false;
    if (conn->server->port->reset(conn->handle) == 0)
        return true;
    end(conn, "the board left the bus");
    return false;
}

static void on_done(void *arg, int result);

/* The next request goes to the board when the one before is answered, and the answer sent: so no
 * peer makes us keep more than one. */
static void start_next(struct conn *conn)
{
    while (conn->handle && conn->queue && !conn->in_flight && !conn->hung && waiting(conn) == 0) {
        struct request *request = conn->queue;
        bool only_reset = is_port_reset(request);
        if ((only_reset || is_enumeration(conn, request)) && !reset_board(conn))
            return;
        if (only_reset) {
            answer_submit(conn, request->seqnum, request->packets, 0, 0, NULL);
            drop_first(conn);
            continue;
        }
        if (is_setup(request, 0x00, 9))
            conn->configured = true;
        conn->transfer = (struct port_transfer){ .setup = request->setup,
                                                 .data = request->data,
                                                 .timeout = ANSWER_SECONDS,
                                                 .done = on_done,
                                                 .arg = conn };
        conn->in_flight = true;
        conn->slot->busy = loop_now(conn->server->loop);
        conn->server->port->submit(conn->handle, &conn->transfer);
    }
}

static void answer(struct conn *conn, const struct request *request, int result)
{
    int status = result >= 0 ? 0 : result == PORT_STALL ? LINUX_EPIPE : LINUX_EPROTO;
    size_t moved = result > 0 ? (size_t)result : 0;
    answer_submit(conn, request->seqnum, request->packets, status, moved,
                  request->in ? request->data : NULL);
    if (result == PORT_IO)
        tell_why(conn->server, conn->slot, USBIP_TROUBLE, "the file of its flash can't be written");
}

static void update(struct conn *conn);

static void on_done(void *arg, int result)
{
    struct conn *conn = arg;
    struct request *request = conn->queue;
    conn->in_flight = false;
    conn->slot->busy = loop_now(conn->server->loop);
    if (result == PORT_TIMEOUT && !request->dropped) {
        conn->hung = true; /* until it is unlinked */
    } else if (result != PORT_GONE) {
        if (!request->dropped)
            answer(conn, request, result);
        drop_first(conn);
    }
    if (result == PORT_GONE || !is_there(conn))
        end(conn, "the board left the bus");
    update(conn);
}

/* ---- input ---- */

static void expect(struct conn *conn, enum phase phase, uint8_t *into, size_t length)
{
    conn->phase = phase;
    conn->into = into;
    conn->have = 0;
    conn->want = length;
}

static void enqueue(struct conn *conn, struct request *request)
{
    struct request **p = &conn->queue;
    while (*p)
        p = &(*p)->next;
    *p = request;
    conn->queued++;
}

/* A request that can't be: there is one endpoint, and the setup says how long and which way.
 * (usb_submit_urb() of Linux refuses such a one as well.) */
static bool contradicts(uint32_t endpoint, bool in, uint32_t length, const struct port_setup *setup)
{
    bool wants_in = (setup->type & 0x80) != 0 && setup->length > 0;
    return endpoint != 0 || length != setup->length || (length > 0 && in != wants_in);
}

static void hear_submit(struct conn *conn)
{
    const uint8_t *p = conn->head;
    uint32_t direction = get32(p + 12), length = get32(p + 24), packets = get32(p + 32);
    if (direction > DIR_IN || length > DATA_MOST || (packets != 0 && packets != UINT32_MAX)) {
        refuse(conn, "it sent a request that no board can have");
        return;
    }
    struct request *request = calloc(1, sizeof *request + length);
    if (!request) {
        end(conn, "out of memory");
        return;
    }
    request->seqnum = get32(p + 4);
    request->packets = packets;
    request->in = direction == DIR_IN;
    request->setup =
        (struct port_setup){ p[40], p[41], little16(p + 42), little16(p + 44), little16(p + 46) };
    conn->incoming = request;
    request->bad = contradicts(get32(p + 16), request->in, length, &request->setup);
    expect(conn, HEARS_DATA, request->data, request->in ? 0 : length);
}

/* The request is there as a whole. */
static void hear_data(struct conn *conn)
{
    struct request *request = conn->incoming;
    conn->incoming = NULL;
    expect(conn, HEARS_HEAD, conn->head, HEAD_SIZE);
    if (!request->bad && conn->queued < REQUESTS_MOST) {
        enqueue(conn, request);
        return;
    }
    answer_submit(conn, request->seqnum, request->packets,
                  request->bad ? LINUX_EPIPE : LINUX_ENOMEM, 0, NULL);
    free(request);
}

/* What was unlinked gets no other answer.  The board goes on with it all the same. */
static void hear_unlink(struct conn *conn)
{
    uint32_t seqnum = get32(conn->head + 4), victim = get32(conn->head + 20);
    struct request **p = &conn->queue;
    expect(conn, HEARS_HEAD, conn->head, HEAD_SIZE);
    while (*p && ((*p)->seqnum != victim || (*p)->dropped))
        p = &(*p)->next;
    struct request *request = *p;
    answer_unlink(conn, seqnum, request ? LINUX_ECONNRESET : 0);
    if (!request)
        return;
    if (request == conn->queue && conn->in_flight) {
        request->dropped = true;
        conn->server->port->cancel(conn->handle);
        return;
    }
    if (request == conn->queue)
        conn->hung = false;
    *p = request->next;
    conn->queued--;
    free(request);
}

static uint32_t device_id(const struct usbip *server, const struct slot *slot)
{
    return (uint32_t)BUS << 16 | (uint32_t)(number_of(server, slot) + 1);
}

static void hear_head(struct conn *conn)
{
    uint32_t command = get32(conn->head);
    if (get32(conn->head + 8) != device_id(conn->server, conn->slot))
        refuse(conn, "it sent a request for another board");
    else if (command == CMD_SUBMIT)
        hear_submit(conn);
    else if (command == CMD_UNLINK)
        hear_unlink(conn);
    else
        refuse(conn, "it sent a command that there is not");
}

/* ---- device list and import ---- */

void usbip_bus_id(size_t board, char id[USBIP_BUS_ID_SIZE])
{
    snprintf(id, USBIP_BUS_ID_SIZE, "%d-%zu", BUS, board + 1);
}

/* What both answers say of a board. */
static void put_device(const struct usbip *server, const struct slot *slot, struct simboard *board,
                       uint8_t *p)
{
    size_t device_length, config_length;
    const uint8_t *device = sim_device_descriptor(simboard_sim(board), &device_length);
    const uint8_t *config = sim_config_descriptor(simboard_sim(board), &config_length);
    snprintf((char *)p, PATH_SIZE, "/moonflash/%s", slot->path);
    p += PATH_SIZE;
    usbip_bus_id(number_of(server, slot), (char *)p);
    p += USBIP_BUS_ID_SIZE;
    put32(p, BUS);
    put32(p + 4, device_id(server, slot) & 0xFFFF);
    put32(p + 8, SPEED_FULL);
    put16(p + 12, little16(device + 8));
    put16(p + 14, little16(device + 10));
    put16(p + 16, little16(device + 12));
    memcpy(p + 18, device + 4, 3); /* class, subclass, protocol */
    p[21] = config[5];
    p[22] = device[17];
    p[23] = config[4];
}

/* Class, subclass and protocol of each interface, as its first setting has them. */
static void put_interfaces(struct simboard *board, uint8_t *p, size_t count)
{
    size_t length, at = 0;
    const uint8_t *config = sim_config_descriptor(simboard_sim(board), &length);
    while (at + 9 <= length && config[at] >= 2) {
        const uint8_t *row = config + at;
        if (row[1] == 4 && row[3] == 0 && row[2] < count)
            memcpy(p + 4 * (size_t)row[2], row + 5, 3);
        at += row[0];
    }
}

/* Those that can be imported; the others are not listed. */
static void answer_devlist(struct conn *conn)
{
    struct usbip *server = conn->server;
    uint8_t *p = reserve(conn, OP_SIZE + 4);
    uint32_t listed = 0;
    for (size_t i = 0; p && i < server->count; i++) {
        struct slot *slot = &server->slots[i];
        struct simboard *board = board_of(server, slot);
        if (slot->conn || !board)
            continue;
        size_t config_length;
        size_t interfaces = sim_config_descriptor(simboard_sim(board), &config_length)[4];
        p = reserve(conn, DEVICE_SIZE + 4 * interfaces);
        if (!p)
            return;
        put_device(server, slot, board, p);
        put_interfaces(board, p + DEVICE_SIZE, interfaces);
        listed++;
    }
    if (!p)
        return;
    put16(conn->out, VERSION);
    put16(conn->out + 2, REP_DEVLIST);
    put32(conn->out + 8, listed);
    end(conn, NULL);
}

static enum status import(struct conn *conn, struct slot *slot, const char **why)
{
    struct usbip *server = conn->server;
    struct simboard *board = slot ? board_of(server, slot) : NULL;
    if (!board) {
        *why = "there is no board with the bus id it asked for";
        return ST_NODEV;
    }
    if (slot->conn) {
        *why = "the board is in use";
        return ST_DEV_BUSY;
    }
    look_at(server, slot);
    plug(server, slot, board);
    if (!is_on_bus(slot->life)) {
        *why = "the board is not on the bus: it restarts, or its boot loader never starts";
        return ST_NA;
    }
    int result = server->port->open(server->port, slot->path, slot->generation, 0, &conn->handle);
    if (result != 0) {
        *why = "the board is open in this program";
        return result == PORT_BUSY ? ST_DEV_BUSY : ST_DEV_ERR;
    }
    conn->slot = slot;
    slot->conn = conn;
    slot->busy = loop_now(server->loop);
    return ST_OK;
}

static struct slot *slot_with_id(struct usbip *server, const uint8_t *wanted)
{
    char id[USBIP_BUS_ID_SIZE];
    for (size_t i = 0; i < server->count; i++) {
        usbip_bus_id(i, id);
        if (strncmp((const char *)wanted, id, USBIP_BUS_ID_SIZE) == 0)
            return &server->slots[i];
    }
    return NULL;
}

static void hear_bus_id(struct conn *conn)
{
    struct usbip *server = conn->server;
    struct slot *slot = slot_with_id(server, conn->head + OP_SIZE);
    const char *why = NULL;
    enum status status = import(conn, slot, &why);
    uint8_t *p = reserve(conn, status == ST_OK ? OP_SIZE + DEVICE_SIZE : OP_SIZE);
    if (!p)
        return;
    put16(p, VERSION);
    put16(p + 2, REP_IMPORT);
    put32(p + 4, status);
    if (status == ST_OK) {
        put_device(server, slot, board_of(server, slot), p + OP_SIZE);
        tell_why(server, slot, USBIP_ATTACHED, NULL);
        expect(conn, HEARS_HEAD, conn->head, HEAD_SIZE);
        return;
    }
    tell_why(server, slot, USBIP_REFUSED, why);
    end(conn, why);
}

/* Another version gets an answer all the same: it says which one is spoken here. */
static void hear_op(struct conn *conn)
{
    unsigned code = get16(conn->head + 2);
    if (get16(conn->head) != VERSION) {
        uint8_t *p = reserve(conn, OP_SIZE);
        if (!p)
            return;
        put16(p, VERSION);
        put16(p + 2, code & 0x7FFF);
        put32(p + 4, ST_ERROR);
        refuse(conn, "it does not speak USB/IP 1.1.1");
    } else if (code == REQ_DEVLIST) {
        answer_devlist(conn);
    } else if (code == REQ_IMPORT) {
        expect(conn, HEARS_BUS_ID, conn->head + OP_SIZE, USBIP_BUS_ID_SIZE);
    } else {
        refuse(conn, "it asked for something that there is not");
    }
}

static void hear(struct conn *conn)
{
    switch (conn->phase) {
    case HEARS_OP:
        hear_op(conn);
        break;
    case HEARS_BUS_ID:
        hear_bus_id(conn);
        break;
    case HEARS_HEAD:
        hear_head(conn);
        break;
    case HEARS_DATA:
        hear_data(conn);
        break;
    case ENDS:
        break;
    }
}

/* ---- the socket ---- */

/* Bytes of the current piece, or, at the end, any.  False: there are none now. */
static bool receive(struct conn *conn)
{
    uint8_t dropped[4096];
    bool ends = conn->phase == ENDS;
    void *into = ends ? dropped : conn->into + conn->have;
    ssize_t n = recv(conn->watch.fd, into, ends ? sizeof dropped : conn->want - conn->have, 0);
    if (n < 0 && errno == EINTR)
        return true;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    if (n <= 0) {
        end(conn, "unplugged");
        conn->over = true;
        return false;
    }
    if (!ends)
        conn->have += (size_t)n;
    return true;
}

static bool may_read(const struct conn *conn)
{
    return !conn->over && (conn->phase == ENDS || waiting(conn) < OUT_GATE);
}

/* As far as it goes without further input. */
static void go_on(struct conn *conn)
{
    flush(conn);
    while (conn->phase != ENDS && conn->have == conn->want && may_read(conn)) {
        hear(conn);
        start_next(conn);
        flush(conn);
    }
    start_next(conn);
}

static void read_some(struct conn *conn)
{
    for (int i = 0; i < READS_PER_TURN && may_read(conn); i++) {
        if (!receive(conn))
            return;
        go_on(conn);
    }
}

static double deadline(const struct conn *conn)
{
    if (conn->phase == ENDS)
        return conn->since + LINGER_SECONDS;
    if (conn->stalls)
        return conn->since + STALL_SECONDS;
    return conn->slot ? 0 : conn->since + HANDSHAKE_SECONDS;
}

/* What every callback of a connection ends with: sends, goes on, and says what is awaited next; or
 * frees it. */
static void update(struct conn *conn)
{
    struct loop *loop = conn->server->loop;
    go_on(conn);
    if (conn->phase == ENDS && waiting(conn) == 0 && !conn->shut) {
        conn->shut = true;
        shutdown(conn->watch.fd, SHUT_WR);
    }
    if (conn->over) {
        free_conn(conn);
        return;
    }
    conn->watch.events = (short)((may_read(conn) ? POLLIN : 0) | (waiting(conn) > 0 ? POLLOUT : 0));
    double at = deadline(conn);
    if (at > 0)
        loop_timer_set(loop, &conn->timer, at);
    else
        loop_timer_cancel(loop, &conn->timer);
}

static void on_ready(void *arg, short events)
{
    struct conn *conn = arg;
    (void)events;
    go_on(conn);
    read_some(conn);
    update(conn);
}

static void on_deadline(void *arg)
{
    struct conn *conn = arg;
    if (conn->phase != ENDS)
        refuse(conn, conn->stalls ? "it reads no answers" : "it did not say what it wants");
    conn->over = true;
    update(conn);
}

bool usbip_adopt(struct usbip *server, int fd)
{
    struct conn *conn = NULL;
    if (server->conn_count < CONNECTIONS_MOST)
        conn = calloc(1, sizeof *conn);
    if (!conn) {
        close(fd);
        return false;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    conn->server = server;
    conn->watch = (struct loop_watch){ .ready = on_ready, .arg = conn, .fd = fd, .events = POLLIN };
    conn->timer = (struct loop_timer){ .fire = on_deadline, .arg = conn };
    conn->since = loop_now(server->loop);
    conn->next = server->conns;
    server->conns = conn;
    server->conn_count++;
    expect(conn, HEARS_OP, conn->head, OP_SIZE);
    loop_watch(server->loop, &conn->watch);
    update(conn);
    return true;
}

size_t usbip_connections(const struct usbip *server)
{
    return server->conn_count;
}

/* ---- the server ---- */

static void on_accept(void *arg, short events)
{
    struct usbip *server = arg;
    (void)events;
    int fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && !usbip_adopt(server, fd))
        tell_why(server, NULL, USBIP_REFUSED, "there are too many connections");
    if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        loop_unwatch(server->loop, &server->listener); /* no descriptors: until the next look */
}

/* Something was flashed, and nothing more is on its way. */
static bool is_quiet(const struct usbip *server, const struct slot *slot)
{
    return (slot->flashed.written > 0 || slot->flashed.erased > 0) &&
           !(slot->conn && slot->conn->in_flight) &&
           loop_now(server->loop) - slot->busy >= QUIET_SECONDS;
}

/* A board that goes while a request is on the wire has an answer to give first; on_done() sees to
 * that. */
static void watch_slot(struct usbip *server, struct slot *slot)
{
    struct conn *conn = slot->conn;
    if (conn && !conn->in_flight && !is_there(conn)) {
        end(conn, "the board left the bus");
        update(conn);
        return;
    }
    if (!conn)
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
    tell_why(server, NULL, USBIP_READY, NULL);
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
        free_conn(server->conns);
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
