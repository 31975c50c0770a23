/* SPDX-License-Identifier: MIT */
/* The loop: what runs when, and what the clock shows. */
#include "loop/looprig.h"

/* ---- timers ---- */

static void test_timers_in_order(void **state)
{
    (void)state;
    set(0, 3);
    set(1, 1);
    set(2, 2);
    set(3, 1); /* equal times: first set, first fired */
    set(4, 1);
    run_all();
    heard_is("bdeca");
    assert_true(is_near(loop_now(loop), 3));
}

static void test_timer_moved(void **state)
{
    (void)state;
    set(0, 1);
    set(1, 2);
    set(0, 3); /* set again: only the new time counts */
    run_all();
    heard_is("ba");
    set(0, 5);
    set(1, 5);
    set(0, 5); /* after those of the same time */
    run_all();
    heard_is("ba");
}

static void test_timer_cancelled(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        set(i, (double)i);
    loop_timer_cancel(loop, &actors[1].timer);
    loop_timer_cancel(loop, &actors[1].timer);
    loop_timer_cancel(loop, &actors[3].timer);
    assert_false(actors[3].timer.set);
    run_all();
    heard_is("ac");
    assert_true(is_near(loop_now(loop), 2));
}

static void cancel_other_timer(struct actor *actor)
{
    loop_timer_cancel(loop, actor->other_timer);
}

static void set_other_timer(struct actor *actor)
{
    loop_timer_set(loop, actor->other_timer, loop_now(loop) + 1);
}

static void test_timers_from_a_timer(void **state)
{
    (void)state;
    actors[0].act = cancel_other_timer;
    actors[0].other_timer = &actors[1].timer;
    actors[2].act = set_other_timer;
    actors[2].other_timer = &actors[3].timer;
    for (size_t i = 0; i < 3; i++)
        set(i, 1); /* a cancels b, which is due, too */
    run_all();
    heard_is("acd");
    assert_true(is_near(loop_now(loop), 2));
}

static void set_again(struct actor *actor)
{
    loop_timer_set(loop, &actor->timer, loop_now(loop));
}

/* A timer that sets itself for "now" does not starve the rest. */
static void test_timer_for_now(void **state)
{
    (void)state;
    actors[0].act = set_again;
    set(0, 0);
    set(1, 0);
    loop_turn(loop, true);
    heard_is("ab");
    post(2);
    loop_turn(loop, true);
    heard_is("ca");
    loop_timer_cancel(loop, &actors[0].timer);
}

static void test_real_timer_is_never_early(void **state)
{
    (void)state;
    double began = loop_now(loop);
    assert_true(began >= 0 && began < 100);
    set(0, began + 0.01);
    run_all();
    heard_is("a");
    assert_true(loop_now(loop) >= began + 0.01);
}

/* ---- jobs ---- */

static void test_jobs_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        post(3 - i);
    post(2); /* it is posted */
    assert_true(loop_turn(loop, true));
    heard_is("dcba");
    assert_false(loop_turn(loop, true));
}

static void post_self(struct actor *actor)
{
    loop_post(loop, &actor->job);
}

static void post_other(struct actor *actor)
{
    loop_post(loop, actor->other_job);
}

static void test_jobs_posted_by_jobs(void **state)
{
    (void)state;
    actors[0].act = post_other;
    actors[0].other_job = &actors[1].job;
    post(0);
    post(2);
    loop_turn(loop, true);
    heard_is("ac"); /* b waits for the next turn */
    loop_turn(loop, true);
    heard_is("b");
    actors[3].act = post_self;
    post(3);
    set(4, 0);
    loop_turn(loop, true);
    loop_turn(loop, true);
    heard_is("ded"); /* the others run, too */
    loop_unpost(loop, &actors[3].job);
    run_all();
    heard_is("");
}

