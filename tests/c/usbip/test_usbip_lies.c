/* SPDX-License-Identifier: MIT */
/* The USB/IP server: peers that send what no kernel sends, hang up, or are too slow. */
#include "usbip/usbiprig.h"

/* ---- refusals ---- */

static void a_second_import(void **state)
{
    (void)state;
    plug_in("1-1");
    to_idle();
    forget_events();
    int first = rig.fd;
    for (int i = 0; i < 3; i++) {
        rig.fd = join();
        assert_int_equal(import("1-1"), 2);
        assert_string_equal(expect_event(USBIP_REFUSED, 0).why, "the board is in use");
        expect_end();
        close(rig.fd);
    }
    rig.fd = first;
    assert_int_equal(status(), DFU_IDLE);
}

static void open_in_this_program(void **state)
{
    (void)state;
    struct port_handle *handle;
    unsigned generation = sim_generation(sim(0));
    assert_int_equal(rig.port->open(rig.port, paths[0], generation, 0, 0, &handle), 0);
    rejoin();
    assert_int_equal(import("1-1"), 2);
    rig.port->close(handle);
    plug_in("1-1");
    assert_int_equal(rig.port->open(rig.port, paths[0], generation, 0, 0, &handle), PORT_BUSY);
}

static void bus_ids_that_there_are_not(void **state)
{
    (void)state;
    static const char *const ids[] = {
        "1-4",
        "1-0",
        "2-1",
        "",
        "1-1 ",
        "1-11111111111111111111",
        "../../../../1-1",
        "1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1", /* no zero at its end */
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        rejoin();
        forget_events();
        assert_int_equal(import(ids[i]), 4);
        expect_end();
        expect_event(USBIP_REFUSED, USBIP_NO_BOARD);
    }
    check_free("1-1");
}

static void other_versions_and_operations(void **state)
{
    (void)state;
    static const uint16_t versions[] = { 0x0106, 0x0110, 0x0112, 0, 0xFFFF, 0x1101 };
    uint8_t op[OP];
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        rejoin();
        put_op(versions[i], 0x8005);
        get(op, OP);
        assert_int_equal(get32(op), 0x01110005);
        assert_int_equal(get32(op + 4), 5);
        expect_end();
    }
    for (unsigned code = 0; code < 0x10000; code += 0x101) {
        if (code == 0x8003 || code == 0x8005)
            continue;
        rejoin();
        put_op(0x0111, code);
        expect_end();
    }
    check_free("1-1");
}

/* Requests after which nothing that comes can be trusted. */
static void lies_that_end_it(void **state)
{
    (void)state;
    for (int lie = 0; lie < 12; lie++) {
        plug_in("1-1");
        forget_events();
        struct packet packet = submit_of(lie % 2 ? 0x21 : 0xA1, lie % 2 ? 1 : 2, 2, 0, 64);
        uint8_t head[HEAD];
        static const uint32_t lengths[] = { 65536, 0x7FFFFFFF, 0x80000000, UINT32_MAX };
        static const uint32_t commands[] = { 0, 3, 4, UINT32_MAX };
        if (lie < 4)
            packet.length = lengths[lie];
        else if (lie < 8)
            packet.command = commands[lie - 4];
        else if (lie == 8)
            packet.direction = 2;
        else if (lie == 9)
            packet.packets = 1;
        else if (lie == 10)
            packet.packets = 0x7FFFFFFF;
        else
            packet.device = 0x10002;
        pack(&packet, head);
        put(head, sizeof head);
        expect_end();
        struct usbip_event event = expect_event(USBIP_DETACHED, 0);
        assert_non_null(event.why);
        hang_up();
    }
    check_free("1-1");
}

/* Requests that are refused as a board would refuse them; what follows is heard. */
static void lies_that_are_refused(void **state)
{
    (void)state;
    static uint8_t data[65535];
    plug_in("1-1");
    to_idle();
    for (int lie = 0; lie < 8; lie++) {
        struct packet packet = submit_of(lie % 2 ? 0x21 : 0xA1, lie % 2 ? 1 : 2, 2, 0, 64);
        if (lie < 2)
            packet.endpoint = lie ? 1 : UINT32_MAX;
        else if (lie < 4)
            packet.length = 65535;
        else if (lie < 6)
            packet.length = 0;
        else
            packet.direction = 1 - packet.direction;
        put_packet(&packet, data);
        assert_int_equal(get_reply(3, packet.seqnum, true).status, EPIPE_LINUX);
        assert_int_equal(status(), DFU_IDLE);
    }
}

static void the_longest_requests(void **state)
{
    (void)state;
    static uint8_t data[65535];
    plug_in("1-1");
    to_idle();
    assert_int_equal(control(0x80, 6, 0x0100, 0, NULL, 65535).length, 18);
    assert_int_equal(control(0x21, DNLOAD, 2, 0, data, 65535).status, EPIPE_LINUX);
    assert_int_equal(status(), DFU_IDLE);
}

