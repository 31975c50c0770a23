/* SPDX-License-Identifier: MIT */
/* The USB/IP server: what a kernel does with its boards, and how they come and go. */
#include "usbip/usbiprig.h"
#include "sim/simproduct.h"

/* ---- what a kernel does ---- */

static void a_device_list(void **state)
{
    (void)state;
    uint8_t reply[12 + BOARDS * (DEVICE + 4) + 1] = { 0 };
    rejoin();
    put_op(0x0111, 0x8005);
    assert_int_equal(get_upto(reply, sizeof reply), sizeof reply - 1);
    static const uint8_t head[12] = { 1, 0x11, 0, 5, 0, 0, 0, 0, 0, 0, 0, BOARDS };
    assert_memory_equal(reply, head, sizeof head);
    const uint8_t *second = reply + 12 + DEVICE + 4;
    assert_string_equal((const char *)second, "/moonflash/sim:g474");
    assert_string_equal((const char *)second + 256, "1-2");
    static const uint8_t rest[28] = { 0,    0,    0,    1,    0, 0, 0, 2, 0, 0, 0,    2, 0x04, 0x83,
                                      0xDF, 0x11, 0x02, 0x00, 0, 0, 0, 1, 1, 1, 0xFE, 1, 2,    0 };
    assert_memory_equal(second + 288, rest, sizeof rest);
}

static void a_board_in_use_is_not_listed(void **state)
{
    (void)state;
    uint8_t reply[1000];
    plug_in("1-2");
    int first = rig.fd;
    rig.fd = join();
    put_op(0x0111, 0x8005);
    assert_int_equal(get_upto(reply, sizeof reply), 12 + 2 * (DEVICE + 4));
    assert_int_equal(reply[11], 2);
    assert_string_equal((const char *)reply + 12 + DEVICE + 4 + 256, "1-3");
    close(first);
}

static void an_import_and_enumeration(void **state)
{
    (void)state;
    plug_in("1-1");
    assert_string_equal((const char *)rig.data + 256, "1-1");
    assert_int_equal(rig.device, 0x10001);
    expect_event(USBIP_READY, USBIP_NO_BOARD);
    expect_event(USBIP_ATTACHED, 0);

    assert_int_equal(control(0x80, 6, 0x0100, 0, NULL, 64).length, 18);
    assert_int_equal(rig.data[8], 0x83);
    assert_int_equal(control(0x80, 6, 0x0200, 0, NULL, 9).length, 9);
    assert_int_equal(control(0x80, 6, 0x0200, 0, NULL, 54).length, 54);
    assert_int_equal(control(0x80, 6, 0x0303, 0x0409, NULL, 255).length, 26);
    assert_int_equal(rig.data[2], '3');
    assert_int_equal(control(0x80, 6, 0x0600, 0, NULL, 10).status, EPIPE_LINUX);
    assert_int_equal(control(0x00, 9, 1, 0, NULL, 0).status, 0);
    assert_int_equal(control(0x01, 11, 2, 0, NULL, 0).status, 0);
    assert_int_equal(control(0x81, 10, 0, 0, NULL, 1).length, 1);
    assert_int_equal(rig.data[0], 2);
    assert_int_equal(control(0x01, 11, 9, 0, NULL, 0).status, EPIPE_LINUX);

    hang_up();
    assert_string_equal(expect_event(USBIP_DETACHED, 0).why, "unplugged");
    no_event();
    assert_int_equal(sim_life(sim(0), now()), SIM_AWAY);
}

/* The number of packets comes back as it was sent: Linux says 0 where the book says -1. */
static void packets_come_back(void **state)
{
    (void)state;
    uint8_t head[HEAD];
    plug_in("1-1");
    for (uint32_t packets = 0; packets + 1 < 2; packets--) {
        struct packet packet = submit_of(0x80, 6, 0x0100, 0, 18);
        packet.packets = packets;
        put_packet(&packet, NULL);
        get(head, HEAD);
        assert_int_equal(get32(head + 32), packets);
        get(rig.data, 18);
        if (packets == UINT32_MAX)
            break;
    }
}

static void fill(uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) + 1);
    static const uint8_t vectors[8] = { 0x00, 0x10, 0x00, 0x20, 0x01, 0x01, 0x00, 0x08 };
    memcpy(bytes, vectors, sizeof vectors);
}

