/* SPDX-License-Identifier: MIT */
/* One connection: the peer's requests, the board's answers, and the socket between.  Two things
 * that the USB/IP specification leaves out, as vhci_hcd of Linux does them: a reset of the port is
 * not sent (see is_enumeration()), and SET_ADDRESS is not sent, because vhci_hcd keeps the address.
 */
#include "usbip/usbipconn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop.h"
#include "usb/port.h"
#include "usbip/usbipmsg.h"
#include "usbip/usbipplug.h"

enum {
    REQUESTS_MOST = 16,  /* in the queue of a connection */
    OUT_GATE = 4096,     /* bytes waiting to be sent, above which nothing is read */
    READS_PER_TURN = 64, /* of one connection, before the loop serves others */
};

#define HANDSHAKE_SECONDS 10.0 /* for a peer to ask for a list or an import */
#define STALL_SECONDS     10.0 /* for which a peer may read nothing of what is sent */
#define LINGER_SECONDS    2.0  /* for a peer to read the last bytes and hang up */
#define REFUSAL_SECONDS   0.1  /* for which a board that left at a reset refuses requests */
#define ANSWER_SECONDS    120  /* no board is busy for longer: it hangs */

/* One control transfer that the peer wants. */
struct request {
    struct request *next;
    struct usbipmsg_command command;
    bool dropped; /* unlinked while it was on the wire: not answered */
    uint8_t data[];
};

struct conn {
    struct usbipconns *conns;
    struct conn *next;
    struct loop_watch watch;
    struct loop_timer timer;
    bool over;    /* to be freed */
    double since; /* when the wait for a deadline, or the stall, began */

    void (*hear)(struct conn *conn); /* takes the next piece of input; NULL: input is dropped */
    uint8_t head[USBIPMSG_HEAD];
    uint8_t *into; /* where that piece goes */
    size_t have, want;
    struct request *incoming; /* whose data is awaited */

    uint8_t *out;
    size_t out_size, out_first, out_end;
    bool stalls, shut;

    struct slot *slot;     /* the board it has imported, or NULL */
    struct request *queue; /* the first is on the wire, if slot->in_flight */
    size_t queued;
    struct port_transfer transfer;
    bool hung;            /* the board never answers: nothing is sent until the peer unlinks it */
    bool configured;      /* SET_CONFIGURATION came: see is_enumeration() */
    double refuses_until; /* if not 0: the board left at a reset, see reset_board() */
};

/* ---- output ---- */

static size_t waiting(const struct conn *conn)
{
    return conn->out_end - conn->out_first;
}

/* Room for `length` bytes, zeroed, behind the waiting output.  NULL: no memory. */
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
        conn->since = loop_now(conn->conns->loop);
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

/* Removes a request from the queue, and frees it. */
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
        usbipplug_release(conn->conns->plug, conn->slot, why);
    conn->slot = NULL;
    while (conn->queue)
        drop(conn, &conn->queue);
    free(conn->incoming);
    conn->incoming = NULL;
    conn->hear = NULL;
    conn->since = loop_now(conn->conns->loop);
}

/* Ends the connection: the peer broke the protocol. */
static void refuse(struct conn *conn, const char *why)
{
    if (!conn->slot)
        usbipplug_tell(conn->conns->plug, NULL, USBIP_REFUSED, why);
    end(conn, why);
}

static void free_conn(struct conn *conn)
{
    struct usbipconns *conns = conn->conns;
    end(conn, "unplugged");
    loop_unwatch(conns->loop, &conn->watch);
    loop_timer_cancel(conns->loop, &conn->timer);
    close(conn->watch.fd);
    struct conn **p = &conns->first;
    while (*p != conn)
        p = &(*p)->next;
    *p = conn->next;
    conns->count--;
    free(conn->out);
    free(conn);
}

/* ---- carrying requests out ---- */

static bool is_setup(const struct request *request, unsigned type, unsigned code)
{
    const struct usb_setup *setup = &request->command.setup;
    return setup->type == type && setup->request == code;
}

