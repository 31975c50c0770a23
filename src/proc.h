/* SPDX-License-Identifier: MIT */
/* Programs that run beside us: started without a shell, ended with all that they started.
 *
 * Each is the leader of a process group of its own.  To end it is SIGTERM to the group, and SIGKILL
 * a second later; what it leaves behind in its group when it ends by itself is ended in the same
 * way.  Should this program die without having a say (a second SIGINT), the kernel kills it.
 */
#ifndef PROC_H
#define PROC_H

#include <stdbool.h>
#include <sys/types.h>

#include "loop.h"

struct proc {
    void (*ended)(void *arg); /* called once, from the loop; NULL: nobody wants to know */
    void *arg;
    bool has_ended;
    int status; /* waitpid(2)'s, then */
    pid_t pid;  /* 0: it has been forgotten, or was never started */

    /* proc.c's own */
    struct loop *loop;
    struct proc **list, *next;
    struct loop_child child;
    struct loop_timer timer;
    double kill_at; /* SIGKILL follows; 0: SIGTERM has not been sent */
    bool orphan;
    int output; /* of an orphan */
};

/* What is to run: argv as execvp(3) wants it; settings are "NAME=VALUE", or "NAME" to be taken out
 * of the environment.  Descriptors 0, 1 and 2 of the program are `in`, `out` and `out`; it gets no
 * others, no signal is blocked or ignored in it (but SIGHUP, as nohup has it). */
struct proc_start {
    const char *const *argv;
    const char *const *settings; /* NULL at the end; or NULL */
    int in, out;
};

/* Starts it, and puts it into the list.  NULL, and errno is set: it can't be, there is no such
 * program, it may not be run. */
struct proc *proc_start(struct loop *loop, struct proc **list, const struct proc_start *start);

/* Tells it to end, unless that was done. */
void proc_end(struct proc *proc);

/* Nobody wants it any more: it is told to end, and is freed when nothing is left of it.  `output`,
 * where it is read from, is closed then (-1: none): sooner, its last words would be its death. */
void proc_orphan(struct proc *proc, int output);

/* Ends all that are in the list, and waits for that; three seconds at most. */
void procs_release(struct proc **list, struct loop *loop);

#endif