static void a_whole_flash(void **state)
{
    (void)state;
    static uint8_t image[9000], back[9000];
    char file[] = "/tmp/moonflash-usbip-XXXXXX";
    close(mkstemp(file));
    struct sim_options quick = {
        .kind = "f407", .usb = SIM_USB_NONE, .times = SIM_TIMES_ZERO, .state = -1
    };
    usbip_free(rig.server);
    simport_remove(rig.boards[0]);
    rig.boards[0] = add(paths[0], quick, file);
    serve();
    fill(image, sizeof image);
    plug_in("1-1");
    forget_events();
    to_idle();
    command(0x41, FLASH);
    command(0x21, FLASH);
    for (size_t at = 0; at < sizeof image; at += 2048)
        execute(2 + (unsigned)(at / 2048), image + at,
                sizeof image - at < 2048 ? sizeof image - at : 2048);
    pass(0.1);
    no_event();
    pass(2); /* quiet enough */
    struct usbip_event event = expect_event(USBIP_FLASHED, 0);
    assert_int_equal(event.bytes, sizeof image);
    assert_int_equal(event.first, FLASH);
    assert_int_equal(event.last, FLASH + sizeof image - 1);

    assert_int_equal(control(0x21, ABORT, 0, 0, NULL, 0).status, 0);
    assert_int_equal(control(0xA1, UPLOAD, 2, 0, NULL, 2048).length, 2048);
    assert_memory_equal(rig.data, image, 2048);
    assert_int_equal(control(0x21, ABORT, 0, 0, NULL, 0).status, 0);
    leave(FLASH);
    expect_end();
    event = expect_event(USBIP_LEFT, 0);
    assert_true(event.works);
    assert_int_equal(event.address, FLASH);
    assert_int_equal(event.sp, 0x20001000);
    assert_int_equal(event.pc, 0x08000101);
    expect_event(USBIP_DETACHED, 0);
    no_event();
    assert_int_equal(sim_life(sim(0), now()), SIM_RUNNING);

    int fd = open(file, O_RDONLY);
    assert_int_equal(read(fd, back, sizeof back), sizeof back);
    assert_memory_equal(back, image, sizeof image);
    close(fd);
    unlink(file);
}

/* What has left comes back when it is plugged in, as after power-up. */
static void left_and_plugged_in_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        plug_in("1-1");
        to_idle();
        leave(FLASH);
        expect_end();
        assert_int_equal(sim_life(sim(0), now()), SIM_RUNNING);
    }
    plug_in("1-1");
    assert_int_equal(status(), DFU_ERROR);
}

/* A product's application comes up where the board was, and is what is attached then. */
static void an_application(void **state)
{
    (void)state;
    const struct sim_product said = {
        .base = "f407",
        .vid = SIM_AS_BASE,
        .pid = SIM_AS_BASE,
        .version = SIM_AS_BASE,
        .application = { .there = true, .dfu = true, .vid = 0x1209, .pid = 2, .seconds = 0.5 },
    };
    struct simproduct *product = simproduct_new(&said);
    uint8_t program[16];
    fill(program, sizeof program);
    replace_board((struct sim_options){
        .product = product, .usb = SIM_USB_NONE, .times = SIM_TIMES_ZERO, .state = DFU_IDLE });
    simproduct_drop(product);
    assert_true(sim_poke(sim(0), now(), FLASH, program, sizeof program));
    plug_in("1-1");
    forget_events();
    leave(FLASH);
    expect_end();
    assert_true(expect_event(USBIP_LEFT, 0).works);
    expect_event(USBIP_DETACHED, 0);
    rejoin();
    assert_int_equal(import("1-1"), 1); /* not yet: it must not be pulled out */
    expect_event(USBIP_REFUSED, 0);
    pass(1);
    assert_false(expect_event(USBIP_RESET, 0).dfu);
    plug_in("1-1");
    assert_int_equal(control(0x80, 6, 0x0100, 0, NULL, 64).length, 18);
    assert_int_equal(rig.data[10], 2);
    hang_up();
    plug_in("1-1"); /* its plug was pulled, and BOOT0 is high */
    status();
    assert_int_equal(sim_life(sim(0), now()), SIM_DFU);
}

static void a_program_that_cannot_start(void **state)
{
    (void)state;
    plug_in("1-1");
    to_idle();
    forget_events();
    leave(FLASH + 0x4000); /* erased */
    expect_end();
    assert_false(expect_event(USBIP_LEFT, 0).works);
}

