/* SPDX-License-Identifier: MIT */
/* The loop where memory is short: it goes on with what it has, and reports no deadlock. */
#include "loop/looprig.h"

#include <dlfcn.h>
#include <errno.h>

enum { PIPES = 40 };

static bool no_memory;
static int pipes[PIPES][2];
static struct loop_watch watches[PIPES];
static int ready_count;

void *realloc(void *block, size_t size)
{
    static void *(*real)(void *, size_t);
    if (no_memory) {
        errno = ENOMEM;
        return NULL;
    }
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "realloc");
    return real(block, size);
}

static void on_ready(void *arg, short events)
{
    (void)events;
    loop_unwatch(loop, arg);
    ready_count++;
}

static int open_pipes(void **state)
{
    ready_count = 0;
    int result = open_loop(state);
    for (int i = 0; i < PIPES && result == 0; i++) {
        result = pipe(pipes[i]);
        watches[i] = (struct loop_watch){
            .ready = on_ready, .arg = &watches[i], .fd = pipes[i][0], .events = POLLIN
        };
        loop_watch(loop, &watches[i]);
    }
    return result;
}

static int close_pipes(void **state)
{
    no_memory = false;
    for (int i = 0; i < PIPES; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    return close_loop(state);
}

/* Something can still come: a turn is true, though the watch with data is not in the array. */
static void test_no_deadlock(void **state)
{
    (void)state;
    assert_int_equal(write(pipes[0][1], "x", 1), 1);
    no_memory = true;
    for (int i = 0; i < 3; i++)
        assert_true(loop_turn(loop, true));
    assert_int_equal(ready_count, 0);
    no_memory = false;
    assert_true(loop_turn(loop, true));
    assert_int_equal(ready_count, 1);
}

/* The watches that have room in the array are served, and then the others. */
static void test_all_in_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < PIPES; i++)
        assert_int_equal(write(pipes[i][1], "x", 1), 1);
    no_memory = true;
    run_all();
    assert_int_equal(ready_count, PIPES);
}

/* Virtual time does not jump past a watch that was left out. */
static void test_virtual_time(void **state)
{
    (void)state;
    loop_virtual_time(loop);
    set(0, 1e6);
    no_memory = true;
    assert_true(loop_turn(loop, true));
    assert_true(loop_now(loop) < 1e6);
    loop_timer_cancel(loop, &actors[0].timer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_deadlock, open_pipes, close_pipes),
        cmocka_unit_test_setup_teardown(test_all_in_the_end, open_pipes, close_pipes),
        cmocka_unit_test_setup_teardown(test_virtual_time, open_pipes, close_pipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
