/* SPDX-License-Identifier: MIT */
#include "loop/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE    1.0  /* seconds from SIGTERM to SIGKILL */
#define LOOK     0.02 /* seconds between two looks whether a group still has processes */
#define PATIENCE 3.0  /* seconds for all, at the end: some may hang in the kernel */

/* ---- in the child, before exec ---- */

/* exec resets handlers, but not ignored signals. */
static void default_signals(void)
{
    for (int i = 1; i < NSIG; i++) {
        struct sigaction action;
        if (sigaction(i, NULL, &action) == 0 &&
            (action.sa_handler != SIG_IGN || i == SIGPIPE || i == SIGXFSZ))
            signal(i, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* exec closes all file descriptors but 0 to 2, including those that Lua opened or that we
 * inherited. */
static void close_others(void)
{
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < 1024; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static bool set_descriptors(int in, int out)
{
    in = fcntl(in, F_DUPFD, 3); /* so that neither dup2() below closes the other */
    out = fcntl(out, F_DUPFD, 3);
    return in >= 0 && out >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2;
}

static void set_environment(const char *const *settings)
{
    for (; settings && *settings; settings++)
        if (strchr(*settings, '='))
            putenv((char *)*settings);
        else
            unsetenv(*settings);
}

/* Executes the program; returns an errno for the parent if that fails.  Signals are blocked until
 * the handlers are reset, because those write into the loop's pipe, which the parent shares. */
static int become(const struct proc_start *start, pid_t parent)
{
    setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        return ECHILD; /* the parent has ended */
    if (!set_descriptors(start->in, start->out))
        return errno;
    close_others();
    set_environment(start->settings);
    default_signals();
    execvp(start->argv[0], (char *const *)start->argv);
    return errno;
}

/* ---- ending ---- */

static bool group_is_left(const struct proc *proc)
{
    return kill(-proc->pid, 0) == 0;
}

static void free_proc(struct proc *proc)
{
    struct proc **p = proc->list;
    while (*p != proc)
        p = &(*p)->next;
    *p = proc->next;
    loop_unchild(proc->loop, &proc->child);
    loop_timer_cancel(proc->loop, &proc->timer);
    if (proc->output >= 0)
        close(proc->output);
    free(proc);
}

/* Nothing of the group is left: its number may be reused, so no signal may be sent to it. */
static void forget(struct proc *proc)
{
    proc->pid = 0;
    loop_timer_cancel(proc->loop, &proc->timer);
    if (proc->orphan)
        free_proc(proc);
}

static void look_again(struct proc *proc)
{
    double next = loop_now(proc->loop) + LOOK;
    if (!proc->has_ended || next > proc->kill_at) /* SIGCHLD reports its own end */
        next = proc->kill_at;
    loop_timer_set(proc->loop, &proc->timer, next);
}

static void on_timer(void *arg)
{
    struct proc *proc = arg;
    if (proc->has_ended && !group_is_left(proc)) {
        forget(proc);
    } else if (loop_now(proc->loop) < proc->kill_at) {
        look_again(proc);
    } else {
        kill(-proc->pid, SIGKILL);
        if (proc->has_ended)
            forget(proc);
    }
}

void proc_end(struct proc *proc)
{
    if (proc->pid == 0 || proc->kill_at > 0)
        return;
    kill(-proc->pid, SIGTERM);
    kill(-proc->pid, SIGCONT); /* a stopped process handles SIGTERM only then */
    proc->kill_at = loop_now(proc->loop) + GRACE;
    look_again(proc);
}

static void on_end(void *arg, int status)
{
    struct proc *proc = arg;
    proc->has_ended = true;
    proc->status = status;
    void (*ended)(void *) = proc->ended;
    void *ended_arg = proc->arg;
    if (!group_is_left(proc)) {
        forget(proc);
    } else {
        proc_end(proc);
        look_again(proc);
    }
    if (ended)
        ended(ended_arg);
}

void proc_orphan(struct proc *proc, int output)
{
    proc->orphan = true;
    proc->output = output;
    proc->ended = NULL;
    if (proc->pid == 0)
        free_proc(proc);
    else
        proc_end(proc);
}

static void give_up(void *arg)
{
    *(bool *)arg = true;
}

void procs_release(struct proc **list, struct loop *loop)
{
    bool over = false;
    struct loop_timer limit = { .fire = give_up, .arg = &over };
    for (struct proc *proc = *list, *next; proc; proc = next) {
        next = proc->next;
        if (!proc->orphan)
            proc_orphan(proc, -1);
    }
    loop_timer_set(loop, &limit, loop_now(loop) + PATIENCE);
    while (*list && !over && loop_turn(loop, true)) {
    }
    loop_timer_cancel(loop, &limit);
    while (*list)
        free_proc(*list);
}

/* ---- starting ---- */

/* Reads what the child writes into the pipe if exec fails: errno.  0: exec succeeded. */
static int exec_error(int fd)
{
    int error = 0;
    ssize_t n;
    do {
        n = read(fd, &error, sizeof error);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof error ? error : 0;
}

/* Returns the pid, or -1 and errno. */
static pid_t fork_and_exec(const struct proc_start *start)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0)
        return -1;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid(), pid = fork();
    int error = errno;
    if (pid == 0) {
        int fd = fcntl(pipe_ends[1], F_DUPFD_CLOEXEC, 3);
        error = become(start, parent);
        ssize_t n = write(fd, &error, sizeof error);
        _exit(n < 0 ? 126 : 127);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(pipe_ends[1]);
    if (pid > 0) {
        error = exec_error(pipe_ends[0]);
        if (error) {
            waitpid(pid, NULL, 0);
            pid = -1;
        }
    }
    close(pipe_ends[0]);
    errno = error;
    return pid;
}

struct proc *proc_start(struct loop *loop, struct proc **list, const struct proc_start *start)
{
    struct proc *proc = calloc(1, sizeof *proc);
    if (!proc) {
        errno = ENOMEM;
        return NULL;
    }
    proc->pid = fork_and_exec(start);
    if (proc->pid < 0) {
        int error = errno;
        free(proc);
        errno = error;
        return NULL;
    }
    proc->loop = loop;
    proc->output = -1;
    proc->list = list;
    proc->next = *list;
    *list = proc;
    proc->timer = (struct loop_timer){ .fire = on_timer, .arg = proc };
    proc->child = (struct loop_child){ .ended = on_end, .arg = proc, .pid = proc->pid };
    loop_child(loop, &proc->child);
    return proc;
}
