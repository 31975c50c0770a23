/* SPDX-License-Identifier: MIT */
/* The heap of timers against a plain list: many of them, set, set again and taken away at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loop/timers.h"

enum { TIMERS = 200, STEPS = 20000 };

static struct loop_timer all[TIMERS];
static struct timers timers;

/* The one that is first, by looking at all of them. */
static struct loop_timer *earliest(void)
{
    struct loop_timer *first = NULL;
    for (int i = 0; i < TIMERS; i++) {
        struct loop_timer *timer = &all[i];
        if (timer->set && (!first || timer->at < first->at ||
                           (!(timer->at > first->at) && timer->order < first->order)))
            first = timer;
    }
    return first;
}

static void test_any_order(void **state)
{
    (void)state;
    srand(7);
    for (int i = 0; i < STEPS; i++) {
        struct loop_timer *timer = &all[rand() % TIMERS];
        if (timer->set)
            timers_remove(&timers, timer);
        if (rand() % 3 > 0)
            timers_add(&timers, timer, rand() % 50); /* many of one time */
        assert_ptr_equal(timers.first, earliest());
    }
    double before = -1;
    uint64_t order = 0;
    while (timers.first) {
        struct loop_timer *timer = timers.first;
        assert_ptr_equal(timer, earliest());
        assert_true(timer->at > before || timer->order > order);
        before = timer->at;
        order = timer->order;
        timers_remove(&timers, timer);
        assert_false(timer->set);
    }
}

/* Nothing recurses, and so the stack does not grow with them. */
static void test_a_million(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    struct loop_timer *many = calloc(MANY, sizeof *many);
    assert_non_null(many);
    for (int i = 0; i < MANY; i++)
        timers_add(&timers, &many[i], MANY - i);
    for (int i = MANY - 1; i >= 0; i--) {
        assert_ptr_equal(timers.first, &many[i]);
        timers_remove(&timers, timers.first);
    }
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_a_million),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
