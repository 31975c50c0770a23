/* SPDX-License-Identifier: MIT */
/* The USB/IP server and a client of it, at the two ends of a socket. */
#ifndef USBIPRIG_H
#define USBIPRIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop.h"
#include "sim/sim_private.h"
#include "sim/simport.h"
#include "usbip/usbip.h"

enum { FLASH = 0x08000000, BOARDS = 3 };
enum { EPIPE_LINUX = -32, EPROTO_LINUX = -71, ENOMEM_LINUX = -12, UNLINKED = -104 };
enum { OP = 8, HEAD = 48, DEVICE = 312, OUT = 0, IN = 1 };
enum { DNLOAD = 1, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT };

static struct {
    struct loop *loop;
    struct port *port;
    struct simboard *boards[BOARDS];
    struct usbip *server;
    struct usbip_options options;
    int fd; /* of the client that talks */
    uint32_t seqnum, device;
    unsigned notified;
    uint8_t data[0x10000];
} rig;

static const char *const paths[BOARDS] = { "sim:f407", "sim:g474", "sim:dfu11" };

/* ---- boards and the server ---- */

static inline struct simboard *add(const char *path, struct sim_options options, const char *file)
{
    char why[300] = "";
    options.kind = options.kind ? options.kind : path + 4;
    struct simboard *board = simport_add(rig.port, path, &options, file, NULL, why, sizeof why);
    if (!board)
        fail_msg("%s", why);
    return board;
}

static inline struct sim *sim(size_t board)
{
    return simboard_sim(rig.boards[board]);
}

static inline double now(void)
{
    return loop_now(rig.loop);
}

static inline void on_notify(void *arg)
{
    assert_ptr_equal(arg, &rig);
    rig.notified++;
}

static inline void serve(void)
{
    enum usbip_failure failure;
    char why[200];
    rig.server = usbip_new(rig.loop, rig.port, &rig.options, &failure, why, sizeof why);
    if (!rig.server)
        fail_msg("%s", why);
}

static inline int open_rig(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    rig.fd = -1;
    rig.loop = loop_new();
    loop_virtual_time(rig.loop); /* passes like real time, but can be skipped */
    rig.port = simport_new(rig.loop);
    struct sim_options quick = { .usb = SIM_USB_NONE, .times = SIM_TIMES_ZERO, .state = -1 };
    for (size_t i = 0; i < BOARDS; i++)
        rig.boards[i] = add(paths[i], quick, NULL);
    rig.options =
        (struct usbip_options){ .paths = paths, .count = BOARDS, .notify = on_notify, .arg = &rig };
    serve();
    return 0;
}

static inline int close_rig(void **state)
{
    (void)state;
    if (rig.fd >= 0)
        close(rig.fd);
    usbip_free(rig.server);
    assert_false(loop_turn(rig.loop, true)); /* it left nothing in the loop */
    rig.port->free(rig.port);
    loop_free(rig.loop);
    return 0;
}

#define SERVER_TEST(f) cmocka_unit_test_setup_teardown(f, open_rig, close_rig)

/* A board with other options in the place of the first. */
static inline void replace_board(struct sim_options options)
{
    usbip_free(rig.server);
    simport_remove(rig.boards[0]);
    rig.boards[0] = add(paths[0], options, NULL);
    serve();
}

/* ---- the client ---- */

static inline void turn(void)
{
    loop_turn(rig.loop, true);
}

static inline void settle(void)
{
    for (int i = 0; i < 8; i++)
        loop_turn(rig.loop, false);
}

static inline void pass(double seconds)
{
    loop_skip(rig.loop, seconds);
    for (int i = 0; i < 8; i++)
        turn();
}

/* A new connection, which the calls below talk over. */
static inline int join(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(usbip_adopt(rig.server, pair[0]));
    return pair[1];
}

static inline void hang_up(void)
{
    close(rig.fd);
    rig.fd = -1;
    settle();
}

static inline void rejoin(void)
{
    if (rig.fd >= 0)
        hang_up();
    rig.fd = join();
    rig.seqnum = 0;
}