/* Whether Linux has just reset the port.  vhci_hcd does not send that, but hub.c's next request is
 * sent, and nothing else sends it: 64 bytes of the device descriptor, to a configured device. */
static bool is_enumeration(const struct conn *conn, const struct request *request)
{
    return conn->configured && is_setup(request, USB_IN, USB_GET_DESCRIPTOR) &&
           request->command.setup.value == USB_DEVICE_DESCRIPTOR << 8 &&
           request->command.setup.length == 64;
}

/* Whether another client resets the port, by SET_FEATURE(PORT_RESET) as to a hub. */
static bool is_port_reset(const struct request *request)
{
    return is_setup(request, 0x23, 3) && request->command.setup.value == 4;
}

/* Resets the board, which may leave.  If the connection ended at once, Linux would wait 5 s for the
 * answer to its request.  So the request fails with EPROTO, as without a device.  Linux asks twice
 * more at once, and then not for 100 to 200 ms, in which usbipconns_check() ends the connection. */
static void reset_board(struct conn *conn)
{
    struct port_handle *handle = conn->slot->handle;
    conn->configured = false;
    if (handle->port->reset(handle) != 0)
        conn->refuses_until = loop_now(conn->conns->loop) + REFUSAL_SECONDS;
}

/* Sends the next request to the board once the answer before is sent: at most one answer is kept
 * for a peer. */
static void start_next(struct conn *conn)
{
    while (conn->queue && !conn->slot->in_flight && !conn->hung && waiting(conn) == 0) {
        struct request *request = conn->queue;
        bool only_reset = is_port_reset(request);
        if (conn->refuses_until <= 0 && (only_reset || is_enumeration(conn, request)))
            reset_board(conn);
        bool refused = conn->refuses_until > 0;
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
        conn->slot->active_at = loop_now(conn->conns->loop);
        conn->slot->handle->port->submit(conn->slot->handle, &conn->transfer);
    }
}

static void answer_result(struct conn *conn, const struct request *request, int result)
{
    int status = result >= 0 ? 0 : result == PORT_STALL ? USBIPMSG_EPIPE : USBIPMSG_EPROTO;
    answer(conn, &request->command, status, result > 0 ? (size_t)result : 0,
           request->command.in ? request->data : NULL);
    if (result == PORT_IO)
        usbipplug_tell(conn->conns->plug, conn->slot, USBIP_TROUBLE,
                       "the file of its flash can't be written");
}

static void update(struct conn *conn);

