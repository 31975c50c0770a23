/* SPDX-License-Identifier: MIT */
/* Boards of board.c: opening, operations, cancelling, closing, unplugging. */
#include "dfu/boardrig.h"

#define CLOSING 1.000001 /* seconds that the release of a board may take */

/* ---- opening ---- */

static void test_attach(void **state)
{
    (void)state;
    add("f407");
    struct board *board = make("f407"), *other = make("f407"), *nowhere = make("sim:f407#2");
    assert_false(board_is_open(board));
    assert_int_equal(attach(nowhere, 1), PORT_GONE);
    assert_int_equal(attach(board, 2), PORT_GONE); /* another device is there now */
    assert_false(board_is_open(board));
    loop_skip(rig.loop, 3);
    assert_int_equal(attach(board, 1), 0);
    assert_true(board_is_open(board));
    assert_int_equal(board->generation, 1);
    assert_true(board->opened == 3);
    assert_int_equal(board->dfu.state, DFU_UNKNOWN);
    assert_int_equal(attach(other, 1), PORT_BUSY);
    assert_int_equal(board_attach(other, rig.port, 1, 0, -1), 0); /* its strings may be read */
    board_close(other);
    assert_false(board_is_open(other));
    board_close(board);
    assert_int_equal(attach(other, 1), 0);
}

static void test_settings_survive(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    board->dfu.timeout = 11;
    board->selected = 2;
    board->dfu.state = DFU_IDLE;
    board_close(board);
    assert_int_equal(attach(board, 1), 0);
    assert_true(board->dfu.timeout == 11); /* is the user's */
    assert_int_equal(board->selected, -1); /* is the device's */
    assert_int_equal(board->dfu.state, DFU_UNKNOWN);
}

static bool see_device(void *arg, const struct port_device *device)
{
    char *seen = arg;
    assert_int_equal(device->device_length, 18);
    assert_true(device->config_length > 18 && device->config[1] == 2);
    strcat(seen, device->path);
    strcat(seen, " ");
    return strlen(seen) < 12; /* enough */
}

static void test_list(void **state)
{
    char seen[100] = "";
    (void)state;
    add("f407");
    add("l452");
    struct simboard *removed = add("g474");
    rig.port->list(rig.port, NULL, see_device, seen);
    assert_string_equal(seen, "g474 l452 f407 ");
    seen[0] = '\0';
    rig.port->list(rig.port, "l452", see_device, seen);
    assert_string_equal(seen, "l452 ");
    struct board *board = open_board("g474");
    simport_remove(removed);
    assert_null(simport_find(rig.port, "g474"));
    unplug(simport_find(rig.port, "l452"));
    seen[0] = '\0';
    rig.port->list(rig.port, NULL, see_device, seen);
    assert_string_equal(seen, "f407 ");
    rig.port->list(rig.port, "l452", see_device, seen);
    assert_string_equal(seen, "f407 ");
    check_works(board, FLASH, 1024); /* until it is closed */
}

/* ---- operations ---- */

static void test_operations(void **state)
{
    static const char *const kinds[] = { "f407", "l452", "g474" };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct board *board = open_new(kinds[i]);
        double began = loop_now(rig.loop);
        check_works(board, FLASH + 0x4000, 2048);
        double took = loop_now(rig.loop) - began;
        assert_true(took > 0.05 && took < 0.5);
        struct outcome leave = run(board, simple(DFU_LEAVE));
        assert_true(leave.ok && leave.op.gone && !leave.op.assumed);
        assert_false(board_is_open(board));
        assert_true(board->left);
        assert_null(board->handle);
    }
}

/* The same operations take exactly the same time. */
static void test_time_repeats(void **state)
{
    double took[2];
    for (size_t i = 0; i < 2; i++) {
        struct board *board = open_new("l452");
        check_works(board, FLASH, 2048);
        took[i] = loop_now(rig.loop);
        close_rig(state);
        open_rig(state);
    }
    assert_memory_equal(&took[0], &took[1], sizeof(double));
}

