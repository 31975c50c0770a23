/* SPDX-License-Identifier: MIT */
/* Time: one loop around poll(2), with timers, jobs, watched file descriptors, child processes and
 * signals.  It knows neither Lua nor USB.
 *
 * Timers, jobs, watches and children belong to the caller and are linked in place; the loop
 * allocates nothing for them.  Callbacks run from loop_turn() alone, never from inside another
 * call, so a callback may set, post, watch and cancel anything.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "loop/timers.h"

struct loop;

/* A job: run once, at the next turn, in the order of posting.  Zeroed: not posted. */
struct loop_job {
    void (*run)(void *arg);
    void *arg;
    struct loop_job *next;
    bool posted;
};

/* A file descriptor: ready() is called at each turn at which it has any of `events` (of poll(2)).
 */
struct loop_watch {
    void (*ready)(void *arg, short events);
    void *arg;
    int fd;
    short events;
    struct loop_watch *next;
    size_t index; /* in the array of the last poll(2); 0: not in it */
    bool watched;
    bool aside; /* not pending work: ignored by virtual time and by the search for deadlocks */
};

/* A child process: ended() is called once, with waitpid(2)'s status. */
struct loop_child {
    void (*ended)(void *arg, int status);
    void *arg;
    pid_t pid;
    struct loop_child *next;
    bool watched;
};

/* A signal that the loop leaves to the system otherwise (SIGWINCH, SIGTSTP): caught() is called
 * from the loop. */
struct loop_signal {
    void (*caught)(void *arg, int signal);
    void *arg;
    int signal;
    struct loop_signal *next;
    bool watched;
};

/* NULL: no memory, or no file descriptors. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Makes time virtual: it starts at 0, and jumps to the next timer when nothing but timers is
 * awaited. To be called before any timer is set. */
void loop_virtual_time(struct loop *loop);
bool loop_is_virtual(const struct loop *loop);

/* Virtual time: lets `seconds` pass. */
void loop_skip(struct loop *loop, double seconds);

/* Seconds since the loop was made (CLOCK_MONOTONIC, or virtual): never less than before. */
double loop_now(struct loop *loop);

/* CLOCK_MONOTONIC in seconds, even if the loop's time is virtual. */
double loop_real_now(void);

void loop_timer_set(struct loop *loop, struct loop_timer *timer, double at);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);
void loop_post(struct loop *loop, struct loop_job *job);
void loop_unpost(struct loop *loop, struct loop_job *job);
void loop_watch(struct loop *loop, struct loop_watch *watch);
void loop_unwatch(struct loop *loop, struct loop_watch *watch);
void loop_child(struct loop *loop, struct loop_child *child);
void loop_unchild(struct loop *loop, struct loop_child *child);
void loop_hear(struct loop *loop, struct loop_signal *signal); /* after loop_signals() */
void loop_unhear(struct loop *loop, struct loop_signal *signal);

/* Passes SIGINT, SIGTERM and SIGHUP to `heard`, from the loop; the second of them kills the
 * process. `tick`, unless NULL, is called in signal context after each half second of processor
 * time of this process: a watchdog on code that does not return to the loop.  False: another loop
 * has the signals. */
bool loop_signals(struct loop *loop, void (*heard)(void *arg, int signal), void (*tick)(void),
                  void *arg);

/* Which signals do not kill the process when they come a second time; each is passed to `heard`. */
enum loop_survive { LOOP_SURVIVES_NONE, LOOP_SURVIVES_SIGINT, LOOP_SURVIVES_ALL };
void loop_survive(struct loop *loop, enum loop_survive survive);

/* Sets a function to be called in signal context before a signal kills the process; NULL: none. */
void loop_last_act(void (*act)(void));

/* Sets the text that is written after the last act.  It is copied, and cut at 4096 bytes. */
void loop_last_words(const char *words, size_t length);

/* Sets the file descriptor for the last words, best one that does not block.  Standard error, until
 * this is called. */
void loop_last_words_to(int fd);

/* Whether a signal has asked the process to end. */
bool loop_interrupted(const struct loop *loop);

/* Whether a signal was caught that was not passed to `heard` yet. */
bool loop_signalled(const struct loop *loop);

/* One turn: runs jobs and timers that are due, and what poll(2) reports.  wait: sleeps until there
 * is something to run.  Returns false if there was nothing to run, and nothing left to wait for. */
bool loop_turn(struct loop *loop, bool wait);

#endif
