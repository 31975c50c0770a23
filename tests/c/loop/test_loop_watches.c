/* SPDX-License-Identifier: MIT */
/* The loop: file descriptors that it watches. */
#include "loop/looprig.h"

/* ---- watches ---- */

static int pipes[4][2];

static int open_pipes(void **state)
{
    for (size_t i = 0; i < 4; i++)
        if (pipe(pipes[i]) != 0)
            return -1;
    return open_loop(state);
}

static int close_pipes(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    return close_loop(state);
}

static void watch(size_t i, int fd, short events)
{
    actors[i].watch.fd = fd;
    actors[i].watch.events = events;
    loop_watch(loop, &actors[i].watch);
}

static void put_byte(size_t i)
{
    assert_int_equal(write(pipes[i][1], "x", 1), 1);
}

static void take_byte(struct actor *actor)
{
    char byte;
    assert_int_equal(read(actor->watch.fd, &byte, 1), 1);
}

static void test_watch(void **state)
{
    (void)state;
    actors[0].act = take_byte;
    watch(0, pipes[0][0], POLLIN);
    loop_watch(loop, &actors[0].watch); /* it is watched */
    assert_true(loop_turn(loop, false));
    heard_is("");
    put_byte(0);
    put_byte(0);
    loop_turn(loop, true);
    heard_is("a");
    assert_int_equal(actors[0].events & POLLIN, POLLIN);
    loop_turn(loop, true); /* as long as there is something */
    heard_is("a");
    loop_turn(loop, false);
    heard_is("");
    put_byte(0);
    loop_unwatch(loop, &actors[0].watch);
    loop_unwatch(loop, &actors[0].watch);
    assert_false(loop_turn(loop, true));
    heard_is("");
    watch(1, pipes[1][1], POLLOUT);
    loop_turn(loop, true);
    heard_is("b");
    assert_int_equal(actors[1].events, POLLOUT);
}

static void test_watch_an_end(void **state)
{
    (void)state;
    watch(0, pipes[0][0], POLLIN);
    close(pipes[0][1]);
    loop_turn(loop, true);
    heard_is("a");
    assert_int_equal(actors[0].events & POLLHUP, POLLHUP);
    pipes[0][1] = dup(pipes[1][1]);
}

static void unwatch_both(struct actor *actor)
{
    loop_unwatch(loop, &actor->watch);
    loop_unwatch(loop, actor->other_watch);
}

/* Of two watches the first one called removes both. */
static void test_unwatch_from_a_watch(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        watch(i, pipes[i][0], POLLIN);
        actors[i].act = unwatch_both;
        actors[i].other_watch = &actors[1 - i].watch;
        put_byte(i);
    }
    loop_turn(loop, true);
    assert_int_equal(strlen(heard), 1);
    assert_false(loop_turn(loop, true));
    assert_int_equal(strlen(heard), 1);
}

static void watch_other(struct actor *actor)
{
    take_byte(actor);
    loop_watch(loop, actor->other_watch);
}

static void test_watch_from_a_watch(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        put_byte(i);
    watch(2, pipes[2][0], POLLIN);
    watch(0, pipes[0][0], POLLIN);
    actors[0].act = watch_other;
    actors[2].act = take_byte;
    actors[1].act = take_byte;
    actors[1].watch.fd = pipes[1][0];
    actors[0].other_watch = &actors[1].watch;
    loop_turn(loop, true);
    assert_true(strcmp(heard, "ac") == 0 || strcmp(heard, "ca") == 0);
    heard[0] = '\0';
    loop_turn(loop, true);
    heard_is("b");
}

/* Two watches of one file descriptor: each is called for its own events. */
static void test_one_descriptor_twice(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        watch(0, pipes[0][0], order ? POLLIN : POLLPRI);
        watch(1, pipes[0][0], order ? POLLPRI : POLLIN);
        put_byte(0);
        loop_turn(loop, true);
        heard_is(order ? "a" : "b");
        take_byte(&actors[0]);
        loop_unwatch(loop, &actors[0].watch);
        loop_unwatch(loop, &actors[1].watch);
    }
}

