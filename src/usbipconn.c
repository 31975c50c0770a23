/* SPDX-License-Identifier: MIT */
/* One connection: what a peer says, what the board answers, and the socket between.  Two things
 * that the book of USB/IP does not say, as vhci_hcd of Linux does them: a reset of the port is not
 * sent (see is_enumeration()), and the address of a device is its own affair, so that SET_ADDRESS
 * never comes. */
#include "usbipconn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port.h"

enum {
    REQUESTS_MOST = 16,  /* that wait */
    OUT_GATE = 4096,     /* no more is read while so many bytes wait to be sent */
    READS_PER_TURN = 64, /* then others have their turn */
};

#define HANDSHAKE_SECONDS 10.0 /* until a peer has said what it wants */
#define STALL_SECONDS     10.0 /* for which a peer may take nothing of what is sent */
#define LINGER_SECONDS    2.0  /* in which it may take the last of it, and hang up */
#define REFUSAL_SECONDS   0.1  /* for which a board that left at a reset refuses requests */
#define ANSWER_SECONDS    120  /* no board is busy for longer: it hangs */

/* One control transfer that the peer wants. */
struct request {
    struct request *next;
    struct usbipmsg_command command;
    bool dropped; /* unlinked while the board was at it */
    uint8_t data[];
};

struct conn {
    struct usbip *server;
    struct conn *next;
    struct loop_watch watch;
    struct loop_timer timer;
    bool over;    /* nothing is left to be done for it */
    double since; /* what has a deadline, or the stall, began */

    void (*hear)(struct conn *conn); /* what comes next; NULL: the end, all is dropped */
    uint8_t head[USBIPMSG_HEAD];
    uint8_t *into; /* where it belongs */
    size_t have, want;
    struct request *incoming; /* whose data comes */

    uint8_t *out;
    size_t out_size, out_first, out_end;
    bool stalls, shut;

    struct slot *slot;     /* the board it has imported, or NULL */
    struct request *queue; /* the first is on the wire, if slot->in_flight */
    size_t queued;
    struct port_transfer transfer;
    bool hung, configured;
};

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
    if (stalls && (!conn->stalls || waiting(conn) < before) && conn->hear)
        conn->since = loop_now(conn->server->loop);
    conn->stalls = stalls;
}

/* ---- requests ---- */

static void answer(struct conn *conn, const struct usbipmsg_command *command, int status,
                   size_t moved, const uint8_t *data)
{
    uint8_t *p = reserve(conn, USBIPMSG_HEAD + (data ? moved : 0));
    if (!p)
        return;
    usbipmsg_put_answer(p, command, status, moved);
    if (data && moved > 0)
        memcpy(p + USBIPMSG_HEAD, data, moved);
}

/* Takes one out of the queue. */
static void drop(struct conn *conn, struct request **p)
{
    struct request *request = *p;
    *p = request->next;
    conn->queued--;
    free(request);
}

/* ---- the end of a connection ---- */

static void end(struct conn *conn, const char *why)
{
    if (!conn->hear)
        return;
    if (conn->slot)
        usbip_release(conn->server, conn->slot, why);
    conn->slot = NULL;
    while (conn->queue)
        drop(conn, &conn->queue);
    free(conn->incoming);
    conn->incoming = NULL;
    conn->hear = NULL;
    conn->since = loop_now(conn->server->loop);
}

/* The peer does what it may not: nothing that it sends has a meaning any more. */
static void refuse(struct conn *conn, const char *why)
{
    if (!conn->slot)
        usbip_tell(conn->server, NULL, USBIP_REFUSED, why);
    end(conn, why);
}

void usbipconn_free(struct conn *conn)
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
    const struct usb_setup *setup = &request->command.setup;
    return setup->type == type && setup->request == code;
}

/* A reset of the port never comes over the wire: vhci_hcd plays it alone.  But what hub.c does
 * next does, and nothing else asks for it: 64 bytes of the device descriptor, of a device that was
 * configured before. */
static bool is_enumeration(const struct conn *conn, const struct request *request)
{
    return conn->configured && is_setup(request, USB_IN, USB_GET_DESCRIPTOR) &&
           request->command.setup.value == USB_DEVICE_DESCRIPTOR << 8 &&
           request->command.setup.length == 64;
}

/* What other clients send for the same: SET_FEATURE(PORT_RESET), as if to a hub. */
static bool is_port_reset(const struct request *request)
{
    return is_setup(request, 0x23, 3) && request->command.setup.value == 4;
}

/* A board may leave at a reset.  If its connection just ended, Linux, which is at the reset, would
 * wait 5 s for the answer that it lacks.  So it gets one: EPROTO, as from a wire without a device.
 * It asks twice more, at once, and then nothing for 100 to 200 ms: that is when the end comes. */
