/* SPDX-License-Identifier: MIT */
/* Outlets: no write blocks, loses bytes or changes their order, whatever the reader does;
 * and the limit of the kept bytes. */
#include "loop/looprig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "loop/outlet.h"

static int ends[2]; /* a pipe: its reading and writing end */
static struct outlet *outlet;

static void on_full(void *arg)
{
    (void)arg;
    note('F');
}

static int begin(void **state)
{
    if (open_virtual(state) != 0 || !loop || pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    signal(SIGPIPE, SIG_IGN);
    outlet = outlet_new(loop, ends[1], on_full, NULL);
    return outlet ? 0 : -1;
}

static int finish(void **state)
{
    outlet_free(outlet);
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return close_loop(state);
}

/* The n-th byte of what these tests write. */
static unsigned char byte_at(size_t n)
{
    return (unsigned char)(n * 7 + n / 251);
}

static size_t written, taken;

static bool write_more(size_t length)
{
    static unsigned char bytes[1 << 20];
    for (size_t i = 0; i < length; i++)
        bytes[i] = byte_at(written + i);
    if (!outlet_write(outlet, bytes, length))
        return false;
    written += length;
    return true;
}

/* Reads up to `most` bytes, and checks that they are the next ones. */
static size_t take(size_t most)
{
    static unsigned char bytes[1 << 16];
    ssize_t n = read(ends[0], bytes, most < sizeof bytes ? most : sizeof bytes);
    assert_true(n >= 0);
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(bytes[i], byte_at(taken++));
    return (size_t)n;
}

static void test_a_stalled_reader(void **state)
{
    (void)state;
    written = taken = 0;
    for (int i = 0; i < 300; i++)
        assert_true(write_more(1000));
    assert_true(outlet_backlog(outlet) > 200000);
    assert_false(loop_turn(loop, true)); /* an outlet is no pending work: deadlocks are found */
    while (taken < written) {
        assert_true(take(5000) > 0);
        loop_turn(loop, false);
    }
    assert_int_equal(outlet_backlog(outlet), 0);
    assert_int_equal(outlet_error(outlet), 0);
}

/* Virtual time goes on, though the outlet is watched. */
static void test_time_passes_by_it(void **state)
{
    (void)state;
    written = taken = 0;
    assert_true(write_more(200000));
    set(0, 1000);
    while (loop_turn(loop, true)) {
    }
    heard_is("a");
    assert_true(is_near(loop_now(loop), 1000));
}

static void test_the_flag_of_others_stays(void **state)
{
    (void)state;
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
}

static void test_the_limit(void **state)
{
    (void)state;
    written = taken = 0;
    size_t chunk = 1 << 20;
    while (write_more(chunk))
        assert_true(written <= OUTLET_LIMIT + (1 << 20));
    assert_true(written > OUTLET_LIMIT - 2 * chunk);
    heard_is("F");
    assert_int_equal(outlet_error(outlet), ENOBUFS);
    assert_false(write_more(1)); /* and never again: there would be a gap before it */
    heard_is("");
    outlet_drain(outlet); /* returns, though no reader is left */
    assert_true(outlet_backlog(outlet) > 0);
}

static void test_a_reader_that_goes(void **state)
{
    (void)state;
    close(ends[0]);
    ends[0] = -1;
    written = 0;
    assert_false(write_more(1000));
    assert_int_equal(outlet_error(outlet), EPIPE);
    assert_int_equal(outlet_backlog(outlet), 0);
}

/* A child reads, slowly. */
static void test_draining(void **state)
{
    (void)state;
    written = taken = 0;
    assert_true(write_more(900000));
    pid_t child = fork();
    if (child == 0) {
        for (size_t n = 1; n > 0 && taken < 900000;)
            n = take(3000);
        _exit(taken == 900000 ? 0 : 1);
    }
    outlet_drain(outlet);
    assert_int_equal(outlet_backlog(outlet), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* After a signal that ends the process, a stalled reader does not delay the end. */
static void ignore(void *arg, int number)
{
    (void)arg;
    (void)number;
}

static void test_a_signal_ends_the_wait(void **state)
{
    (void)state;
    written = 0;
    assert_true(loop_signals(loop, ignore, NULL, NULL));
    assert_true(write_more(900000));
    raise(SIGTERM);
    assert_true(loop_interrupted(loop));
    outlet_drain(outlet);
    assert_true(outlet_backlog(outlet) > 0);
}

static void test_a_socket(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    close(ends[0]);
    ends[0] = pair[0];
    outlet_free(outlet);
    outlet = outlet_new(loop, pair[1], on_full, NULL);
    written = taken = 0;
    assert_true(write_more(900000));
    assert_true(outlet_backlog(outlet) > 0);
    while (taken < written) {
        assert_true(take(5000) > 0);
        loop_turn(loop, false);
    }
    close(pair[1]);
}

static void test_a_file(void **state)
{
    (void)state;
    char name[] = "/tmp/outletXXXXXX";
    int file = mkstemp(name);
    assert_true(file >= 0);
    unlink(name);
    outlet_free(outlet);
    outlet = outlet_new(loop, file, on_full, NULL);
    written = 0;
    assert_true(write_more(900000));
    assert_int_equal(outlet_backlog(outlet), 0);
    assert_int_equal(lseek(file, 0, SEEK_END), 900000);
    outlet_free(outlet);
    outlet = NULL;
    close(file);
}

#define OUTLET_TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OUTLET_TEST(test_a_stalled_reader),
        OUTLET_TEST(test_time_passes_by_it),
        OUTLET_TEST(test_the_flag_of_others_stays),
        OUTLET_TEST(test_the_limit),
        OUTLET_TEST(test_a_reader_that_goes),
        OUTLET_TEST(test_draining),
        OUTLET_TEST(test_a_signal_ends_the_wait),
        OUTLET_TEST(test_a_socket),
        OUTLET_TEST(test_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