static void test_select(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    struct dfu_op op = read_of(0x1FFF7800, 16);
    op.alt = 2;
    assert_true(run(board, op).ok);
    assert_int_equal(simboard_sim(simport_find(rig.port, "f407"))->mem.alt, 2);
    assert_int_equal(board->dfu.alt, 2);
    op.alt = 9; /* it has none */
    struct outcome outcome = run(board, op);
    assert_false(outcome.ok);
    assert_int_equal(outcome.op.failure, DFU_FAIL_STALL);
    assert_true(board_is_open(board));
    check_works(board, FLASH, 100);
}

static struct outcome run_raw(struct board *board, struct usb_setup setup)
{
    struct outcome outcome = { .board = board };
    board_start_raw(board, &setup, on_ended, &outcome);
    assert_int_equal(outcome.ended, 0);
    finish(&outcome);
    return outcome;
}

static void test_control(void **state)
{
    const struct usb_setup device = { 0x80, 6, 0x0100, 0, 18 };
    const struct usb_setup getstate = { 0xA1, 5, 0, 0, 1 };
    (void)state;
    struct board *board = open_new("f407");
    assert_true(run_raw(board, device).ok);
    assert_int_equal(board->raw_result, 18);
    assert_int_equal(board->dfu.buffer[8] | board->dfu.buffer[9] << 8, 0x0483);
    board->dfu.state = DFU_IDLE;
    assert_true(run_raw(board, device).ok);
    assert_int_equal(board->dfu.state, DFU_IDLE);
    assert_true(run_raw(board, getstate).ok);
    assert_int_equal(board->dfu.buffer[0], DFU_ERROR);
    assert_int_equal(board->dfu.state, DFU_UNKNOWN); /* its effect is unknown */
    assert_false(run_raw(board, (struct usb_setup){ 0x80, 6, 0x0900, 0, 18 }).ok);
    assert_int_equal(board->raw_result, PORT_STALL);
    assert_true(board_is_open(board));
    unplug(simport_find(rig.port, "f407"));
    assert_false(run_raw(board, getstate).ok);
    assert_int_equal(board->raw_result, PORT_GONE);
    assert_false(board_is_open(board));
}

static void test_plain_board_is_reset(void **state)
{
    (void)state;
    struct sim_options options = options_of("dfu11");
    options.state = DFU_IDLE;
    struct simboard *simboard = add_with("plain", &options, NULL, NULL);
    struct board *board = open_board("plain");
    struct outcome outcome = run(board, write_of(0, 3000));
    assert_true(outcome.ok && outcome.op.gone && outcome.op.wants_reset);
    assert_false(board_is_open(board));
    assert_int_equal(sim_life(simboard_sim(simboard), loop_now(rig.loop)), SIM_RUNTIME);
    assert_int_equal(attach(board, board->generation), PORT_GONE);
    assert_int_equal(attach(board, sim_generation(simboard_sim(simboard))), 0);
    outcome = run(board, read_of(0, 10));
    assert_int_equal(outcome.op.failure, DFU_FAIL_RUNTIME);
}

static void test_reset(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    assert_true(run(board, simple(DFU_TO_IDLE)).ok);
    board_reset(board);
    assert_false(board_is_open(board));
    assert_false(board->left); /* a ROM stays on the bus, */
    assert_int_equal(attach(board, board->generation), 0);
    assert_true(run(board, simple(DFU_GET_STATE)).ok);
    assert_int_equal(board->op.state, DFU_ERROR);
    check_works(board, FLASH, 100);
    struct sim_options options = options_of("dfu11");
    options.state = DFU_IDLE;
    add_with("plain", &options, NULL, NULL);
    board = open_board("plain"); /* and plain DFU goes back to its program */
    board_reset(board);
    assert_false(board_is_open(board));
    assert_true(board->left);
}

static void test_a_board_that_hangs(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    struct sim_when next = { .request = 1 };
    struct dfu_op op = erase_of(FLASH);
    assert_true(sim_add_fault(simboard_sim(simport_find(rig.port, "f407")), SIM_FAULT_HANG, &next));
    struct outcome outcome = run(board, op);
    assert_int_equal(outcome.op.failure, DFU_FAIL_TIMEOUT);
    assert_true(loop_now(rig.loop) == 5);
    board->dfu.state = DFU_IDLE;
    op.alt = 1; /* SET_INTERFACE is not answered either, and it is not gone */
    outcome = run(board, op);
    assert_int_equal(outcome.op.failure, DFU_FAIL_TIMEOUT);
    assert_true(board_is_open(board));
    board_close(board);
    assert_true(release(board) <= CLOSING);
}