static void reset_board(struct conn *conn)
{
    struct usbip *server = conn->server;
    conn->configured = false;
    if (server->port->reset(conn->slot->handle) != 0)
        conn->slot->refuses_until = loop_now(server->loop) + REFUSAL_SECONDS;
}

/* The next request goes to the board when the one before is answered, and the answer sent: so no
 * peer makes us keep more than one. */
static void start_next(struct conn *conn)
{
    while (conn->queue && !conn->slot->in_flight && !conn->hung && waiting(conn) == 0) {
        struct request *request = conn->queue;
        bool only_reset = is_port_reset(request);
        if (conn->slot->refuses_until <= 0 && (only_reset || is_enumeration(conn, request)))
            reset_board(conn);
        bool refused = conn->slot->refuses_until > 0;
        if (only_reset || refused) {
            answer(conn, &request->command, refused ? USBIPMSG_EPROTO : 0, 0, NULL);
            drop(conn, &conn->queue);
            continue;
        }
        if (is_setup(request, USB_TO_DEVICE, USB_SET_CONFIGURATION))
            conn->configured = true;
        conn->transfer.setup = request->command.setup;
        conn->transfer.data = request->data;
        conn->slot->in_flight = true;
        conn->slot->busy = loop_now(conn->server->loop);
        conn->server->port->submit(conn->slot->handle, &conn->transfer);
    }
}

static void answer_result(struct conn *conn, const struct request *request, int result)
{
    int status = result >= 0 ? 0 : result == PORT_STALL ? USBIPMSG_EPIPE : USBIPMSG_EPROTO;
    answer(conn, &request->command, status, result > 0 ? (size_t)result : 0,
           request->command.in ? request->data : NULL);
    if (result == PORT_IO)
        usbip_tell(conn->server, conn->slot, USBIP_TROUBLE,
                   "the file of its flash can't be written");
}

static void update(struct conn *conn);

static void on_done(void *arg, int result)
{
    struct conn *conn = arg;
    struct request *request = conn->queue;
    conn->slot->in_flight = false;
    conn->slot->busy = loop_now(conn->server->loop);
    if (result == PORT_TIMEOUT && !request->dropped) {
        conn->hung = true; /* until it is unlinked */
    } else if (result != PORT_GONE) {
        if (!request->dropped)
            answer_result(conn, request, result);
        drop(conn, &conn->queue);
    }
    if (result == PORT_GONE || !usbip_is_there(conn->server, conn->slot))
        end(conn, "the board left the bus");
    update(conn);
}

/* ---- input ---- */

