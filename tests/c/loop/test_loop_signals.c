/* SPDX-License-Identifier: MIT */
/* The loop: signals, and children. */
#include "loop/looprig.h"

/* ---- signals ---- */

static void on_heard(void *arg, int signal_number)
{
    assert_ptr_equal(arg, &actors[0]);
    note(signal_number == SIGINT    ? 'I'
         : signal_number == SIGTERM ? 'T'
         : signal_number == SIGHUP  ? 'H'
                                    : '?');
}

static int open_signals(void **state)
{
    int result = open_loop(state);
    return result == 0 && loop_signals(loop, on_heard, NULL, &actors[0]) ? 0 : -1;
}

static void test_signals(void **state)
{
    (void)state;
    assert_false(loop_signalled(loop));
    raise(SIGINT);
    assert_true(loop_signalled(loop));
    heard_is("");                       /* from the loop, not from the handler */
    assert_true(loop_turn(loop, true)); /* nothing else is awaited */
    heard_is("I");
    assert_false(loop_signalled(loop));
    assert_false(loop_turn(loop, true));
    heard_is("");
    raise(SIGPIPE); /* SIGPIPE is ignored: write reports a closed reader */
}

static void test_no_sleep_on_a_signal(void **state)
{
    (void)state;
    raise(SIGTERM);
    set(1, 1e9);
    while (loop_signalled(loop))
        loop_turn(loop, true);
    heard_is("T");
}

/* A signal that finds the pipe full is dropped, and not counted as one still to be heard. */
static void test_full_pipe(void **state)
{
    enum { MORE_THAN_A_PIPE = 70000 };
    (void)state;
    for (int i = 0; i < MORE_THAN_A_PIPE; i++)
        raise(SIGCHLD);
    raise(SIGINT);
    for (int i = 0; i < MORE_THAN_A_PIPE / 64 + 1; i++)
        loop_turn(loop, false);
    heard_is("");
    assert_false(loop_signalled(loop));
    assert_true(loop_interrupted(loop));
    assert_false(loop_turn(loop, true));
}

/* Calls run() in a child process with a loop of its own; returns its waitpid(2) status. */
static int status_of(void (*run)(void))
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        loop_free(loop);
        loop = loop_new();
        loop_signals(loop, on_heard, NULL, &actors[0]);
        run();
        _exit(3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int second;

static void raise_two(void)
{
    raise(SIGINT);
    loop_turn(loop, true);
    raise(second);
}

static void test_second_signal_kills(void **state)
{
    static const int all[] = { SIGINT, SIGTERM, SIGHUP };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        second = all[i];
        int status = status_of(raise_two);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), second);
    }
}

static void interrupt_thrice(void)
{
    loop_survive(loop, LOOP_SURVIVES_SIGINT);
    for (int i = 0; i < 3; i++) {
        raise(SIGINT);
        raise(SIGINT); /* before `heard` gets the first one */
        loop_turn(loop, true);
    }
    raise(SIGTERM); /* the first that counts */
    loop_turn(loop, true);
    heard_is("IIIIIIT");
    loop_survive(loop, LOOP_SURVIVES_NONE);
    raise(SIGINT);
}

static void test_survived_interrupts(void **state)
{
    (void)state;
    int status = status_of(interrupt_thrice);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

static void last_act(void)
{
    _exit(17);
}

static void end_with_an_act(void)
{
    loop_last_act(last_act);
    raise(SIGTERM);
    raise(SIGTERM);
}

static void test_last_act(void **state)
{
    (void)state;
    int status = status_of(end_with_an_act);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 17);
}

static void on_other(void *arg, int signal_number)
{
    assert_ptr_equal(arg, &actors[1]);
    note(signal_number == SIGWINCH ? 'W' : signal_number == SIGCONT ? 'C' : '?');
}

static void test_other_signals(void **state)
{
    (void)state;
    struct loop_signal winch = { .caught = on_other, .arg = &actors[1], .signal = SIGWINCH };
    struct loop_signal cont = { .caught = on_other, .arg = &actors[1], .signal = SIGCONT };
    loop_hear(loop, &winch);
    loop_hear(loop, &winch); /* it exists already */
    loop_hear(loop, &cont);
    raise(SIGWINCH);
    raise(SIGCONT);
    assert_false(loop_signalled(loop)); /* it does not ask the process to end */
    loop_turn(loop, false);
    heard_is("WC");
    loop_unhear(loop, &winch);
    loop_unhear(loop, &winch);
    raise(SIGWINCH);
    raise(SIGCONT);
    loop_turn(loop, false);
    heard_is("C");
    loop_unhear(loop, &cont);
}