/* Closes the other's file descriptor, and opens another one of the same number. */
static void replace_other(struct actor *actor)
{
    struct loop_watch *other = actor->other_watch;
    take_byte(actor);
    loop_unwatch(loop, other);
    assert_int_equal(dup2(pipes[3][0], other->fd), other->fd);
    loop_watch(loop, other);
}

/* Events of a closed file are not reported for a new one with the same number. */
static void test_a_new_file_of_the_same_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        watch(i, pipes[i][0], POLLIN);
        actors[i].act = replace_other;
        actors[i].other_watch = &actors[1 - i].watch;
        put_byte(i);
    }
    loop_turn(loop, true);
    assert_int_equal(strlen(heard), 1);
    loop_turn(loop, false);
    assert_int_equal(strlen(heard), 1);
    put_byte(3);
    loop_turn(loop, true);
    assert_int_equal(strlen(heard), 2);
    assert_int_not_equal(heard[0], heard[1]);
}

static void turn_inside(struct actor *actor)
{
    take_byte(actor);
    actor->act = take_byte;
    loop_turn(loop, false);
}

/* A turn inside a callback dispatches the remaining events; the outer turn does not repeat them. */
static void test_a_turn_within_a_turn(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        watch(i, pipes[i][0], POLLIN);
        actors[i].act = i == 2 ? turn_inside : take_byte; /* c is called first */
        put_byte(i);
    }
    loop_turn(loop, true);
    assert_int_equal(strlen(heard), 3); /* else a read would block */
    loop_turn(loop, false);
    assert_int_equal(strlen(heard), 3);
}

/* While a file descriptor is awaited, virtual time passes like real time. */
static void test_virtual_time_with_a_watch(void **state)
{
    struct timespec before, after;
    (void)state;
    loop_virtual_time(loop);
    watch(0, pipes[0][0], POLLIN);
    set(1, 0.03);
    clock_gettime(CLOCK_MONOTONIC, &before);
    while (strcmp(heard, "b") != 0)
        assert_true(loop_turn(loop, true));
    clock_gettime(CLOCK_MONOTONIC, &after);
    double took =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    assert_true(took >= 0.03);
    assert_true(loop_now(loop) == 0.03);
    heard[0] = '\0';
    put_byte(0);
    actors[0].act = take_byte;
    set(1, 3600);
    loop_turn(loop, true); /* an hour is not yet over */
    heard_is("a");
    assert_true(loop_now(loop) < 3600);
    loop_unwatch(loop, &actors[0].watch);
    loop_turn(loop, true);
    loop_turn(loop, true);
    heard_is("b");
}

/* A watch that is always ready does not stop the clock. */
static void test_virtual_time_with_a_busy_watch(void **state)
{
    size_t turns = 0;
    (void)state;
    loop_virtual_time(loop);
    put_byte(0);
    watch(0, pipes[0][0], POLLIN);
    set(1, 0.001);
    while (!strchr(heard, 'b')) {
        assert_true(loop_turn(loop, true));
        heard[strcspn(heard, "a")] = '\0';
        assert_true(++turns < 10000000);
    }
    assert_true(loop_now(loop) == 0.001);
}

#define WATCH_TEST(f) cmocka_unit_test_setup_teardown(f, open_pipes, close_pipes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCH_TEST(test_watch),
        WATCH_TEST(test_watch_an_end),
        WATCH_TEST(test_unwatch_from_a_watch),
        WATCH_TEST(test_watch_from_a_watch),
        WATCH_TEST(test_one_descriptor_twice),
        WATCH_TEST(test_a_new_file_of_the_same_number),
        WATCH_TEST(test_a_turn_within_a_turn),
        WATCH_TEST(test_virtual_time_with_a_watch),
        WATCH_TEST(test_virtual_time_with_a_busy_watch),
    };

    alarm(60); /* a test that hangs fails */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