/* ---- giving up ---- */

static void test_give_up_nothing(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    board_give_up(board);
    check_works(board, FLASH, 100);
    board_give_up(board);
    assert_true(board_is_open(board));
}

/* Cancels the write of a few blocks after so many seconds. */
static void check_give_up(const char *kind, double after)
{
    struct board *board = open_new(kind);
    struct outcome outcome;
    assert_true(run(board, erase_of(FLASH)).ok);
    start_to(&outcome, board, write_of(FLASH, 2000));
    let_pass(after);
    double began = loop_now(rig.loop);
    if (outcome.ended == 0) {
        board_give_up(board);
        finish(&outcome);
        assert_false(outcome.ok);
        assert_int_equal(outcome.op.failure, DFU_FAIL_CANCELLED);
        assert_true(loop_now(rig.loop) == began); /* at once, with virtual time */
    }
    let_pass(0.2);
    assert_int_equal(outcome.ended, 1);
    assert_true(board_is_open(board));
    check_works(board, FLASH, 1500);
}

static void test_give_up(void **state)
{
    static const char *const kinds[] = { "f407", "l452", "g474" };
    for (size_t i = 0; i < 3; i++) {
        for (int ms = 0; ms < 60; ms += 2) {
            check_give_up(kinds[i], ms / 1000.0 + 0.0001);
            close_rig(state);
            open_rig(state);
        }
    }
}

static void test_give_up_control(void **state)
{
    const struct usb_setup getstate = { 0xA1, 5, 0, 0, 1 };
    struct outcome outcome = { 0 };
    (void)state;
    struct board *board = open_new("f407");
    outcome.board = board;
    board_start_raw(board, &getstate, on_ended, &outcome);
    board_give_up(board);
    finish(&outcome);
    assert_false(outcome.ok);
    assert_int_equal(board->raw_result, PORT_CANCELLED);
    check_works(board, FLASH, 100);
}

/* ---- closing ---- */

static void test_close_untouched(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    struct sim *sim = simboard_sim(simport_find(rig.port, "f407"));
    assert_true(run(board, simple(DFU_GET_STATE)).ok);
    board_close(board);
    assert_null(board->handle);
    assert_int_equal(sim_requests(sim), 1);
    assert_int_equal(sim->state, DFU_ERROR); /* opening changes nothing */
    board_close(board);
    assert_int_equal(attach(board, 1), 0);
    assert_true(run(board, simple(DFU_TO_IDLE)).ok);
    uint64_t requests = sim_requests(sim);
    board_close(board);
    assert_null(board->handle); /* already in dfuIDLE */
    assert_int_equal(sim_requests(sim), requests);
}

static void test_close_after_use(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    struct sim *sim = simboard_sim(simport_find(rig.port, "f407"));
    assert_true(run(board, read_of(FLASH, 100)).ok);
    assert_int_equal(sim->state, DFU_UPLOAD_IDLE);
    board_close(board);
    assert_false(board_is_open(board));
    board_close(board); /* again, while it is under way */
    assert_true(release(board) < 0.01);
    assert_int_equal(sim->state, DFU_IDLE);
    assert_int_equal(attach(board, 1), 0);
    struct dfu_op read = read_of(0x1FFF7800, 16);
    read.alt = 2;
    assert_true(run(board, read).ok);
    board_close(board);
    release(board);
    assert_int_equal(sim->state, DFU_IDLE);
    assert_int_equal(sim->mem.alt, 2); /* no other memory was selected */
    assert_int_equal(attach(board, 1), 0);
    struct outcome outcome = run(board, erase_of(0));
    assert_int_equal(outcome.op.status, DFU_ERR_TARGET);
    assert_int_equal(sim->state, DFU_ERROR);
    board_close(board);
    assert_true(release(board) < 0.01);
    assert_int_equal(sim->state, DFU_IDLE);
}