/* From an address that is no memory it resets, and is back by itself. */
static void a_leave_that_resets(void **state)
{
    (void)state;
    plug_in("1-1");
    to_idle();
    forget_events();
    command(0x21, 0x1FFFC000);
    dnload(0, NULL, 0);
    assert_int_equal(status(), DFU_MANIFEST);
    expect_end();
    expect_event(USBIP_GONE, 0);
    expect_event(USBIP_DETACHED, 0);
    pass(0.2);
    assert_true(expect_event(USBIP_RESET, 0).dfu);
    plug_in("1-1");
    assert_int_equal(status(), DFU_ERROR);
}

/* ---- time ---- */

static void answers_take_their_time(void **state)
{
    (void)state;
    replace_board((struct sim_options){ .kind = "f407", .state = -1 });
    plug_in("1-1");
    to_idle();
    uint8_t erase[5] = { 0x41, 0, 0, 0, 8 };
    dnload(0, erase, sizeof erase);
    assert_int_equal(status(), DFU_DNBUSY);
    double before = now();
    assert_int_equal(status(), DFU_DNLOAD_IDLE); /* it NAKs for the 400 ms of a small sector */
    assert_true(now() - before > 0.35);
}

static void two_boards_do_not_wait_for_each_other(void **state)
{
    (void)state;
    replace_board((struct sim_options){ .kind = "f407", .times = SIM_TIMES_MAX, .state = -1 });
    plug_in("1-1");
    to_idle();
    uint8_t erase[5] = { 0x41, 0, 0, 0, 8 };
    dnload(0, erase, sizeof erase);
    assert_int_equal(status(), DFU_DNBUSY);
    struct packet held = submit_of(0xA1, GETSTATUS, 0, 0, 6);
    put_packet(&held, NULL);
    settle();
    int first = rig.fd;
    uint32_t seqnum = rig.seqnum, device = rig.device;
    rig.fd = -1;
    plug_in("1-2");
    for (int i = 0; i < 5; i++)
        status();
    int second = rig.fd;
    rig.fd = first;
    expect_silence();
    rig.device = device;
    assert_int_equal(get_reply(3, seqnum, true).status, 0);
    close(second);
}

/* ---- unlinking ---- */

static void put_unlink(uint32_t victim)
{
    struct packet packet = {
        .command = 2, .seqnum = ++rig.seqnum, .device = rig.device, .victim = victim
    };
    put_packet(&packet, NULL);
}

static void hang_from(uint64_t request)
{
    struct sim_when when = { .request = request };
    assert_true(sim_add_fault(sim(0), SIM_FAULT_HANG, &when));
}

static void a_held_request_is_unlinked(void **state)
{
    (void)state;
    plug_in("1-1");
    to_idle();
    hang_from(sim_requests(sim(0)) + 1);
    for (int i = 0; i < 3; i++) {
        struct packet held = submit_of(0xA1, GETSTATUS, 0, 0, 6);
        put_packet(&held, NULL);
        pass(3);
        expect_silence();
        put_unlink(held.seqnum);
        assert_int_equal(get_reply(4, rig.seqnum, false).status, UNLINKED);
        pass(1);
        expect_silence();
    }
    hang_up();
    plug_in("1-1"); /* power cures it */
    assert_int_equal(status(), DFU_ERROR);
}

/* Longer than any board takes: it is still held, and still can be unlinked. */
static void a_request_held_for_long(void **state)
{
    (void)state;
    plug_in("1-1");
    hang_from(1);
    struct packet held = submit_of(0xA1, GETSTATUS, 0, 0, 6);
    put_packet(&held, NULL);
    pass(1);
    pass(200);
    expect_silence();
    put_unlink(held.seqnum);
    assert_int_equal(get_reply(4, rig.seqnum, false).status, UNLINKED);
    put_unlink(held.seqnum);
    assert_int_equal(get_reply(4, rig.seqnum, false).status, 0);
}

