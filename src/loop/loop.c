/* SPDX-License-Identifier: MIT */
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_US       500000 /* processor time between two watchdog ticks */
#define LAST_WORDS    4096u  /* bytes: PIPE_BUF, which a pipe takes at once */
#define LONGEST_SLEEP 3600   /* seconds */
#define SHORT_OF_FDS  0.01   /* seconds: the longest sleep while memory for `fds` is missing */
#define FDS_AT_FIRST  16

struct loop {
    bool is_virtual;
    double now;   /* virtual time */
    double start; /* of the real clock */
    struct timers timers;
    struct loop_job *jobs, **jobs_tail;
    struct loop_watch *watches;
    struct loop_child *children;
    struct loop_signal *others; /* those of loop_hear() */
    struct pollfd *fds;
    size_t fds_size;
    int pipe[2];
    bool has_signals;
    void (*heard)(void *arg, int signal);
    void *heard_arg;
};

/* What the signal handlers use. */
static struct {
    volatile sig_atomic_t pipe;
    atomic_int caught;                 /* signals in the pipe that ask the process to end */
    volatile sig_atomic_t interrupted; /* one has come: the next kills */
    volatile sig_atomic_t survive;     /* ... unless it is one of these (enum loop_survive) */
    void (*tick)(void);
    void (*last_act)(void);
    char words[2][LAST_WORDS]; /* the handler writes words[current]; the other is filled */
    volatile size_t lengths[2];
    volatile sig_atomic_t current;
    volatile sig_atomic_t words_fd; /* 0: standard error */
} signals = { .pipe = -1 };

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };

double loop_real_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->fds = calloc(FDS_AT_FIRST, sizeof *loop->fds);
    loop->fds_size = FDS_AT_FIRST;
    if (!loop->fds || pipe(loop->pipe) != 0) {
        free(loop->fds);
        free(loop);
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(loop->pipe[i], F_SETFD, FD_CLOEXEC);
        fcntl(loop->pipe[i], F_SETFL, O_NONBLOCK);
    }
    loop->start = loop_real_now();
    loop->jobs_tail = &loop->jobs;
    return loop;
}

static void release_signals(void)
{
    struct itimerval off = { { 0, 0 }, { 0, 0 } };
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        signal(caught[i], SIG_DFL);
    signal(SIGVTALRM, SIG_DFL);
    signals.pipe = -1;
    signals.tick = NULL;
    signals.last_act = NULL;
    loop_last_words("", 0);
    signals.interrupted = 0;
    signals.survive = 0;
    signals.words_fd = 0;
    signals.caught = 0;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    if (loop->has_signals)
        release_signals();
    close(loop->pipe[0]);
    close(loop->pipe[1]);
    free(loop->fds);
    free(loop);
}

void loop_virtual_time(struct loop *loop)
{
    loop->is_virtual = true;
}

bool loop_is_virtual(const struct loop *loop)
{
    return loop->is_virtual;
}

void loop_skip(struct loop *loop, double seconds)
{
    loop->now += seconds;
}

double loop_now(struct loop *loop)
{
    return loop->is_virtual ? loop->now : loop_real_now() - loop->start;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    if (timer->set)
        timers_remove(&loop->timers, timer);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, double at)
{
    loop_timer_cancel(loop, timer);
    timers_add(&loop->timers, timer, at);
}

void loop_post(struct loop *loop, struct loop_job *job)
{
    if (job->posted)
        return;
    job->next = NULL;
    job->posted = true;
    *loop->jobs_tail = job;
    loop->jobs_tail = &job->next;
}

void loop_unpost(struct loop *loop, struct loop_job *job)
{
    if (!job->posted)
        return;
    struct loop_job **p = &loop->jobs;
    while (*p != job)
        p = &(*p)->next;
    *p = job->next;
    if (!*p)
        loop->jobs_tail = p;
    job->posted = false;
}

void loop_watch(struct loop *loop, struct loop_watch *watch)
{
    if (watch->watched)
        return;
    watch->next = loop->watches;
    watch->index = 0;
    loop->watches = watch;
    watch->watched = true;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
    if (!watch->watched)
        return;
    struct loop_watch **p = &loop->watches;
    while (*p != watch)
        p = &(*p)->next;
    *p = watch->next;
    watch->watched = false;
}

void loop_child(struct loop *loop, struct loop_child *child)
{
    if (child->watched)
        return;
    child->next = loop->children;
    loop->children = child;
    child->watched = true;
}

void loop_unchild(struct loop *loop, struct loop_child *child)
{
    if (!child->watched)
        return;
    struct loop_child **p = &loop->children;
    while (*p != child)
        p = &(*p)->next;
    *p = child->next;
    child->watched = false;
}

/* ---- signals ---- */

/* Does not wait for a reader that stalls. */
static void write_last_words(void)
{
    int fd = signals.words_fd > 0 ? (int)signals.words_fd : STDERR_FILENO;
    struct pollfd room = { .fd = fd, .events = POLLOUT };
    if (poll(&room, 1, 0) <= 0 ||
        write(fd, signals.words[signals.current], signals.lengths[signals.current]) < 0) {
        /* nothing to be done: the process ends */
    }
}

