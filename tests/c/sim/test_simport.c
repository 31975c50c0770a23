/* SPDX-License-Identifier: MIT */
/* The port over simulated boards: the file that keeps the flash, buses, and a request that follows
 * a cancelled one. */
#include "dfu/boardrig.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/moonflash-test-XXXXXX";
static char file[100];

static int open_files(void **state)
{
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/flash.img", folder);
    return open_rig(state);
}

static int close_files(void **state)
{
    unlink(file);
    rmdir(folder);
    return close_rig(state);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, open_files, close_files)

/* ---- the file that keeps the flash ---- */

static off_t file_size(void)
{
    struct stat st;
    return stat(file, &st) == 0 ? st.st_size : -1;
}

static void file_holds(off_t offset, const uint8_t *wanted, size_t length)
{
    uint8_t got[4096];
    int fd = open(file, O_RDONLY);
    assert_true(fd >= 0 && length <= sizeof got);
    assert_int_equal(pread(fd, got, length, offset), length);
    assert_memory_equal(got, wanted, length);
    close(fd);
}

static void make_file(const uint8_t *bytes, size_t length)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

static struct simboard *add_kept(const char *path)
{
    struct sim_options options = options_of("f407");
    return add_with(path, &options, file, NULL);
}

static void test_flash_is_kept(void **state)
{
    static const uint8_t blank[16] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                       0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
    add_kept("one");
    assert_int_equal(file_size(), 0);
    struct board *board = open_board("one");
    assert_true(run(board, write_of(FLASH + 0x4000, 3000)).ok);
    assert_int_equal(file_size(), 1 << 20); /* at each change, not at the end */
    file_holds(0x4000, rig.data, 3000);
    file_holds(0, blank, 16);
    file_holds((1 << 20) - 16, blank, 16);
    assert_true(run(board, erase_of(FLASH + 0x4000)).ok);
    assert_true(run(board, simple(DFU_GET_STATUS)).ok);
    file_holds(0x4000, blank, 16);
    assert_true(run(board, write_of(FLASH + 0x4000, 100)).ok);
    close_rig(state);

    open_rig(state); /* a later run */
    struct simboard *simboard = add_kept("other");
    assert_int_equal(sim_byte(simboard, FLASH + 0x4000), rig.data[0]);
    assert_int_equal(sim_byte(simboard, FLASH + 0x4063), rig.data[99]);
    assert_int_equal(sim_byte(simboard, FLASH + 0x4064), 0xFF);
    check_works(open_board("other"), FLASH, 5000);
}

static void test_flash_from_a_short_file(void **state)
{
    (void)state;
    make_file(rig.data, 1000);
    struct simboard *simboard = add_kept("one");
    assert_int_equal(sim_byte(simboard, FLASH), rig.data[0]);
    assert_int_equal(sim_byte(simboard, FLASH + 999), rig.data[999]);
    assert_int_equal(sim_byte(simboard, FLASH + 1000), 0xFF);
    assert_int_equal(file_size(), 1000); /* nothing has changed */
    sim_poke(simboard_sim(simboard), 0, FLASH + 5000, (const uint8_t *)"x", 1);
    simboard_changed(simboard);
    assert_int_equal(file_size(), 1 << 20);
    file_holds(0, rig.data, 1000);
    file_holds(5000, (const uint8_t *)"x", 1);
}

static void test_unplug_is_kept_half_done(void **state)
{
    (void)state;
    struct simboard *simboard = add_kept("one");
    struct board *board = open_board("one");
    struct outcome outcome;
    assert_true(run(board, write_of(FLASH, 0x4000)).ok);
    board->dfu.early_poll = false;
    start_to(&outcome, board, erase_of(FLASH));
    let_pass(0.05);
    unplug(simboard);
    finish(&outcome);
    file_holds(0, (const uint8_t *)"\xFF\xFF\xFF\xFF", 4);
    file_holds(0x3F00, rig.data + 0x3F00, 16);
}

static void refused(const char *name, const char *wanted)
{
    struct sim_options options = options_of("f407");
    char why[300] = "";
    assert_null(simport_add(rig.port, "bad", &options, name, NULL, why, sizeof why));
    if (!strstr(why, wanted))
        fail_msg("\"%s\" does not say \"%s\"", why, wanted);
    assert_null(simport_find(rig.port, "bad"));
}