static void what_waits_is_unlinked(void **state)
{
    (void)state;
    plug_in("1-1");
    replace_board((struct sim_options){ .kind = "f407", .times = SIM_TIMES_MAX, .state = -1 });
    plug_in("1-1");
    to_idle();
    uint8_t erase[5] = { 0x41, 0, 0, 0, 8 };
    dnload(0, erase, sizeof erase);
    assert_int_equal(status(), DFU_DNBUSY);
    struct packet packets[3];
    for (size_t i = 0; i < 3; i++) {
        packets[i] = submit_of(0xA1, i == 2 ? GETSTATUS : GETSTATE, 0, 0, i == 2 ? 6 : 1);
        put_packet(&packets[i], NULL);
    }
    put_unlink(packets[1].seqnum); /* it waits */
    assert_int_equal(get_reply(4, rig.seqnum, false).status, UNLINKED);
    put_unlink(packets[0].seqnum); /* it is on the wire */
    assert_int_equal(get_reply(4, rig.seqnum, false).status, UNLINKED);
    assert_int_equal(get_reply(3, packets[2].seqnum, true).status, 0);
    put_unlink(packets[2].seqnum); /* it was answered */
    assert_int_equal(get_reply(4, rig.seqnum, false).status, 0);
    put_unlink(12345); /* it never was */
    assert_int_equal(get_reply(4, rig.seqnum, false).status, 0);
    assert_int_equal(control(0x21, ABORT, 0, 0, NULL, 0).status, 0);
    assert_int_equal(status(), DFU_IDLE);
}

static void more_than_may_wait(void **state)
{
    (void)state;
    plug_in("1-1");
    hang_from(1);
    uint32_t first = rig.seqnum + 1;
    for (int i = 0; i < 20; i++) {
        struct packet packet = submit_of(0xA1, GETSTATE, 0, 0, 1);
        put_packet(&packet, NULL);
    }
    for (uint32_t i = 16; i < 20; i++)
        assert_int_equal(get_reply(3, first + i, true).status, ENOMEM_LINUX);
    expect_silence();
    for (uint32_t i = 0; i < 16; i++) {
        put_unlink(first + 15 - i);
        assert_int_equal(get_reply(4, rig.seqnum, false).status, UNLINKED);
    }
}

/* ---- boards that come and go ---- */

static void pull(size_t board)
{
    sim_unplug(sim(board), now());
    simboard_changed(rig.boards[board]);
}

static void unplugged_from_outside(void **state)
{
    (void)state;
    plug_in("1-1");
    to_idle();
    forget_events();
    pull(0);
    expect_end();
    expect_event(USBIP_GONE, 0);
    assert_string_equal(expect_event(USBIP_DETACHED, 0).why, "the board left the bus");
    check_free("1-1");
}

static void unplugged_while_a_request_is_held(void **state)
{
    (void)state;
    plug_in("1-1");
    hang_from(1);
    struct packet held = submit_of(0xA1, GETSTATUS, 0, 0, 6);
    put_packet(&held, NULL);
    settle();
    pull(0);
    expect_end();
    check_free("1-1");
}

static void unplugged_by_a_fault(void **state)
{
    (void)state;
    struct sim_when when = { .request = 3 };
    assert_true(sim_add_fault(sim(0), SIM_FAULT_UNPLUG, &when));
    plug_in("1-1");
    status();
    status();
    struct packet packet = submit_of(0xA1, GETSTATUS, 0, 0, 6);
    put_packet(&packet, NULL);
    expect_end();
    check_free("1-1");
}

static void reset_from_outside(void **state)
{
    (void)state;
    plug_in("1-1");
    to_idle();
    forget_events();
    sim_reset(sim(0), now());
    simboard_changed(rig.boards[0]);
    expect_end();
    expect_event(USBIP_RESET, 0);
    expect_event(USBIP_DETACHED, 0);
    assert_int_equal(sim_life(sim(0), now()), SIM_DFU);
    check_free("1-1");
}

static void no_longer_needed(void **state)
{
    (void)state;
    plug_in("1-1");
    to_idle();
    simport_remove(rig.boards[0]);
    expect_end();
    rejoin();
    assert_int_equal(import("1-1"), 4);
    rejoin();
    assert_int_equal(import("1-2"), 0);
}

/* The chip erases itself, which takes seconds, and comes back unprotected. */
static void unprotected(void **state)
{
    (void)state;
    replace_board(
        (struct sim_options){ .kind = "f407", .usb = SIM_USB_NONE, .rdp = 1, .state = -1 });
    plug_in("1-1");
    to_idle();
    forget_events();
    uint8_t unprotect = 0x92;
    dnload(0, &unprotect, 1);
    assert_int_equal(status(), DFU_DNBUSY);
    expect_end();
    expect_event(USBIP_GONE, 0);
    expect_event(USBIP_DETACHED, 0);
    rejoin();
    assert_int_equal(import("1-1"), 1);
    expect_event(USBIP_REFUSED, 0);
    pass(40);
    assert_int_equal(expect_event(USBIP_ERASED, 0).bytes, 1024 * 1024);
    expect_event(USBIP_RESET, 0);
    plug_in("1-1");
    to_idle();
    command(0x21, FLASH); /* which protection would have refused */
}

