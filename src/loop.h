/* SPDX-License-Identifier: MIT */
/* Time: one loop around poll(2), with timers, a ready queue, watched file descriptors,
 * child programs and signals.  It knows neither Lua nor USB.
 *
 * What it is given (timers, jobs, watches, children) belongs to the caller and is linked in
 * place; nothing here allocates for it.  Callbacks run from loop_turn() alone, never from
 * inside another call, so a callback may set, post, watch and cancel whatever it likes.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "timers.h"

struct loop;

/* Runs at the next turn, in the order of posting.  Zeroed: not posted. */
struct loop_job {
    void (*run)(void *arg);
    void *arg;
    struct loop_job *next;
    bool posted;
};

/* A file descriptor: ready() is called while it has any of `events` (of poll(2)). */
struct loop_watch {
    void (*ready)(void *arg, short events);
    void *arg;
    int fd;
    short events;
    struct loop_watch *next;
    size_t index; /* among what poll(2) was asked for; 0: it was not */
    bool watched;
    bool aside; /* no pending work: virtual time and the search for deadlocks pass it by */
};

/* A child process: ended() gets waitpid(2)'s status, once. */
struct loop_child {
    void (*ended)(void *arg, int status);
    void *arg;
    pid_t pid;
    struct loop_child *next;
    bool watched;
};

/* A signal that is otherwise left to the system (SIGWINCH, SIGTSTP): caught() comes from the loop.
 */
struct loop_signal {
    void (*caught)(void *arg, int signal);
    void *arg;
    int signal;
    struct loop_signal *next;
    bool watched;
};

/* NULL: no memory, or no file descriptors.  One loop at a time may have the signals. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* From now on time is virtual: it starts at 0 and jumps to the next timer as soon as nothing
 * but timers is awaited.  Only before anything was set. */
void loop_virtual_time(struct loop *loop);
bool loop_is_virtual(const struct loop *loop);

/* Virtual time: lets so many seconds pass. */
void loop_skip(struct loop *loop, double seconds);

/* Seconds since the loop was made, never going back (CLOCK_MONOTONIC, or virtual). */
double loop_now(struct loop *loop);

/* CLOCK_MONOTONIC in seconds, also where the loop's time is virtual. */
double loop_real_now(void);

void loop_timer_set(struct loop *loop, struct loop_timer *timer, double at);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);
void loop_post(struct loop *loop, struct loop_job *job);
void loop_unpost(struct loop *loop, struct loop_job *job);
void loop_watch(struct loop *loop, struct loop_watch *watch);
void loop_unwatch(struct loop *loop, struct loop_watch *watch);
void loop_child(struct loop *loop, struct loop_child *child);
void loop_unchild(struct loop *loop, struct loop_child *child);
void loop_hear(struct loop *loop, struct loop_signal *signal); /* in a loop that has the signals */
void loop_unhear(struct loop *loop, struct loop_signal *signal);

/* SIGINT, SIGTERM and SIGHUP come to `heard` from the loop; a second of them kills the process.
 * `tick`, if there is one, is called in signal context after each half second of processor time
 * that this process has used: the watchdog of code that never comes back to the loop. */
bool loop_signals(struct loop *loop, void (*heard)(void *arg, int signal), void (*tick)(void),
                  void *arg);

/* SIGINT comes to `heard` again and again, and kills nothing: somebody sees to each. */
void loop_spare_interrupts(struct loop *loop, bool spare);

/* What is done in signal context before a signal kills the process; NULL: nothing. */
void loop_last_act(void (*act)(void));

/* Sets the line for standard error after the last act: copied, cut at 4096 bytes; "": none. */
void loop_last_words(const char *words, size_t length);

/* Where these go: a descriptor that does not block, best. Standard error, until this is called. */
void loop_last_words_to(int fd);

/* True when a signal has asked the process to end. */
bool loop_interrupted(const struct loop *loop);

/* True when a signal was caught that `heard` has not yet been told of. */
bool loop_signalled(const struct loop *loop);

/* One turn: runs what is posted and due, and, when `wait`, sleeps until there is something.
 * False: there was nothing to do, and nothing is left that could ever come. */
bool loop_turn(struct loop *loop, bool wait);

#endif