static void hang_up(void)
{
    loop_free(loop);
    signal(SIGHUP, SIG_IGN);
    loop = loop_new();
    loop_signals(loop, on_heard, NULL, &actors[0]);
    raise(SIGHUP);
    raise(SIGHUP);
    _exit(loop_signalled(loop) ? 1 : 0);
}

static void test_nohup(void **state)
{
    (void)state;
    int status = status_of(hang_up);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void free_and_interrupt(void)
{
    loop_free(loop);
    raise(SIGINT);
}

static void test_signals_belong_to_one_loop(void **state)
{
    (void)state;
    struct loop *other = loop_new();
    assert_non_null(other);
    assert_false(loop_signals(other, on_heard, NULL, NULL));
    raise(SIGINT);
    assert_false(loop_signalled(other));
    assert_false(loop_turn(other, true));
    loop_free(other);
    loop_turn(loop, true);
    heard_is("I");
    int status = status_of(free_and_interrupt);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    loop_free(loop); /* the next loop may have the signals */
    loop = loop_new();
    assert_true(loop_signals(loop, on_heard, NULL, &actors[0]));
    assert_false(loop_signalled(loop));
    raise(SIGINT);
    loop_turn(loop, true);
    heard_is("I");
}

static volatile sig_atomic_t ticks;

static void on_tick(void)
{
    ticks = ticks + 1;
}

static void test_watchdog(void **state)
{
    (void)state;
    ticks = 0;
    assert_true(loop_signals(loop, on_heard, on_tick, &actors[0]));
    clock_t began = clock();
    while (ticks == 0)
        assert_true(clock() - began < 20 * CLOCKS_PER_SEC);
    assert_true(clock() - began > CLOCKS_PER_SEC / 4);
}

/* ---- children ---- */

static pid_t start_child(int status)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(status);
    assert_true(pid > 0);
    return pid;
}

/* One that ends when it is killed. */
static pid_t start_sleeper(void)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    return pid;
}

static void await_child(size_t i, pid_t pid)
{
    actors[i].child.pid = pid;
    loop_child(loop, &actors[i].child);
}

static void test_children(void **state)
{
    (void)state;
    await_child(0, start_child(7));
    loop_child(loop, &actors[0].child); /* it is awaited */
    run_all();
    heard_is("a");
    assert_true(WIFEXITED(actors[0].status));
    assert_int_equal(WEXITSTATUS(actors[0].status), 7);
    await_child(0, start_child(0));
    await_child(1, start_child(1));
    await_child(2, start_child(2));
    run_all();
    assert_int_equal(strlen(heard), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(WEXITSTATUS(actors[i].status), i);
}

static void test_killed_child(void **state)
{
    (void)state;
    pid_t pid = start_sleeper();
    await_child(0, pid);
    assert_true(loop_turn(loop, false));
    heard_is("");
    kill(pid, SIGKILL);
    run_all();
    heard_is("a");
    assert_true(WIFSIGNALED(actors[0].status));
    assert_int_equal(WTERMSIG(actors[0].status), SIGKILL);
}

/* Other children of this process are not reaped, nor those that are no longer watched. */
static void test_other_children(void **state)
{
    int status;
    (void)state;
    pid_t stranger = start_child(9), dropped = start_child(8);
    await_child(1, dropped);
    loop_unchild(loop, &actors[1].child);
    loop_unchild(loop, &actors[1].child);
    await_child(0, start_child(1));
    run_all();
    heard_is("a");
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
    assert_int_equal(WEXITSTATUS(status), 9);
    assert_int_equal(waitpid(dropped, &status, 0), dropped);
}

static void start_another(struct actor *actor)
{
    if (WEXITSTATUS(actor->status) < 3)
        await_child((size_t)(actor->letter - 'a'), start_child(WEXITSTATUS(actor->status) + 1));
}

static void test_child_after_child(void **state)
{
    (void)state;
    actors[0].act = start_another;
    await_child(0, start_child(1));
    run_all();
    heard_is("aaa");
    assert_int_equal(WEXITSTATUS(actors[0].status), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_signals, open_signals),
        LOOP_TEST(test_second_signal_kills, open_signals),
        LOOP_TEST(test_survived_interrupts, open_signals),
        LOOP_TEST(test_last_act, open_signals),
        LOOP_TEST(test_other_signals, open_signals),
        LOOP_TEST(test_full_pipe, open_signals),
        LOOP_TEST(test_nohup, open_signals),
        LOOP_TEST(test_no_sleep_on_a_signal, open_signals),
        LOOP_TEST(test_signals_belong_to_one_loop, open_signals),
        LOOP_TEST(test_watchdog, open_loop),
        LOOP_TEST(test_children, open_signals),
        LOOP_TEST(test_killed_child, open_signals),
        LOOP_TEST(test_other_children, open_signals),
        LOOP_TEST(test_child_after_child, open_signals),
    };

    alarm(60); /* a test that hangs fails */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