static bool asks_to_end(int signal_number)
{
    return signal_number == SIGINT || signal_number == SIGTERM || signal_number == SIGHUP;
}

/* The second signal that asks the process to end has its default action, after the last act. */
static void interrupt(int signal_number)
{
    if (signals.interrupted) {
        if (signals.last_act)
            signals.last_act();
        write_last_words();
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    signals.interrupted = 1;
}

static bool survives(int signal_number)
{
    return signals.survive == LOOP_SURVIVES_ALL ||
           (signals.survive == LOOP_SURVIVES_SIGINT && signal_number == SIGINT);
}

/* Passes the signal to the loop through the pipe.  If the pipe is full, the signal is dropped, and
 * not counted: hear_signals() could not count it back. */
static void on_signal(int signal_number)
{
    int saved = errno;
    bool ends = asks_to_end(signal_number);
    unsigned char byte = (unsigned char)signal_number;
    if (ends && !survives(signal_number))
        interrupt(signal_number);
    if (write((int)signals.pipe, &byte, 1) == 1 && ends)
        atomic_fetch_add(&signals.caught, 1);
    errno = saved;
}

static void on_tick(int signal_number)
{
    (void)signal_number;
    if (signals.tick)
        signals.tick();
}

bool loop_signals(struct loop *loop, void (*heard)(void *arg, int signal), void (*tick)(void),
                  void *arg)
{
    if (signals.pipe != -1)
        return false;
    loop->heard = heard;
    loop->heard_arg = arg;
    loop->has_signals = true;
    signals.pipe = loop->pipe[1];
    signals.tick = tick;

    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
        struct sigaction before;
        sigaction(caught[i], &action, &before);
        if (caught[i] == SIGHUP && before.sa_handler == SIG_IGN)
            signal(SIGHUP, SIG_IGN); /* started by nohup */
    }
    signal(SIGPIPE, SIG_IGN);
    if (tick) {
        struct itimerval every = { { 0, TICK_US }, { 0, TICK_US } };
        action.sa_handler = on_tick;
        sigaction(SIGVTALRM, &action, NULL);
        setitimer(ITIMER_VIRTUAL, &every, NULL);
    }
    return true;
}

void loop_survive(struct loop *loop, enum loop_survive survive)
{
    if (loop->has_signals)
        signals.survive = (sig_atomic_t)survive;
}

void loop_last_act(void (*act)(void))
{
    signals.last_act = act;
}

void loop_last_words(const char *words, size_t length)
{
    sig_atomic_t next = !signals.current;
    if (length > LAST_WORDS)
        length = LAST_WORDS;
    memcpy(signals.words[next], words, length);
    signals.lengths[next] = length;
    signals.current = next;
}

void loop_last_words_to(int fd)
{
    signals.words_fd = fd;
}

bool loop_interrupted(const struct loop *loop)
{
    return loop->has_signals && signals.interrupted;
}

void loop_hear(struct loop *loop, struct loop_signal *heard)
{
    if (heard->watched || !loop->has_signals)
        return;
    heard->next = loop->others;
    loop->others = heard;
    heard->watched = true;
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaction(heard->signal, &action, NULL);
}

void loop_unhear(struct loop *loop, struct loop_signal *heard)
{
    if (!heard->watched)
        return;
    struct loop_signal **p = &loop->others;
    while (*p != heard)
        p = &(*p)->next;
    *p = heard->next;
    heard->watched = false;
    signal(heard->signal, SIG_DFL);
}

bool loop_signalled(const struct loop *loop)
{
    return loop->has_signals && signals.caught > 0;
}

/* Waits for each child by its pid: a library may have children of its own. */
static void reap_children(struct loop *loop)
{
    struct loop_child *child = loop->children;
    while (child) {
        int status;
        pid_t pid = waitpid(child->pid, &status, WNOHANG);
        if (pid != child->pid) {
            child = child->next;
            continue;
        }
        loop_unchild(loop, child);
        child->ended(child->arg, status);
        child = loop->children; /* the callback may have changed the list */
    }
}

static void pass_on(struct loop *loop, int signal_number)
{
    struct loop_signal *heard = loop->others;
    while (heard && heard->signal != signal_number)
        heard = heard->next;
    if (heard)
        heard->caught(heard->arg, signal_number);
}

static void hear_signals(struct loop *loop)
{
    unsigned char bytes[64];
    ssize_t n = read(loop->pipe[0], bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] == SIGCHLD) {
            reap_children(loop);
        } else if (asks_to_end(bytes[i])) {
            atomic_fetch_sub(&signals.caught, 1);
            loop->heard(loop->heard_arg, bytes[i]);
        } else {
            pass_on(loop, bytes[i]);
        }
    }
}

/* ---- a turn ---- */