/* Closes a board at that moment of a write: it is released in dfuIDLE, and in time. */
static void check_close(const char *kind, double after)
{
    struct board *board = open_new(kind);
    struct simboard *simboard = simport_find(rig.port, kind);
    struct outcome outcome;
    assert_true(run(board, erase_of(FLASH)).ok);
    start_to(&outcome, board, write_of(FLASH, 2000));
    let_pass(after);
    board_close(board);
    assert_false(board_is_open(board));
    double took = release(board);
    assert_int_equal(outcome.ended, 1);
    if (took > CLOSING || simboard_sim(simboard)->state != DFU_IDLE)
        fail_msg("%s, closed after %.4f s: %.3f s, state %u", kind, after, took,
                 simboard_sim(simboard)->state);
    assert_int_equal(attach(board, 1), 0);
    check_works(board, FLASH, 1500);
}

static void test_close_in_mid_write(void **state)
{
    static const char *const kinds[] = { "f407", "l452", "g474" };
    for (size_t i = 0; i < 3; i++) {
        for (int ms = 0; ms < 60; ms += 2) {
            check_close(kinds[i], ms / 1000.0 + 0.0001);
            close_rig(state);
            open_rig(state);
        }
    }
}

/* A board that delays every answer for two seconds is released after one, in any state. */
static void test_close_in_mid_erase(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    struct outcome outcome;
    sim_poke(simboard_sim(simport_find(rig.port, "f407")), 0, FLASH + 0x20000, rig.data, 16);
    start_to(&outcome, board, erase_of(FLASH + 0x20000));
    let_pass(0.3);
    board_close(board);
    double took = release(board);
    assert_int_equal(outcome.ended, 1);
    assert_int_equal(outcome.op.failure, DFU_FAIL_CANCELLED);
    assert_true(outcome.op.in_doubt);
    if (took < 0.9 || took > CLOSING)
        fail_msg("it takes %.3f s", took);
    assert_int_equal(attach(board, 1), 0); /* opened again in that state */
    check_works(board, FLASH + 0x4000, 1500);
    assert_int_equal(sim_byte(simport_find(rig.port, "f407"), FLASH + 0x20000), 0xFF);
}

static void test_orphans(void **state)
{
    struct outcome outcome;
    (void)state;
    board_orphan(make("nowhere")); /* freed at once */
    assert_null(rig.list);
    struct board *board = open_new("f407");
    struct sim *sim = simboard_sim(simport_find(rig.port, "f407"));
    start_to(&outcome, board, erase_of(FLASH));
    let_pass(0.05);
    board_orphan(board); /* in the middle of an operation */
    boards_release(&rig.list, rig.loop);
    assert_null(rig.list);
    assert_int_equal(outcome.ended, 1);
    assert_int_equal(sim->state, DFU_IDLE);
    board = open_board("f407"); /* on its way to dfuIDLE */
    assert_true(run(board, read_of(FLASH, 10)).ok);
    board_close(board);
    assert_non_null(board->handle);
    board_orphan(board);
    boards_release(&rig.list, rig.loop);
    assert_null(rig.list);
    board = open_board("f407"); /* in the middle of a wait */
    board->dfu.early_poll = false;
    start_to(&outcome, board, erase_of(FLASH));
    while (!board->timer.set)
        turn();
    board_orphan(board);
    boards_release(&rig.list, rig.loop);
    assert_null(rig.list);
    assert_int_equal(outcome.ended, 1);
}

/* ---- going away ---- */

static void test_unplugged_while_idle(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    assert_true(run(board, simple(DFU_TO_IDLE)).ok);
    unplug(simport_find(rig.port, "f407"));
    assert_true(board_is_open(board)); /* not noticed yet */
    struct outcome outcome = run(board, erase_of(FLASH));
    assert_int_equal(outcome.op.failure, DFU_FAIL_GONE);
    assert_false(board_is_open(board));
    assert_true(board->left);
}

/* Unplugs it at that moment of an erase. */
static void check_unplug(double after)
{
    struct board *board = open_new("f407");
    struct simboard *simboard = simport_find(rig.port, "f407");
    struct outcome outcome;
    start_to(&outcome, board, erase_of(FLASH));
    let_pass(after);
    unplug(simboard);
    double began = loop_now(rig.loop);
    finish(&outcome);
    assert_false(outcome.ok);
    assert_int_equal(outcome.op.failure, DFU_FAIL_GONE);
    assert_true(outcome.op.gone);
    assert_true(loop_now(rig.loop) - began <= 0.101); /* a pause is not cut short */
    assert_false(board_is_open(board));
    sim_plug(simboard_sim(simboard), loop_now(rig.loop));
    assert_int_equal(attach(board, 1), PORT_GONE);
    assert_int_equal(attach(board, 2), 0);
    assert_false(board->left);
    check_works(board, FLASH, 100);
}