static inline void put(const void *bytes, size_t length)
{
    const uint8_t *p = bytes;
    double until = now() + 5;
    while (length > 0) {
        ssize_t n = send(rig.fd, p, length, MSG_NOSIGNAL);
        if (n > 0) {
            p += n;
            length -= (size_t)n;
            continue;
        }
        assert_true(errno == EAGAIN && now() < until);
        turn();
    }
}

/* Bytes that come within five seconds, up to the end; how many. */
static inline size_t get_upto(void *bytes, size_t length)
{
    size_t have = 0;
    double until = now() + 5;
    while (have < length && now() < until) {
        ssize_t n = recv(rig.fd, (uint8_t *)bytes + have, length - have, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            break;
        if (n > 0)
            have += (size_t)n;
        else
            turn();
    }
    return have;
}

static inline void get(void *bytes, size_t length)
{
    assert_int_equal(get_upto(bytes, length), length);
}

static inline void expect_end(void)
{
    uint8_t byte;
    double start = now();
    assert_int_equal(get_upto(&byte, 1), 0);
    assert_true(now() - start < 4.9);
}

static inline void expect_silence(void)
{
    uint8_t byte;
    settle();
    assert_int_equal(recv(rig.fd, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static inline void put32(uint8_t *p, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(n >> (24 - 8 * i));
}

static inline uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void put_op(unsigned version, unsigned code)
{
    uint8_t op[OP] = { (uint8_t)(version >> 8), (uint8_t)version, (uint8_t)(code >> 8),
                       (uint8_t)code };
    put(op, sizeof op);
}

/* The status of the answer; if it is 0, its device is in rig.data. */
static inline uint32_t import(const char *bus_id)
{
    uint8_t id[32] = { 0 }, op[OP];
    memcpy(id, bus_id, strlen(bus_id) < 32 ? strlen(bus_id) : 32);
    put_op(0x0111, 0x8003);
    put(id, sizeof id);
    get(op, sizeof op);
    assert_int_equal(get32(op), 0x01110003);
    if (get32(op + 4) == 0) {
        get(rig.data, DEVICE);
        rig.device = get32(rig.data + 288) << 16 | get32(rig.data + 292);
    }
    return get32(op + 4);
}

static inline void plug_in(const char *bus_id)
{
    rejoin();
    assert_int_equal(import(bus_id), 0);
}

struct packet {
    uint32_t command, seqnum, device, direction, endpoint, length, packets;
    uint8_t type, request;
    uint16_t value, index, wlength;
    uint32_t victim;
};

static inline struct packet submit_of(unsigned type, unsigned request, unsigned value,
                                      unsigned index, size_t length)
{
    return (struct packet){ .command = 1,
                            .seqnum = ++rig.seqnum,
                            .device = rig.device,
                            .direction = (type & 0x80) && length > 0 ? IN : OUT,
                            .length = (uint32_t)length,
                            .packets = UINT32_MAX,
                            .type = (uint8_t)type,
                            .request = (uint8_t)request,
                            .value = (uint16_t)value,
                            .index = (uint16_t)index,
                            .wlength = (uint16_t)length };
}

static inline void pack(const struct packet *packet, uint8_t *p)
{
    memset(p, 0, HEAD);
    put32(p, packet->command);
    put32(p + 4, packet->seqnum);
    put32(p + 8, packet->device);
    put32(p + 12, packet->direction);
    put32(p + 16, packet->endpoint);
    if (packet->command == 2) {
        put32(p + 20, packet->victim);
        return;
    }
    put32(p + 24, packet->length);
    put32(p + 32, packet->packets);
    p[40] = packet->type;
    p[41] = packet->request;
    for (int i = 0; i < 2; i++) {
        p[42 + i] = (uint8_t)(packet->value >> 8 * i);
        p[44 + i] = (uint8_t)(packet->index >> 8 * i);
        p[46 + i] = (uint8_t)(packet->wlength >> 8 * i);
    }
}

static inline void put_packet(const struct packet *packet, const void *data)
{
    uint8_t head[HEAD];
    pack(packet, head);
    put(head, sizeof head);
    if (packet->command == 1 && packet->direction == OUT && packet->length > 0)
        put(data, packet->length);
}

struct reply {
    int status;
    uint32_t length;
};

static inline struct reply get_reply(uint32_t command, uint32_t seqnum, bool in)
{
    uint8_t head[HEAD];
    get(head, sizeof head);
    assert_int_equal(get32(head), command);
    assert_int_equal(get32(head + 4), seqnum);
    for (size_t i = 8; i < HEAD; i++) /* no device, direction or endpoint; no ISO */
        if ((i < 20 || i >= 28) && (i < 32 || i >= 36))
            assert_int_equal(head[i], 0);
    struct reply reply = { (int32_t)get32(head + 20), get32(head + 24) };
    if (in && reply.length > 0) {
        assert_true(reply.length <= sizeof rig.data);
        get(rig.data, reply.length);
    }
    return reply;
}

static inline struct reply control(unsigned type, unsigned request, unsigned value, unsigned index,
                                   const void *data, size_t length)
{
    struct packet packet = submit_of(type, request, value, index, length);
    put_packet(&packet, data);
    return get_reply(3, packet.seqnum, packet.direction == IN);
}

/* bState */
static inline int status(void)
{
    struct reply reply = control(0xA1, GETSTATUS, 0, 0, NULL, 6);
    assert_int_equal(reply.status, 0);
    assert_int_equal(reply.length, 6);
    return rig.data[4];
}

static inline void dnload(unsigned block, const void *data, size_t length)
{
    struct reply reply = control(0x21, DNLOAD, block, 0, data, length);
    assert_int_equal(reply.status, 0);
    assert_int_equal(reply.length, length);
}

static inline void execute(unsigned block, const void *data, size_t length)
{
    dnload(block, data, length);
    assert_int_equal(status(), DFU_DNBUSY);
    assert_int_equal(status(), DFU_DNLOAD_IDLE);
}

static inline void command(unsigned code, uint32_t address)
{
    uint8_t bytes[5] = { (uint8_t)code, (uint8_t)address, (uint8_t)(address >> 8),
                         (uint8_t)(address >> 16), (uint8_t)(address >> 24) };
    execute(0, bytes, sizeof bytes);
}

/* From dfuERROR, in which these boards are found. */
static inline void to_idle(void)
{
    if (status() == DFU_ERROR)
        assert_int_equal(control(0x21, CLRSTATUS, 0, 0, NULL, 0).status, 0);
    assert_int_equal(status(), DFU_IDLE);
}

static inline void leave(uint32_t address)
{
    command(0x21, address);
    dnload(0, NULL, 0);
    assert_int_equal(status(), DFU_MANIFEST);
}

/* ---- events ---- */

static inline struct usbip_event next_event(void)
{
    struct usbip_event event;
    if (!usbip_next(rig.server, &event))
        fail_msg("no event");
    return event;
}

static inline struct usbip_event expect_event(enum usbip_what what, size_t board)
{
    struct usbip_event event = next_event();
    assert_int_equal(event.what, what);
    assert_int_equal(event.board, board);
    return event;
}

static inline void no_event(void)
{
    struct usbip_event event;
    assert_false(usbip_next(rig.server, &event));
}

static inline void forget_events(void)
{
    struct usbip_event event;
    while (usbip_next(rig.server, &event)) {
    }
}

/* All is as it was: the board is free, and there is no connection. */
static inline void check_free(const char *bus_id)
{
    if (rig.fd >= 0)
        hang_up();
    for (int i = 0; usbip_connections(rig.server) > 0 && i < 200; i++)
        turn();
    assert_int_equal(usbip_connections(rig.server), 0);
    plug_in(bus_id);
    assert_int_equal(control(0x80, 6, 0x0100, 0, NULL, 18).length, 18);
    hang_up();
}

#endif
