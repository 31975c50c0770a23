/* SPDX-License-Identifier: MIT */
/* The inside of a task, for the two files that make it: task.c (running, waiting, cancelling) and
 * ltask.c (what scripts call). */
#ifndef TASKDEV_H
#define TASKDEV_H

#include "loop.h"
#include "task.h"

#define TASK_TYPE "task.Task"

/* User values of a Task. */
enum {
    TASK_THREAD = 1,
    TASK_TAG,
    TASK_TRACEBACK,
    TASK_RESULTS,
    TASK_LIMIT,
    TASK_VALUES = TASK_LIMIT
};

enum cancel { NOT_CANCELLED, CANCEL_PENDING, CANCEL_RAISED };

/* Lives in its userdata, which the registry holds (`ref`) until it has ended and, if it failed,
 * until somebody was told. */
struct task {
    struct tasks *owner;
    lua_State *co;
    int ref;
    struct task *next, **at; /* of all that the registry holds; at: what points here */
    struct task *next_ready; /* of those that can go on */
    int arguments;           /* on its stack, for the first resume */
    bool started, ready, finished, failed, joined, supervisor;
    bool protects_children; /* what it makes is no more ended by signals than what cleans up is */
    bool is_protected;      /* made so */
    int results;            /* how many: in its user value */
    unsigned failure_order; /* the how-manieth failure it was */
    struct wait *waiting;
    struct join *joins;     /* who waits for its end */
    struct permit *permits; /* of semaphores, that it holds */
    enum cancel cancel;
    int cancellation;      /* registry reference of what is raised */
    bool failure_expected; /* it was told to end: failing so is no failure */
    bool clean_up;         /* made by one that was being cancelled: it has that one's time */
    double grace_ends;
    struct loop_timer grace, deadline;
};

/* Waiting for another task to end. */
struct join {
    struct wait wait;
    struct task *target;
    struct join *next;
    bool owns; /* giving up means cancelling the target */
};

struct tasks {
    lua_State *L;
    struct loop *loop;
    struct task *all, **all_tail;
    struct task *ready, **ready_tail;
    struct task *current;
    struct wait settle; /* a supervisor waits for all others */
    bool settling;
    void (*end_permits)(struct task *task); /* called when a task has ended that holds some */
    unsigned failures;                      /* so far */
    bool has_foreground;                    /* SIGINT is for one task alone, */
    struct task *foreground;                /* this one; NULL: it has ended */
};

struct tasks *tasks_of(lua_State *L);

/* Makes a task of the function and its n arguments on the top of L; it will run soon.
 * [-(n+1), +1, m] */
struct task *task_spawn(lua_State *L, int n);

/* False: it has ended, or was cancelled before. */
bool task_cancel_with(struct task *task, const char *code, const char *message);

/* It failed, and nobody was told. */
bool task_is_unreported(const struct task *task);

/* Forgets a task: what is left is the user's handle, if there is one. */
void task_let_go(struct task *task);

/* Ends the wait of task.settle() where nothing is left to wait for. */
void tasks_check_settled(struct tasks *tasks);

#endif