/* Runs the jobs that are posted now.  Those that they post wait for the next turn, so that a job
 * that posts itself does not starve the rest. */
static bool run_jobs(struct loop *loop)
{
    size_t n = 0;
    for (struct loop_job *job = loop->jobs; job; job = job->next)
        n++;
    bool any = n > 0;
    for (; n > 0 && loop->jobs; n--) {
        struct loop_job *job = loop->jobs;
        loop_unpost(loop, job);
        job->run(job->arg);
    }
    return any;
}

/* Likewise: a timer may set itself for "now", and virtual time does not advance here. */
static bool fire_timers(struct loop *loop)
{
    double now = loop_now(loop);
    uint64_t end = loop->timers.order;
    struct loop_timer *timer;
    bool any = false;
    while ((timer = loop->timers.first) != NULL && timer->at <= now && timer->order < end) {
        timers_remove(&loop->timers, timer);
        timer->fire(timer->arg);
        any = true;
    }
    return any;
}

/* Fills in what poll(2) is asked for, and returns how many it is.  Without memory for all of it,
 * leaves out the oldest watches, and sets `all` to false. */
static size_t fill_fds(struct loop *loop, bool *all)
{
    size_t n = 1;
    for (struct loop_watch *watch = loop->watches; watch; watch = watch->next)
        n++;
    struct pollfd *fds = n > loop->fds_size ? realloc(loop->fds, n * sizeof *fds) : NULL;
    if (fds) {
        loop->fds = fds;
        loop->fds_size = n;
    }
    *all = n <= loop->fds_size;
    loop->fds[0] = (struct pollfd){ .fd = loop->pipe[0], .events = POLLIN };
    n = 1;
    for (struct loop_watch *watch = loop->watches; watch; watch = watch->next) {
        bool fits = n < loop->fds_size;
        watch->index = fits ? n : 0;
        if (fits)
            loop->fds[n++] = (struct pollfd){ .fd = watch->fd, .events = watch->events };
    }
    return n;
}

/* A callback may remove any watch, add some, or take a turn of its own, which polls anew.  So each
 * watch is looked up by its index, and called once. */
static void dispatch_fds(struct loop *loop, size_t n)
{
    if (loop->fds[0].revents)
        hear_signals(loop);
    for (size_t i = 1; i < n; i++) {
        short events = loop->fds[i].revents;
        loop->fds[i].revents = 0;
        struct loop_watch *watch = events ? loop->watches : NULL;
        while (watch && watch->index != i)
            watch = watch->next;
        if (watch)
            watch->ready(watch->arg, events);
    }
}

static bool watches_something(const struct loop *loop)
{
    const struct loop_watch *watch = loop->watches;
    while (watch && watch->aside)
        watch = watch->next;
    return watch != NULL;
}

/* Seconds that a turn may sleep; -1: until something happens. */
static double sleep_limit(struct loop *loop, bool wait)
{
    if (!wait || loop->jobs)
        return 0;
    if (!loop->timers.first)
        return -1;
    if (loop->is_virtual && !watches_something(loop) && !loop->children)
        return 0;
    double left = loop->timers.first->at - loop_now(loop);
    return left <= 0 ? 0 : left > LONGEST_SLEEP ? LONGEST_SLEEP : left;
}

/* Rounded up, so that a timer is due after the sleep. */
static struct timespec as_timespec(double seconds)
{
    double whole = floor(seconds);
    long ns = (long)ceil((seconds - whole) * 1e9);
    return (struct timespec){ .tv_sec = (time_t)whole + ns / 1000000000,
                              .tv_nsec = ns % 1000000000 };
}

/* Virtual time jumps to the next timer after an idle sleep, and else passes like real time.  idle:
 * the whole time that sleep_limit() gave has passed. */
static void advance_clock(struct loop *loop, double slept, bool idle)
{
    if (!loop->is_virtual || !loop->timers.first || loop->jobs)
        return;
    double next = loop->timers.first->at;
    if (idle || loop->now + slept > next)
        loop->now = next > loop->now ? next : loop->now;
    else
        loop->now += slept;
}

bool loop_turn(struct loop *loop, bool wait)
{
    bool any = run_jobs(loop);
    any = fire_timers(loop) || any;
    wait = wait && !any;
    if (wait && !loop->jobs && !loop->timers.first && !watches_something(loop) && !loop->children)
        return loop_signalled(loop) ? (hear_signals(loop), true) : false;

    bool all;
    size_t n = fill_fds(loop, &all);
    double before = loop_real_now();
    double limit = sleep_limit(loop, wait);
    if (!all && (limit < 0 || limit > SHORT_OF_FDS))
        limit = SHORT_OF_FDS;
    struct timespec timeout = as_timespec(limit < 0 ? 0 : limit);
    int ready = ppoll(loop->fds, (nfds_t)n, limit < 0 ? NULL : &timeout, NULL);
    if (wait)
        advance_clock(loop, loop_real_now() - before, ready == 0 && all);
    if (ready > 0)
        dispatch_fds(loop, n);
    return true;
}