static void protected_for_ever(void **state)
{
    (void)state;
    replace_board((struct sim_options){ .kind = "f407", .rdp = 2, .state = -1 });
    rejoin();
    assert_int_equal(import("1-1"), 1);
    expect_end();
}

/* What was under way when the plug was pulled stays half done. */
static void hung_up_in_the_middle_of_an_erase(void **state)
{
    (void)state;
    replace_board((struct sim_options){
        .kind = "f407", .usb = SIM_USB_NONE, .times = SIM_TIMES_MAX, .state = -1 });
    uint8_t zeros[0x4000] = { 0 };
    assert_true(sim_poke(sim(0), now(), FLASH, zeros, sizeof zeros));
    plug_in("1-1");
    to_idle();
    uint8_t erase[5] = { 0x41, 0, 0, 0, 8 };
    dnload(0, erase, sizeof erase);
    assert_int_equal(status(), DFU_DNBUSY);
    loop_skip(rig.loop, 0.2);
    hang_up();
    assert_int_equal(sim_life(sim(0), now()), SIM_AWAY);
    assert_true(sim_peek(sim(0), now(), FLASH, rig.data, 0x4000));
    assert_int_equal(rig.data[0], 0xFF);
    assert_int_equal(rig.data[0x3FFF], 0);
}

/* The request resets the board, which leaves.  A kernel that waits for an answer would do so for
 * long, so all that it asks is answered, and then the connection ends while it asks for nothing. */
static void expect_leave_at(unsigned type, unsigned request, unsigned value, size_t length)
{
    double start = now();
    for (int i = 0; i < 3; i++)
        assert_int_equal(control(type, request, value, 0, NULL, length).status, EPROTO_LINUX);
    assert_int_equal(control(0xA1, GETSTATUS, 0, 0, NULL, 6).status, EPROTO_LINUX);
    loop_skip(rig.loop, 0.05);
    expect_silence();
    expect_end();
    assert_true(now() - start > 0.09);
}

/* Run-time mode to DFU mode and back: a kernel's reset of the port shows only in what it asks for
 * next. */
static void plain_dfu(void **state)
{
    (void)state;
    static uint8_t image[2048];
    fill(image, sizeof image);
    plug_in("1-3");
    forget_events();
    assert_int_equal(control(0x80, 6, 0x0100, 0, NULL, 64).length, 18);
    assert_int_equal(rig.data[10], 1);
    assert_int_equal(control(0x00, 9, 1, 0, NULL, 0).status, 0);
    assert_int_equal(control(0x21, 0, 1000, 0, NULL, 0).status, 0);
    expect_end(); /* by itself, after a while */
    expect_event(USBIP_GONE, 2);
    expect_event(USBIP_DETACHED, 2);
    pass(0.5);
    assert_true(expect_event(USBIP_RESET, 2).dfu);

    plug_in("1-3");
    assert_int_equal(control(0x80, 6, 0x0100, 0, NULL, 64).length, 18);
    assert_int_equal(rig.data[10], 2);
    assert_int_equal(control(0x00, 9, 1, 0, NULL, 0).status, 0);
    execute(0, image, 1024);
    execute(1, image + 1024, 1024);
    dnload(2, NULL, 0);
    while (status() != DFU_MANIFEST_WAIT_RESET)
        pass(0.01);
    forget_events();
    expect_leave_at(0x80, 6, 0x0100, 64);
    assert_int_equal(expect_event(USBIP_FLASHED, 2).bytes, sizeof image);
    expect_event(USBIP_LEFT, 2);
    expect_event(USBIP_DETACHED, 2);
    assert_int_equal(sim_life(sim(2), now()), SIM_RUNTIME);
    plug_in("1-3");
    assert_int_equal(control(0x21, 0, 1000, 0, NULL, 0).status, 0);
    expect_leave_at(0x23, 3, 4, 0);
    assert_int_equal(sim_life(sim(2), now()), SIM_DFU);
    plug_in("1-3");
    status();
}

static void a_reset_of_the_port(void **state)
{
    (void)state;
    plug_in("1-1");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(control(0x80, 6, 0x0100, 0, NULL, 64).length, 18);
        assert_int_equal(control(0x00, 9, 1, 0, NULL, 0).status, 0);
        assert_int_equal(status(), DFU_ERROR); /* as after power-up */
        to_idle();
        assert_int_equal(control(0x80, 6, 0x0100, 0, NULL, 18).length, 18);
        assert_int_equal(status(), DFU_IDLE);
    }
    assert_int_equal(control(0x23, 3, 4, 1, NULL, 0).status, 0);
    assert_int_equal(status(), DFU_ERROR);
}