static void on_done(void *arg, int result)
{
    struct conn *conn = arg;
    struct request *request = conn->queue;
    conn->slot->in_flight = false;
    conn->slot->active_at = loop_now(conn->conns->loop);
    if (result == PORT_TIMEOUT && !request->dropped) {
        conn->hung = true;
    } else if (result != PORT_GONE) {
        if (!request->dropped)
            answer_result(conn, request, result);
        drop(conn, &conn->queue);
    }
    if (result == PORT_GONE || !usbipplug_is_there(conn->conns->plug, conn->slot))
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

/* Called when the request and its data are complete. */
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

/* An unlinked request is not answered.  The board may still execute it. */
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
        conn->slot->handle->port->cancel(conn->slot->handle);
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

/* Lists the boards that can be imported. */
static void answer_devlist(struct conn *conn)
{
    struct usbipplug *plug = conn->conns->plug;
    struct usbipmsg_device device;
    struct slot *slot;
    uint32_t listed = 0;
    if (!reserve(conn, USBIPMSG_DEVLIST))
        return;
    for (size_t i = 0; (slot = usbipplug_slot(plug, i)) != NULL; i++) {
        if (slot->handle || !usbipplug_describe(plug, slot, &device))
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

static struct slot *slot_with_id(struct usbipplug *plug, const uint8_t *wanted)
{
    char id[USBIPMSG_BUS_ID];
    struct slot *slot;
    for (size_t i = 0; (slot = usbipplug_slot(plug, i)) != NULL; i++) {
        usbipmsg_bus_id(i, id);
        if (strncmp((const char *)wanted, id, USBIPMSG_BUS_ID) == 0)
            break;
    }
    return slot;
}

static void hear_bus_id(struct conn *conn)
{
    struct usbipplug *plug = conn->conns->plug;
    struct slot *slot = slot_with_id(plug, conn->head + USBIPMSG_OP);
    struct usbipmsg_device device;
    const char *why = NULL;
    enum usbipmsg_status status = usbipplug_take(plug, slot, &why);
    bool taken = status == USBIPMSG_OK;
    if (taken)
        conn->slot = slot;
    uint8_t *p = reserve(conn, USBIPMSG_OP + (taken ? USBIPMSG_DEVICE : 0));
    if (!p)
        return;
    usbipmsg_put_op(p, USBIPMSG_REQ_IMPORT, status);
    usbipplug_tell(plug, slot, taken ? USBIP_ATTACHED : USBIP_REFUSED, why);
    if (taken && usbipplug_describe(plug, slot, &device)) {
        usbipmsg_put_device(p + USBIPMSG_OP, &device);
        expect(conn, hear_head, conn->head, USBIPMSG_HEAD);
    } else {
        end(conn, why);
    }
}

/* A peer of another version gets an answer, too: it contains our version. */
static void hear_op(struct conn *conn)
{
    unsigned code;
    if (!usbipmsg_get_op(conn->head, &code)) {
        uint8_t *p = reserve(conn, USBIPMSG_OP);
        if (p)
            usbipmsg_put_op(p, code, USBIPMSG_ERROR);
        refuse(conn, "the client does not speak USB/IP 1.1.1");
    } else if (code == USBIPMSG_REQ_DEVLIST) {
        answer_devlist(conn);
    } else if (code == USBIPMSG_REQ_IMPORT) {
        expect(conn, hear_bus_id, conn->head + USBIPMSG_OP, USBIPMSG_BUS_ID);
    } else {
        refuse(conn, "the client sent an unknown request");
    }
}

/* ---- the socket ---- */

/* Reads bytes of the awaited piece; at the end of a connection, any bytes.  False: there are none
 * now. */
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

/* Does all that needs no further input. */
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

/* Called at the end of each callback of a connection: goes on, and sets what is awaited next; or
 * frees the connection. */
static void update(struct conn *conn)
{
    struct loop *loop = conn->conns->loop;
    go_on(conn);
    if (!conn->hear && waiting(conn) == 0 && !conn->shut) {
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
    if (conn->hear)
        refuse(conn,
               conn->stalls ? "the client reads no answers" : "the client sent no request in time");
    conn->over = true;
    update(conn);
}

void usbipconns_check(struct usbipconns *conns, const struct slot *slot)
{
    struct conn *conn = conns->first;
    while (conn && conn->slot != slot)
        conn = conn->next;
    if (!conn || loop_now(conns->loop) < conn->refuses_until)
        return;
    if (!slot->in_flight && !usbipplug_is_there(conns->plug, slot)) { /* else on_done() ends it */
        end(conn, "the board left the bus");
        update(conn);
    }
}

void usbipconns_free(struct usbipconns *conns)
{
    while (conns->first)
        free_conn(conns->first);
}

bool usbipconn_new(struct usbipconns *conns, int fd)
{
    struct conn *conn = malloc(sizeof *conn);
    if (!conn)
        return false;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    *conn = (struct conn){
        .conns = conns,
        .next = conns->first,
        .watch = { .ready = on_ready, .arg = conn, .fd = fd, .events = POLLIN },
        .timer = { .fire = on_deadline, .arg = conn },
        .transfer = { .timeout = ANSWER_SECONDS, .done = on_done, .arg = conn },
        .since = loop_now(conns->loop),
    };
    conns->first = conn;
    conns->count++;
    expect(conn, hear_op, conn->head, USBIPMSG_OP);
    loop_watch(conns->loop, &conn->watch);
    update(conn);
    return true;
}
