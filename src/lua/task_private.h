/* SPDX-License-Identifier: MIT */
/* The inside of a task, for task.c (running, waiting, cancelling), ltask.c (module `task`) and
 * lsemaphore.c (semaphores). */
#ifndef TASK_PRIVATE_H
#define TASK_PRIVATE_H

#include "loop/loop.h"
#include "lua/task.h"

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

/* A userdata.  The registry holds it (`ref`) until the task has ended and, if it failed, until the
 * failure was reported. */
struct task {
    struct tasks *owner;
    lua_State *co;
    int ref;                 /* LUA_NOREF: the registry holds it no more */
    struct task *next, **at; /* in the list of all that the registry holds; at: points here */
    struct task *next_ready; /* in the queue of those to be resumed */
    int arguments;           /* values on the stack of `co`, for the first resume */
    bool started, ready, finished, failed, joined, supervisor;
    bool protects_children; /* the tasks that it spawns are protected */
    bool is_protected;      /* not cancelled by signals, os.exit or the failure of another task */
    int results;            /* the number of values in user value TASK_RESULTS */
    unsigned failure_order; /* counts failures; the first unreported one is raised */
    struct wait *waiting;
    struct join *joins;     /* list of those that wait for its end */
    struct permit *permits; /* list of the permits of semaphores that it holds */
    enum cancel cancel;
    int cancellation;      /* registry reference of the error that is raised */
    bool failure_expected; /* cancelled on purpose: its error is not reported */
    bool clean_up;         /* spawned during a clean-up: it ends with the parent's grace */
    double grace_ends;     /* when clean-up must be over; set once the cancellation is raised */
    struct loop_timer grace, deadline;
};

/* Waiting for another task to end. */
struct join {
    struct wait wait;
    struct task *target;
    struct join *next;
    bool owns; /* a cancellation of the join cancels the target */
};

struct tasks {
    lua_State *L;
    struct loop *loop;
    struct task *all, **all_tail;
    struct task *ready, **ready_tail;
    struct task *current;
    struct wait settle; /* the wait of task.settle(), which one supervisor may call */
    bool settling;
    void (*end_permits)(struct task *task); /* called when a task that holds permits has ended */
    unsigned failures;                      /* so far */
    bool has_foreground;                    /* SIGINT cancels `foreground` only */
    bool has_gate;                          /* the next signal cancels `foreground` only */
    struct task *foreground;                /* NULL: it has ended */
};

struct tasks *tasks_of(lua_State *L);

/* Makes a task of the function and its n arguments on the top of L; it will run soon.
 * [-(n+1), +1, m] */
struct task *task_spawn(lua_State *L, int n);

/* Cancels the task with an error object of its own.  Returns false if it has ended, or was
 * cancelled before. */
bool task_cancel_with(struct task *task, const char *code, const char *message);

/* Returns true if the task failed, and no other task joined it. */
bool task_is_unreported(const struct task *task);

/* Removes a task from the list and the registry; Lua collects it when no script refers to it. */
void task_let_go(struct task *task);

/* Ends the wait of task.settle() if all tasks but supervisors have ended.  If one failed and was
 * not joined, cancels the others. */
void tasks_check_settled(struct tasks *tasks);

#endif