static void test_bad_files(void **state)
{
    char name[150];
    uint8_t *large = calloc(1, (1 << 20) + 1);
    (void)state;
    refused(folder, folder); /* a folder */
    snprintf(name, sizeof name, "%s/none/flash.img", folder);
    refused(name, "No such file");
    refused("/dev/null", "not a file");
    make_file(large, (1 << 20) + 1);
    refused(file, "1048577 bytes");
    make_file(large, 1 << 20);
    assert_int_equal(sim_byte(add_kept("good"), FLASH + 0xFFFFF), 0);
    free(large);
}

/* ---- buses ---- */

/* Seconds that so many boards take for a read of 64 KB each. */
static double reading(size_t boards, const char *bus)
{
    static const char *const paths[] = { "p0", "p1", "p2", "p3" };
    struct outcome outcomes[4];
    uint8_t *outs = malloc(4 * 0x10000);
    struct sim_options options = options_of("f407");
    options.usb = SIM_USB_IDEAL;
    double began = loop_now(rig.loop);
    for (size_t i = 0; i < boards; i++) {
        struct simboard *simboard = add_with(paths[i], &options, NULL, bus);
        sim_poke(simboard_sim(simboard), began, FLASH, rig.data + i, 0x10000);
        struct dfu_op op = read_of(FLASH, 0x10000);
        op.out = outs + i * 0x10000;
        start_to(&outcomes[i], open_board(paths[i]), op);
    }
    for (size_t i = 0; i < boards; i++) {
        while (outcomes[i].ended == 0)
            turn();
        assert_true(outcomes[i].ok);
        assert_memory_equal(outs + i * 0x10000, rig.data + i, 0x10000);
    }
    free(outs);
    return loop_now(rig.loop) - began;
}

static double reading_anew(void **state, size_t boards, const char *bus)
{
    close_rig(state);
    open_rig(state);
    return reading(boards, bus);
}

static void test_buses(void **state)
{
    double alone = reading(1, NULL);
    double four = reading_anew(state, 4, NULL); /* each at a port of its own */
    double shared = reading_anew(state, 4, "bus");
    assert_true(alone > 0.05 && alone < 0.06);
    assert_true(four == alone);
    assert_true(shared > 3.8 * alone && shared < 4.1 * alone);
    assert_true(reading_anew(state, 1, "bus") == alone);
}

/* ---- held requests ---- */

/* A ROM that delays an answer answers nothing else before, even if the host has given up. */
static void test_after_a_held_request(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    struct outcome outcome;
    start_to(&outcome, board, erase_of(FLASH + 0x20000)); /* 2 s */
    let_pass(0.5);
    board_give_up(board);
    finish(&outcome);
    assert_true(run(board, simple(DFU_TO_IDLE)).ok);
    double now = loop_now(rig.loop);
    assert_true(now > 2 && now < 2.01);
    struct dfu_op erase = erase_of(FLASH + 0x20000);
    board->dfu.timeout = erase.limit = 0.5; /* the transfer times out, and the erase goes on */
    outcome = run(board, erase);
    assert_int_equal(outcome.op.failure, DFU_FAIL_TIMEOUT);
    assert_true(outcome.op.in_doubt);
    board->dfu.timeout = 5;
    assert_true(run(board, simple(DFU_TO_IDLE)).ok);
    assert_true(loop_now(rig.loop) > now + 2 && loop_now(rig.loop) < now + 2.01);
}

/* Who comes back has nothing to do with what held the one before. */
static void test_after_an_unplug(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    struct simboard *simboard = simport_find(rig.port, "f407");
    struct outcome outcome;
    start_to(&outcome, board, erase_of(FLASH + 0x20000));
    let_pass(0.5);
    unplug(simboard);
    finish(&outcome);
    sim_plug(simboard_sim(simboard), loop_now(rig.loop));
    assert_int_equal(attach(board, 2), 0);
    assert_true(run(board, simple(DFU_TO_IDLE)).ok);
    assert_true(loop_now(rig.loop) < 0.6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_flash_is_kept),
        FILE_TEST(test_flash_from_a_short_file),
        FILE_TEST(test_unplug_is_kept_half_done),
        FILE_TEST(test_bad_files),
        BOARD_TEST(test_buses),
        BOARD_TEST(test_after_a_held_request),
        BOARD_TEST(test_after_an_unplug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