/* ---- peers that misbehave in time ---- */

/* All that a client says from import to a write and an unlink: 5 packets. */
static size_t conversation(uint8_t *bytes)
{
    uint8_t *p = bytes;
    static const uint8_t op[OP] = { 1, 0x11, 0x80, 3 };
    memset(bytes, 0, OP + 32);
    memcpy(p, op, OP);
    memcpy(p + OP, "1-1", 3);
    p += OP + 32;
    rig.seqnum = 0;
    rig.device = 0x10001;
    struct packet packets[] = {
        submit_of(0x80, 6, 0x0100, 0, 18),   submit_of(0x21, CLRSTATUS, 0, 0, 0),
        submit_of(0x21, DNLOAD, 0, 0, 5),    submit_of(0xA1, GETSTATUS, 0, 0, 6),
        submit_of(0xA1, GETSTATUS, 0, 0, 6),
    };
    static const uint8_t set_address[5] = { 0x21, 0, 0, 0, 8 };
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++) {
        pack(&packets[i], p);
        p += HEAD;
        if (i == 2) {
            memcpy(p, set_address, 5);
            p += 5;
        }
    }
    struct packet unlink = {
        .command = 2, .seqnum = ++rig.seqnum, .device = rig.device, .victim = 1
    };
    pack(&unlink, p);
    return (size_t)(p + HEAD - bytes);
}

/* Reads what comes of it. */
static void check_conversation(void)
{
    uint8_t op[OP + DEVICE];
    get(op, sizeof op);
    assert_int_equal(get32(op + 4), 0);
    static const uint32_t lengths[] = { 18, 0, 5, 6, 6 };
    bool unlinked = false;
    for (uint32_t seqnum = 1; seqnum <= 5;) {
        uint8_t head[HEAD];
        get(head, HEAD);
        if (get32(head) == 4) {
            assert_false(unlinked);
            unlinked = true;
            continue;
        }
        assert_int_equal(get32(head + 4), seqnum);
        assert_int_equal(get32(head + 20), 0);
        uint32_t length = get32(head + 24);
        assert_int_equal(length, lengths[seqnum - 1]);
        if (seqnum != 3)
            get(rig.data, length);
        seqnum++;
    }
    assert_int_equal(rig.data[4], DFU_DNLOAD_IDLE);
    if (!unlinked)
        get_reply(4, 6, false);
}

static void byte_by_byte(void **state)
{
    (void)state;
    uint8_t bytes[600];
    size_t length = conversation(bytes);
    rejoin();
    for (size_t i = 0; i < length; i++) {
        put(bytes + i, 1);
        loop_turn(rig.loop, false);
    }
    check_conversation();
}

static void in_pieces_of_any_size(void **state)
{
    (void)state;
    uint8_t bytes[600];
    size_t length = conversation(bytes);
    for (size_t piece = 2; piece < length; piece += 5) {
        rejoin();
        for (size_t i = 0; i < length; i += piece) {
            put(bytes + i, length - i < piece ? length - i : piece);
            loop_turn(rig.loop, false);
        }
        check_conversation();
    }
}

static void hung_up_at_every_byte(void **state)
{
    (void)state;
    uint8_t bytes[600];
    size_t length = conversation(bytes);
    for (size_t cut = 0; cut <= length; cut++) {
        for (int way = 0; way < 3; way++) {
            rejoin();
            put(bytes, cut);
            if (way == 1)
                settle();
            if (way == 2)
                shutdown(rig.fd, SHUT_WR);
            settle();
            hang_up();
            assert_int_equal(usbip_connections(rig.server), 0);
        }
        forget_events();
    }
    check_free("1-1");
}

static void hung_up_at_every_byte_of_a_list(void **state)
{
    (void)state;
    static const uint8_t op[OP] = { 1, 0x11, 0x80, 5 };
    for (size_t cut = 0; cut <= OP; cut++) {
        rejoin();
        put(op, cut);
        hang_up();
        assert_int_equal(usbip_connections(rig.server), 0);
    }
    check_free("1-1");
}

static void says_nothing(void **state)
{
    (void)state;
    rejoin();
    put_op(0x0111, 0x8003);
    settle();
    pass(8);
    assert_int_equal(usbip_connections(rig.server), 1);
    pass(3);
    assert_int_equal(usbip_connections(rig.server), 0);
    expect_end();
    plug_in("1-1"); /* a peer with a board may be silent */
    pass(10000);
    status();
}

