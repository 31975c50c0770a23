/* SPDX-License-Identifier: MIT */
/* Programs: how they start, how they end, and that nothing is left of them.  The scripts run in
 * any POSIX /bin/sh. */
#include "loop/looprig.h"

#include <errno.h>
#include <fcntl.h>

#include "loop/proc.h"

static struct proc *procs;
static int output[2];

static void on_heard(void *arg, int signal_number)
{
    (void)arg;
    (void)signal_number;
    note('!');
}

static int open_procs(void **state)
{
    if (open_loop(state) != 0 || pipe2(output, O_CLOEXEC) != 0)
        return -1;
    return loop_signals(loop, on_heard, NULL, NULL) ? 0 : -1;
}

static int close_procs(void **state)
{
    procs_release(&procs, loop);
    assert_null(procs);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, not even a zombie */
    assert_int_equal(errno, ECHILD);
    if (output[0] >= 0)
        close(output[0]);
    if (output[1] >= 0)
        close(output[1]);
    return close_loop(state);
}

static struct proc *try_start(const char *const *argv, const char *const *settings)
{
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct proc_start start = { .argv = argv, .settings = settings, .in = in, .out = output[1] };
    struct proc *proc = proc_start(loop, &procs, &start);
    int error = errno;
    close(in);
    errno = error;
    return proc;
}

static struct proc *shell(const char *script)
{
    const char *argv[] = { "sh", "-c", script, NULL };
    struct proc *proc = try_start(argv, NULL);
    assert_non_null(proc);
    return proc;
}