/* A state that was asked for is still there after the first enumeration. */
static void enumeration_changes_nothing(void **state)
{
    (void)state;
    replace_board((struct sim_options){ .kind = "f407", .state = DFU_UPLOAD_IDLE });
    plug_in("1-1");
    for (int i = 0; i < 3; i++)
        assert_int_equal(control(0x80, 6, 0x0100, 0, NULL, 64).length, 18);
    assert_int_equal(control(0x00, 9, 1, 0, NULL, 0).status, 0);
    assert_int_equal(status(), DFU_UPLOAD_IDLE);
}

/* ---- addresses ---- */

static enum usbip_failure fails_at(const char *address, uint16_t port)
{
    struct usbip_options options = rig.options;
    options.address = address;
    options.port = port;
    enum usbip_failure failure;
    char why[200] = "";
    struct usbip *server = usbip_new(rig.loop, rig.port, &options, &failure, why, sizeof why);
    if (server)
        usbip_free(server);
    else
        assert_true(why[0] != '\0');
    return failure;
}

static void over_tcp(void **state)
{
    (void)state;
    usbip_free(rig.server);
    rig.options.address = "127.0.0.1";
    serve();
    uint16_t port = usbip_port(rig.server);
    assert_true(port > 0);
    assert_int_equal(fails_at("127.0.0.1", port), USBIP_IN_USE);
    rig.fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(connect(rig.fd, (struct sockaddr *)&to, sizeof to), 0);
    fcntl(rig.fd, F_SETFL, O_NONBLOCK);
    assert_int_equal(import("1-1"), 0);
    to_idle();
    leave(FLASH);
    struct packet packet = submit_of(0xA1, GETSTATUS, 0, 0, 6);
    put_packet(&packet, NULL); /* too late: but no reset eats what was sent before */
    expect_end();
}

static void addresses(void **state)
{
    (void)state;
    assert_int_equal(fails_at("127.0.0.1", 0), USBIP_FINE);
    assert_int_equal(fails_at("127.1.2.3", 0), USBIP_FINE);
    static const char *const open[] = {
        "0.0.0.0",         "::",        "192.0.2.1",       "10.0.0.1",
        "::ffff:10.0.0.1", "128.0.0.1", "126.255.255.255", "fe80::1"
    };
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        assert_int_equal(fails_at(open[i], 0), USBIP_NOT_LOOPBACK);
    static const char *const bad[] = { "",          "localhost",  "example.org", "127.0.0.1:1",
                                       "300.0.0.1", "127.0.0.1 ", "[::1]" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(fails_at(bad[i], 0), USBIP_BAD_ADDRESS);
    rig.options.anywhere = true;
    assert_int_equal(fails_at("0.0.0.0", 0), USBIP_FINE);
    assert_int_equal(fails_at("192.0.2.1", 0), USBIP_BAD_ADDRESS); /* not ours */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(a_device_list),
        SERVER_TEST(a_board_in_use_is_not_listed),
        SERVER_TEST(an_import_and_enumeration),
        SERVER_TEST(packets_come_back),
        SERVER_TEST(a_whole_flash),
        SERVER_TEST(left_and_plugged_in_again),
        SERVER_TEST(an_application),
        SERVER_TEST(a_program_that_cannot_start),
        SERVER_TEST(a_leave_that_resets),
        SERVER_TEST(answers_take_their_time),
        SERVER_TEST(two_boards_do_not_wait_for_each_other),
        SERVER_TEST(a_held_request_is_unlinked),
        SERVER_TEST(a_request_held_for_long),
        SERVER_TEST(what_waits_is_unlinked),
        SERVER_TEST(more_than_may_wait),
        SERVER_TEST(unplugged_from_outside),
        SERVER_TEST(unplugged_while_a_request_is_held),
        SERVER_TEST(unplugged_by_a_fault),
        SERVER_TEST(reset_from_outside),
        SERVER_TEST(no_longer_needed),
        SERVER_TEST(unprotected),
        SERVER_TEST(protected_for_ever),
        SERVER_TEST(hung_up_in_the_middle_of_an_erase),
        SERVER_TEST(plain_dfu),
        SERVER_TEST(a_reset_of_the_port),
        SERVER_TEST(enumeration_changes_nothing),
        SERVER_TEST(over_tcp),
        SERVER_TEST(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