static void test_unpost(void **state)
{
    static const char *const left[] = { "bc", "ac", "ab" };
    (void)state;
    for (size_t gone = 0; gone < 3; gone++) {
        for (size_t i = 0; i < 3; i++)
            post(i);
        loop_unpost(loop, &actors[gone].job);
        loop_unpost(loop, &actors[gone].job);
        assert_false(actors[gone].job.posted);
        post(3); /* the end of the queue is where it should be */
        char wanted[4];
        snprintf(wanted, sizeof wanted, "%sd", left[gone]);
        run_all();
        heard_is(wanted);
    }
    post(0);
    loop_unpost(loop, &actors[0].job);
    post(1);
    run_all();
    heard_is("b");
}

static void unpost_other(struct actor *actor)
{
    loop_unpost(loop, actor->other_job);
}

static void test_unpost_from_a_job(void **state)
{
    (void)state;
    actors[0].act = unpost_other;
    actors[0].other_job = &actors[1].job;
    post(0);
    post(1);
    run_all();
    heard_is("a");
}

/* ---- turns, and virtual time ---- */

static void test_nothing_is_left(void **state)
{
    (void)state;
    assert_false(loop_turn(loop, true));
    set(0, 1);
    assert_true(loop_turn(loop, true));
    assert_true(loop_turn(loop, true));
    heard_is("a");
    assert_false(loop_turn(loop, true));
}

static void test_virtual_clock(void **state)
{
    (void)state;
    assert_true(loop_is_virtual(loop));
    assert_true(loop_now(loop) == 0);
    set(0, 36000);
    loop_turn(loop, false); /* a turn that does not wait takes no virtual time */
    assert_true(loop_now(loop) == 0);
    set(1, 0.25);
    loop_turn(loop, true);
    assert_true(loop_now(loop) == 0.25);
    loop_turn(loop, true);
    heard_is("b");
    loop_skip(loop, 1.5);
    assert_true(loop_now(loop) == 1.75);
    set(2, 1); /* in the past: at once, and time does not go back */
    loop_turn(loop, true);
    heard_is("c");
    assert_true(loop_now(loop) == 1.75);
    run_all(); /* ten hours in no time */
    heard_is("a");
    assert_true(loop_now(loop) == 36000);
}

static double times[50];
static size_t times_count;

static void beat(struct actor *actor)
{
    times[times_count++] = loop_now(loop);
    if (times_count < 50)
        loop_timer_set(loop, &actor->timer, loop_now(loop) + 0.1 / (double)(1 + actor->letter % 3));
}

static void record_beats(double *record)
{
    times_count = 0;
    for (size_t i = 0; i < 3; i++) {
        actors[i].act = beat;
        set(i, 0.01);
    }
    while (times_count < 50)
        assert_true(loop_turn(loop, true));
    for (size_t i = 0; i < 3; i++)
        loop_timer_cancel(loop, &actors[i].timer);
    memcpy(record, times, sizeof times);
}

static void test_virtual_time_repeats(void **state)
{
    double first[50], second[50];
    char order[200];
    record_beats(first);
    strcpy(order, heard);
    close_loop(state);
    open_virtual(state);
    record_beats(second);
    assert_memory_equal(first, second, sizeof first);
    heard_is(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_timers_in_order, open_virtual),
        LOOP_TEST(test_timer_moved, open_virtual),
        LOOP_TEST(test_timer_cancelled, open_virtual),
        LOOP_TEST(test_timers_from_a_timer, open_virtual),
        LOOP_TEST(test_timer_for_now, open_virtual),
        LOOP_TEST(test_real_timer_is_never_early, open_loop),
        LOOP_TEST(test_jobs_in_order, open_loop),
        LOOP_TEST(test_jobs_posted_by_jobs, open_virtual),
        LOOP_TEST(test_unpost, open_loop),
        LOOP_TEST(test_unpost_from_a_job, open_loop),
        LOOP_TEST(test_nothing_is_left, open_virtual),
        LOOP_TEST(test_virtual_clock, open_virtual),
        LOOP_TEST(test_virtual_time_repeats, open_virtual),
    };

    alarm(60); /* a test that hangs fails */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