/* It asks, and takes no answer: it is not read from any more, and in the end it is cut off. */
static void reads_nothing(void **state)
{
    (void)state;
    uint8_t head[HEAD];
    int small = 4096;
    plug_in("1-1");
    forget_events();
    setsockopt(rig.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    size_t sent = 0, idle = 0;
    while (idle < 50) {
        struct packet packet = submit_of(0x80, 6, 0x0200, 0, 54);
        if (sent % 2)
            packet = (struct packet){ .command = 2, .device = rig.device, .victim = 99999999 };
        pack(&packet, head);
        ssize_t n = send(rig.fd, head, HEAD, MSG_NOSIGNAL);
        assert_true(n == HEAD || (n < 0 && errno == EAGAIN));
        sent += n == HEAD;
        idle = n == HEAD ? 0 : idle + 1;
        loop_turn(rig.loop, false);
        assert_true(sent < 100000);
    }
    pass(11);
    assert_string_equal(expect_event(USBIP_DETACHED, 0).why, "the client reads no answers");
    assert_int_equal(usbip_connections(rig.server), 0);
    check_free("1-1");
}

/* It reads late, but it reads: nothing is lost. */
static void reads_late(void **state)
{
    (void)state;
    plug_in("1-1");
    to_idle();
    rig.seqnum = 0;
    for (int i = 0; i < 16; i++) {
        struct packet packet = submit_of(0xA1, UPLOAD, 2, 0, 2048);
        put_packet(&packet, NULL);
        settle();
    }
    pass(5);
    for (uint32_t i = 1; i <= 16; i++)
        assert_int_equal(get_reply(3, i, true).length, 2048);
}

static void too_many_connections(void **state)
{
    (void)state;
    int fds[128], pair[2];
    for (size_t i = 0; i < 128; i++)
        fds[i] = join();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_false(usbip_adopt(rig.server, pair[0]));
    close(pair[1]);
    for (size_t i = 0; i < 128; i++)
        close(fds[i]);
    settle();
    check_free("1-1");
}

static void events_that_nobody_fetches(void **state)
{
    (void)state;
    forget_events();
    rig.notified = 0;
    for (int i = 0; i < 200; i++) {
        plug_in("1-1");
        hang_up();
    }
    assert_int_equal(rig.notified, 1);
    struct usbip_event event = expect_event(USBIP_LOST, USBIP_NO_BOARD);
    assert_int_equal(event.bytes, 400 - 256);
    for (int i = 0; i < 128; i++) {
        expect_event(USBIP_ATTACHED, 0);
        expect_event(USBIP_DETACHED, 0);
    }
    no_event();
}

static void closed_in_the_middle(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        plug_in("1-1");
        struct packet packet = submit_of(0xA1, GETSTATUS, 0, 0, 6);
        struct packet dnload_of = submit_of(0x21, DNLOAD, 0, 0, 500);
        if (way > 0)
            put_packet(&packet, NULL);
        if (way == 2) {
            uint8_t head[HEAD];
            pack(&dnload_of, head);
            put(head, HEAD); /* its data never come */
        }
        if (way > 0)
            loop_turn(rig.loop, false);
        usbip_free(rig.server);
        serve();
    }
    check_free("1-1");
}

/* Conversations with some bytes changed, from a fixed seed: nothing but survival is asked. */
static void garbled(void **state)
{
    (void)state;
    uint8_t good[600], bytes[600];
    uint32_t random = 2463534242;
    size_t length = conversation(good);
    for (int run = 0; run < 3000; run++) {
        memcpy(bytes, good, length);
        for (int i = 0; i <= run % 4; i++) {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            size_t at = run % 2 ? random % length : OP + 32 + random % (length - OP - 32);
            bytes[at] = random & 0x10000 ? (uint8_t)(random >> 20) : (uint8_t)~bytes[at];
        }
        rejoin();
        for (size_t at = 0; at < length;) {
            ssize_t n = send(rig.fd, bytes + at, length - at, MSG_NOSIGNAL);
            if (n < 0)
                break;
            at += (size_t)n;
            loop_turn(rig.loop, false);
        }
        settle();
        while (recv(rig.fd, rig.data, sizeof rig.data, 0) > 0) {
        }
        hang_up();
        forget_events();
    }
    check_free("1-1");
    check_free("1-2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(a_second_import),
        SERVER_TEST(open_in_this_program),
        SERVER_TEST(bus_ids_that_there_are_not),
        SERVER_TEST(other_versions_and_operations),
        SERVER_TEST(lies_that_end_it),
        SERVER_TEST(lies_that_are_refused),
        SERVER_TEST(the_longest_requests),
        SERVER_TEST(byte_by_byte),
        SERVER_TEST(in_pieces_of_any_size),
        SERVER_TEST(hung_up_at_every_byte),
        SERVER_TEST(hung_up_at_every_byte_of_a_list),
        SERVER_TEST(says_nothing),
        SERVER_TEST(reads_nothing),
        SERVER_TEST(reads_late),
        SERVER_TEST(too_many_connections),
        SERVER_TEST(events_that_nobody_fetches),
        SERVER_TEST(closed_in_the_middle),
        SERVER_TEST(garbled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
