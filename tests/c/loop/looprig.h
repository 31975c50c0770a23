/* SPDX-License-Identifier: MIT */
/* A loop, a record of its calls in their order, and eight actors for it to call. */
#ifndef LOOPRIG_H
#define LOOPRIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loop/loop.h"

static struct loop *loop;
static char heard[200]; /* a letter for each call, in order */

static inline void note(char letter)
{
    size_t n = strlen(heard);
    assert_true(n + 1 < sizeof heard);
    heard[n] = letter;
    heard[n + 1] = '\0';
}

static inline void heard_is(const char *wanted)
{
    assert_string_equal(heard, wanted);
    heard[0] = '\0';
}

/* Notes its letter when it is called, and then does `act`. */
struct actor {
    char letter;
    void (*act)(struct actor *);
    struct loop_timer timer, *other_timer;
    struct loop_job job, *other_job;
    struct loop_watch watch, *other_watch;
    struct loop_child child;
    short events;
    int status;
};

static inline void actor_called(void *arg)
{
    struct actor *actor = arg;
    note(actor->letter);
    if (actor->act)
        actor->act(actor);
}

static inline void actor_ready(void *arg, short events)
{
    ((struct actor *)arg)->events = events;
    actor_called(arg);
}

static inline void actor_ended(void *arg, int status)
{
    ((struct actor *)arg)->status = status;
    actor_called(arg);
}

static struct actor actors[8];

/* Makes actors a to h, none of them set, posted or watched. */
static inline int open_loop(void **state)
{
    (void)state;
    loop = loop_new();
    heard[0] = '\0';
    memset(actors, 0, sizeof actors);
    for (size_t i = 0; i < 8; i++) {
        struct actor *actor = &actors[i];
        actor->letter = (char)('a' + i);
        actor->timer = (struct loop_timer){ .fire = actor_called, .arg = actor };
        actor->job = (struct loop_job){ .run = actor_called, .arg = actor };
        actor->watch =
            (struct loop_watch){ .ready = actor_ready, .arg = actor, .fd = -1, .events = POLLIN };
        actor->child = (struct loop_child){ .ended = actor_ended, .arg = actor };
    }
    return loop ? 0 : -1;
}

static inline int open_virtual(void **state)
{
    int result = open_loop(state);
    loop_virtual_time(loop);
    return result;
}

static inline int close_loop(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static inline void set(size_t i, double at)
{
    loop_timer_set(loop, &actors[i].timer, at);
}

static inline void post(size_t i)
{
    loop_post(loop, &actors[i].job);
}

static inline void run_all(void)
{
    size_t turns = 0;
    while (loop_turn(loop, true))
        assert_true(++turns < 10000);
}

static inline bool is_near(double value, double wanted)
{
    double error = value - wanted;
    return error < 1e-9 && error > -1e-9;
}

#define LOOP_TEST(f, open) cmocka_unit_test_setup_teardown(f, open, close_loop)

#endif