static void expect(struct conn *conn, void (*hear)(struct conn *), uint8_t *into, size_t length)
{
    conn->hear = hear;
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

static void hear_head(struct conn *conn);

/* The request is there as a whole. */
static void hear_data(struct conn *conn)
{
    struct request *request = conn->incoming;
    conn->incoming = NULL;
    expect(conn, hear_head, conn->head, USBIPMSG_HEAD);
    if (!request->command.bad && conn->queued < REQUESTS_MOST) {
        enqueue(conn, request);
        return;
    }
    int status = request->command.bad ? USBIPMSG_EPIPE : USBIPMSG_ENOMEM;
    answer(conn, &request->command, status, 0, NULL);
    free(request);
}

static void hear_submit(struct conn *conn, const struct usbipmsg_command *command)
{
    struct request *request = calloc(1, sizeof *request + command->length);
    if (!request) {
        end(conn, "out of memory");
        return;
    }
    request->command = *command;
    conn->incoming = request;
    expect(conn, hear_data, request->data, command->in ? 0 : command->length);
}

/* What was unlinked gets no other answer.  The board goes on with it all the same. */
static void hear_unlink(struct conn *conn, const struct usbipmsg_command *command)
{
    struct request **p = &conn->queue;
    expect(conn, hear_head, conn->head, USBIPMSG_HEAD);
    while (*p && ((*p)->command.seqnum != command->victim || (*p)->dropped))
        p = &(*p)->next;
    answer(conn, command, *p ? USBIPMSG_ECONNRESET : 0, 0, NULL);
    if (!*p)
        return;
    if (*p == conn->queue && conn->slot->in_flight) {
        (*p)->dropped = true;
        conn->server->port->cancel(conn->slot->handle);
        return;
    }
    if (*p == conn->queue)
        conn->hung = false;
    drop(conn, p);
}

static void hear_head(struct conn *conn)
{
    struct usbipmsg_command command;
    uint32_t id = usbipmsg_device_id(conn->slot->number);
    const char *why = usbipmsg_get_command(conn->head, id, &command);
    if (why)
        refuse(conn, why);
    else if (command.unlinks)
        hear_unlink(conn, &command);
    else
        hear_submit(conn, &command);
}

/* ---- device list and import ---- */

/* Those that can be imported; the others are not listed. */
static void answer_devlist(struct conn *conn)
{
    struct usbip *server = conn->server;
    struct usbipmsg_device device;
    uint32_t listed = 0;
    if (!reserve(conn, USBIPMSG_DEVLIST))
        return;
    for (size_t i = 0; i < server->count; i++) {
        if (server->slots[i].conn || !usbip_describe(server, &server->slots[i], &device))
            continue;
        uint8_t *p = reserve(conn, USBIPMSG_DEVICE + usbipmsg_interfaces_size(&device));
        if (!p)
            return;
        usbipmsg_put_device(p, &device);
        usbipmsg_put_interfaces(p + USBIPMSG_DEVICE, &device);
        listed++;
    }
    usbipmsg_put_devlist(conn->out, listed);
    end(conn, NULL);
}

static struct slot *slot_with_id(struct usbip *server, const uint8_t *wanted)
{
    char id[USBIPMSG_BUS_ID];
    for (size_t i = 0; i < server->count; i++) {
        usbipmsg_bus_id(i, id);
        if (strncmp((const char *)wanted, id, USBIPMSG_BUS_ID) == 0)
            return &server->slots[i];
    }
    return NULL;
}

static void hear_bus_id(struct conn *conn)
{
    struct usbip *server = conn->server;
    struct slot *slot = slot_with_id(server, conn->head + USBIPMSG_OP);
    struct usbipmsg_device device;
    const char *why = NULL;
    enum usbipmsg_status status = usbip_take(server, slot, conn, &why);
    bool taken = status == USBIPMSG_OK;
    if (taken)
        conn->slot = slot;
    uint8_t *p = reserve(conn, USBIPMSG_OP + (taken ? USBIPMSG_DEVICE : 0));
    if (!p)
        return;
    usbipmsg_put_op(p, USBIPMSG_REQ_IMPORT, status);
    usbip_tell(server, slot, taken ? USBIP_ATTACHED : USBIP_REFUSED, why);
    if (taken && usbip_describe(server, slot, &device)) {
        usbipmsg_put_device(p + USBIPMSG_OP, &device);
        expect(conn, hear_head, conn->head, USBIPMSG_HEAD);
    } else {
        end(conn, why);
    }
}

/* Another version gets an answer all the same: it says which one is spoken here. */
static void hear_op(struct conn *conn)
{
    unsigned code;
    if (!usbipmsg_get_op(conn->head, &code)) {
        uint8_t *p = reserve(conn, USBIPMSG_OP);
        if (p)
            usbipmsg_put_op(p, code, USBIPMSG_ERROR);
        refuse(conn, "it does not speak USB/IP 1.1.1");
    } else if (code == USBIPMSG_REQ_DEVLIST) {
        answer_devlist(conn);
    } else if (code == USBIPMSG_REQ_IMPORT) {
        expect(conn, hear_bus_id, conn->head + USBIPMSG_OP, USBIPMSG_BUS_ID);
    } else {
        refuse(conn, "it asked for something that there is not");
    }
}

/* ---- the socket ---- */

/* Bytes of the current piece, or, at the end, any.  False: there are none now. */
static bool receive(struct conn *conn)
{
    uint8_t dropped[4096];
    bool ends = !conn->hear;
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
    return !conn->over && (!conn->hear || waiting(conn) < OUT_GATE);
}

/* As far as it goes without further input. */
static void go_on(struct conn *conn)
{
    flush(conn);
    while (conn->hear && conn->have == conn->want && may_read(conn)) {
        conn->hear(conn);
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
    if (!conn->hear)
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
    if (!conn->hear && waiting(conn) == 0 && !conn->shut) {
        conn->shut = true;
        shutdown(conn->watch.fd, SHUT_WR);
    }
    if (conn->over) {
        usbipconn_free(conn);
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
    if (conn->hear)
        refuse(conn, conn->stalls ? "it reads no answers" : "it did not say what it wants");
    conn->over = true;
    update(conn);
}

void usbipconn_end(struct conn *conn, const char *why)
{
    end(conn, why);
    update(conn);
}

bool usbipconn_new(struct usbip *server, int fd)
{
    struct conn *conn = malloc(sizeof *conn);
    if (!conn)
        return false;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    *conn = (struct conn){
        .server = server,
        .next = server->conns,
        .watch = { .ready = on_ready, .arg = conn, .fd = fd, .events = POLLIN },
        .timer = { .fire = on_deadline, .arg = conn },
        .transfer = { .timeout = ANSWER_SECONDS, .done = on_done, .arg = conn },
        .since = loop_now(server->loop),
    };
    server->conns = conn;
    server->conn_count++;
    expect(conn, hear_op, conn->head, USBIPMSG_OP);
    loop_watch(server->loop, &conn->watch);
    update(conn);
    return true;
}
