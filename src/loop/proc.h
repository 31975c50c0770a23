/* SPDX-License-Identifier: MIT */
/* Child programs: started without a shell, ended together with all that they started.
 *
 * Each is the leader of a process group of its own.  proc_end() sends SIGTERM to the group, and
 * SIGKILL a second later.  Processes that a program leaves in its group when it ends are ended in
 * the same way.  If this program is killed (by a second SIGINT), the kernel kills them.
 */
#ifndef PROC_H
#define PROC_H

#include <stdbool.h>
#include <sys/types.h>

#include "loop/loop.h"

struct proc {
    void (*ended)(void *arg); /* called once, from the loop; or NULL */
    void *arg;
    bool has_ended;
    int status; /* waitpid(2)'s, once it has ended */
    pid_t pid;  /* 0: nothing of its group is left */

    /* proc.c's own */
    struct loop *loop;
    struct proc **list, *next;
    struct loop_child child;
    struct loop_timer timer;
    double kill_at; /* when SIGKILL is sent; 0: SIGTERM was not sent */
    bool orphan;    /* proc_orphan() was called */
    int output;     /* of an orphan: see there */
};

/* What to run: argv as for execvp(3); settings are "NAME=VALUE", or "NAME" to remove it from the
 * environment.  File descriptors 0, 1 and 2 of the program are `in`, `out` and `out`; it gets no
 * others.  No signal is blocked or ignored in it, except those that this program was started with
 * ignored (SIGHUP, by nohup). */
struct proc_start {
    const char *const *argv;
    const char *const *settings; /* NULL at the end; or NULL */
    int in, out;
};

/* Starts a program, and adds it to the list.  NULL and errno: no such program, no permission, no
 * memory. */
struct proc *proc_start(struct loop *loop, struct proc **list, const struct proc_start *start);

/* Sends SIGTERM, unless that was done. */
void proc_end(struct proc *proc);

/* Gives the program up: it is ended, and freed when nothing of its group is left.  output: the pipe
 * that it writes to, or -1.  It is closed then; closing it earlier could kill the program with
 * SIGPIPE. */
void proc_orphan(struct proc *proc, int output);

/* Ends all programs of the list, and waits for that, three seconds at most. */
void procs_release(struct proc **list, struct loop *loop);

#endif