static void test_unplugged_in_flight(void **state)
{
    for (int ms = 0; ms < 400; ms += 5) {
        check_unplug(ms / 1000.0 + 0.0001);
        close_rig(state);
        open_rig(state);
    }
}

static void test_unplugged_while_closing(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    assert_true(run(board, read_of(FLASH, 10)).ok);
    board_close(board);
    unplug(simport_find(rig.port, "f407"));
    assert_true(release(board) < 0.1);
    assert_false(board_is_open(board));
}

/* An unplugged board does not affect its neighbour. */
static void test_boards_side_by_side(void **state)
{
    struct outcome outcomes[2];
    (void)state;
    struct board *board = open_new("f407"), *other = open_new("l452");
    start_to(&outcomes[0], board, write_of(FLASH, 8192));
    start_to(&outcomes[1], other, write_of(FLASH, 8192));
    let_pass(0.03);
    unplug(simport_find(rig.port, "f407"));
    finish(&outcomes[0]);
    finish(&outcomes[1]);
    assert_false(outcomes[0].ok);
    assert_true(outcomes[1].ok);
}

/* ---- regions ---- */

static void test_regions(void **state)
{
    (void)state;
    struct board *board = make("f407");
    static const struct region regions[] = {
        { .address = FLASH, .size = 0x4000, .end = FLASH + 0x10000, .alt = 0 },
        { .address = FLASH + 0x10000, .size = 0x10000, .end = FLASH + 0x20000, .alt = 0 },
        { .address = FLASH, .size = 16, .end = FLASH + 16, .alt = 1 },
        { .address = 0xFFFF0000, .size = 0x10000, .end = 0x100000000, .alt = 3 },
    };
    board->regions = malloc(sizeof regions);
    memcpy(board->regions, regions, sizeof regions);
    board->region_count = 4;
    const struct region *r = board->regions;
    assert_ptr_equal(board_region(board, FLASH, NULL), &r[0]);
    assert_ptr_equal(board_region(board, FLASH + 0xFFFF, NULL), &r[0]);
    assert_ptr_equal(board_region(board, FLASH + 0x10000, NULL), &r[1]);
    assert_null(board_region(board, FLASH + 0x20000, NULL));
    assert_null(board_region(board, FLASH - 1, NULL));
    assert_ptr_equal(board_region(board, 0xFFFFFFFF, NULL), &r[3]);
    assert_ptr_equal(board_region(board, FLASH + 4, &r[2]), &r[2]);
    assert_null(board_region(board, FLASH + 16, &r[2]));
    board->selected = 1;
    assert_ptr_equal(board_region(board, FLASH, NULL), &r[2]);
    assert_null(board_region(board, 0xFFFF0000, NULL));
    assert_ptr_equal(board_region(board, FLASH + 0x10000, &r[0]), &r[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOARD_TEST(test_attach),
        BOARD_TEST(test_settings_survive),
        BOARD_TEST(test_list),
        BOARD_TEST(test_operations),
        BOARD_TEST(test_time_repeats),
        BOARD_TEST(test_select),
        BOARD_TEST(test_control),
        BOARD_TEST(test_plain_board_is_reset),
        BOARD_TEST(test_reset),
        BOARD_TEST(test_a_board_that_hangs),
        BOARD_TEST(test_give_up_nothing),
        BOARD_TEST(test_give_up),
        BOARD_TEST(test_give_up_control),
        BOARD_TEST(test_close_untouched),
        BOARD_TEST(test_close_after_use),
        BOARD_TEST(test_close_in_mid_write),
        BOARD_TEST(test_close_in_mid_erase),
        BOARD_TEST(test_orphans),
        BOARD_TEST(test_unplugged_while_idle),
        BOARD_TEST(test_unplugged_in_flight),
        BOARD_TEST(test_unplugged_while_closing),
        BOARD_TEST(test_boards_side_by_side),
        BOARD_TEST(test_regions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