/* Reads until all writers have closed the pipe. */
static const char *read_all(void)
{
    static char text[4096];
    size_t n = 0;
    ssize_t got;
    close(output[1]);
    output[1] = -1;
    while ((got = read(output[0], text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    return text;
}

/* Waits for a line of the program's output. */
static void await_line(const char *line)
{
    char text[100] = "";
    for (size_t n = 0; n + 1 < sizeof text && !strchr(text, '\n'); n++)
        assert_int_equal(read(output[0], text + n, 1), 1);
    assert_string_equal(text, line);
}

static void on_end(void *arg)
{
    (void)arg;
    note('e');
}

static void until_ended(struct proc *proc)
{
    while (!proc->has_ended)
        assert_true(loop_turn(loop, true));
}

static void test_status(void **state)
{
    (void)state;
    struct proc *good = shell("exit 7"), *killed = shell("kill -9 $$");
    good->ended = on_end;
    until_ended(good);
    until_ended(killed);
    heard_is("e");
    assert_int_equal(WEXITSTATUS(good->status), 7);
    assert_true(WIFSIGNALED(killed->status) && WTERMSIG(killed->status) == SIGKILL);
    assert_int_equal(good->pid, 0); /* so that no other process of that number is killed */
    proc_end(good);
}

static void test_what_can_not_be_started(void **state)
{
    const char *none[] = { "there-is-no-such-program", NULL }, *folder[] = { "/", NULL };
    (void)state;
    assert_null(try_start(none, NULL));
    assert_int_equal(errno, ENOENT);
    assert_null(try_start(folder, NULL));
    assert_int_equal(errno, EACCES);
    assert_null(procs);
}

static void test_environment(void **state)
{
    const char *argv[] = { "sh", "-c", "echo $ONE-${TWO-gone}", NULL };
    const char *settings[] = { "ONE=1 = 1", "TWO", NULL };
    (void)state;
    setenv("TWO", "2", 1);
    assert_non_null(try_start(argv, settings));
    assert_string_equal(read_all(), "1 = 1-gone\n");
    assert_string_equal(getenv("TWO"), "2");
}

/* The program gets no other open file, no blocked signal and no ignored one. */
static void test_it_inherits_nothing(void **state)
{
    (void)state;
    int open_here = dup2(0, 77); /* not CLOEXEC: as Lua's io.open has it */
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    shell("exec grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status");
    struct proc *looker = shell("[ -e /proc/$$/fd/0 ] && [ ! -e /proc/$$/fd/77 ] && echo closed");
    until_ended(looker);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(open_here);
    const char *text = read_all();
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000\n"));
    const char *ignored = strstr(text, "SigIgn:\t");
    assert_non_null(ignored);
    /* 32 and 33 are glibc's own, and ignored in what make starts */
    assert_int_equal(strtoull(ignored + 8, NULL, 16) & 0x7fffffff, 0);
    assert_non_null(strstr(text, "closed\n"));
    heard_is("");
}

static void test_sigterm_first(void **state)
{
    (void)state;
    struct proc *proc = shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done");
    await_line("ready\n");
    proc_end(proc);
    proc_end(proc);
    until_ended(proc);
    assert_int_equal(WEXITSTATUS(proc->status), 5);
}

static void test_then_sigkill(void **state)
{
    (void)state;
    struct proc *proc = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    await_line("ready\n");
    double before = loop_now(loop);
    proc_end(proc);
    until_ended(proc);
    assert_true(WIFSIGNALED(proc->status) && WTERMSIG(proc->status) == SIGKILL);
    assert_true(loop_now(loop) - before >= 1);
}

static void test_one_that_is_stopped(void **state)
{
    int status;
    (void)state;
    struct proc *proc = shell("kill -STOP $$");
    assert_int_equal(waitpid(proc->pid, &status, WUNTRACED), proc->pid);
    assert_true(WIFSTOPPED(status));
    proc_end(proc);
    until_ended(proc);
    assert_int_equal(WTERMSIG(proc->status), SIGTERM);
}

/* Processes that it started end with it: the pipe, which all of them hold, is closed. */
static void test_its_children(void **state)
{
    (void)state;
    struct proc *proc = shell("sleep 1000 & sleep 1000 & echo ready; wait");
    await_line("ready\n");
    proc_orphan(proc, -1);
    procs_release(&procs, loop);
    assert_string_equal(read_all(), "");
}

/* Output after SIGTERM does not kill it with SIGPIPE: it can finish its work. */
static void test_last_words(void **state)
{
    char path[] = "/tmp/test_proc_XXXXXX";
    (void)state;
    int file = mkstemp(path);
    setenv("FILE", path, 1);
    struct proc *proc = shell("trap 'echo I end; echo off >$FILE; exit' TERM; echo ready; "
                              "while :; do sleep 0.01; done");
    await_line("ready\n");
    close(output[1]);
    proc_orphan(proc, output[0]); /* the only reader */
    output[0] = output[1] = -1;
    procs_release(&procs, loop);
    char text[10] = "";
    assert_int_equal(read(file, text, sizeof text - 1), 4);
    assert_string_equal(text, "off\n");
    close(file);
    unlink(path);
}

static void test_what_it_leaves_behind(void **state)
{
    (void)state;
    struct proc *proc = shell("(trap '' TERM; sleep 1000; sleep 1000) & sleep 1000 & exit 3");
    until_ended(proc);
    assert_int_equal(WEXITSTATUS(proc->status), 3);
    proc_orphan(proc, -1);
    procs_release(&procs, loop);
    assert_string_equal(read_all(), "");
}

static void test_many(void **state)
{
    struct proc *all[16];
    (void)state;
    for (size_t i = 0; i < 16; i++)
        all[i] = shell("sleep 0.05; exit 1");
    for (size_t i = 0; i < 16; i++) {
        until_ended(all[i]);
        assert_int_equal(WEXITSTATUS(all[i]->status), 1);
    }
}

static void orphan_it(void *arg)
{
    note('o');
    proc_orphan(arg, -1);
}

/* ended() may call proc_orphan(). */
static void test_orphan_from_its_end(void **state)
{
    (void)state;
    struct proc *proc = shell("exit 0");
    proc->ended = orphan_it;
    proc->arg = proc;
    while (procs)
        assert_true(loop_turn(loop, true));
    heard_is("o");
}

/* After a second SIGINT of this program the kernel ends the child. */
static void test_a_parent_that_is_killed(void **state)
{
    int status;
    (void)state;
    fflush(NULL);
    pid_t parent = fork();
    if (parent == 0) {
        shell("echo ready; exec sleep 1000");
        for (;;)
            pause();
    }
    await_line("ready\n");
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_string_equal(read_all(), "");
}

static int open_virtual_procs(void **state)
{
    int result = open_procs(state);
    loop_virtual_time(loop);
    return result;
}

static void test_virtual_time(void **state)
{
    (void)state;
    struct proc *proc = shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done");
    await_line("ready\n");
    proc_end(proc); /* SIGKILL is a second away, and must not come sooner */
    until_ended(proc);
    assert_int_equal(WEXITSTATUS(proc->status), 5);
}

#define PROC_TEST(f, open) cmocka_unit_test_setup_teardown(f, open, close_procs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROC_TEST(test_status, open_procs),
        PROC_TEST(test_what_can_not_be_started, open_procs),
        PROC_TEST(test_environment, open_procs),
        PROC_TEST(test_it_inherits_nothing, open_procs),
        PROC_TEST(test_sigterm_first, open_procs),
        PROC_TEST(test_then_sigkill, open_procs),
        PROC_TEST(test_one_that_is_stopped, open_procs),
        PROC_TEST(test_its_children, open_procs),
        PROC_TEST(test_last_words, open_procs),
        PROC_TEST(test_what_it_leaves_behind, open_procs),
        PROC_TEST(test_many, open_procs),
        PROC_TEST(test_orphan_from_its_end, open_procs),
        PROC_TEST(test_a_parent_that_is_killed, open_procs),
        PROC_TEST(test_virtual_time, open_virtual_procs),
    };

    for (int i = 1; i < NSIG; i++) /* background jobs and CI runners ignore some signals, and */
        signal(i, SIG_DFL);        /* children inherit that */
    alarm(60);                     /* a test that hangs fails */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
