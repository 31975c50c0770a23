/* SPDX-License-Identifier: MIT */
/* Tasks: Lua coroutines that wait for the loop.  Everything of a user's runs in one.
 *
 * A primitive makes a struct wait, starts something that will end it, and says
 *     return task_await(L, &wait, context, k);
 * as a tail call, and only so.  In a task that can yield, the task sleeps and others run;
 * elsewhere (table.sort, gsub, a module's body) the loop is pumped until the wait has ended.
 * Then k runs, and pushes results or raises.
 */
#ifndef TASK_H
#define TASK_H

#include <lua.h>
#include <stdbool.h>

struct loop;
struct task;
struct tasks;

/* One thing that is waited for.  It must stay where it is until it is done. */
struct wait {
    bool done;
    bool needs_tasks;                /* only another task can end it */
    bool for_permit;                 /* of a semaphore; for a deadlock's message */
    struct task *task;               /* who is resumed; NULL: somebody pumps */
    void (*give_up)(struct wait *w); /* somebody wants it to end: wait_done() must come soon */
};

struct tasks *tasks_new(lua_State *L, struct loop *loop);
void tasks_free(struct tasks *tasks);

/* Runs the function below its n arguments as a task, and all that it spawns to their end.
 * True, and pushes its first result; or false, and pushes the error. [-(n+1), +1, m] */
bool tasks_run(lua_State *L, int n);

/* Ends all tasks but supervisors and what cleans up, as a signal does, with an error of that code.
 */
void tasks_interrupt(struct tasks *tasks, const char *code, const char *message);

/* Ends all tasks that are left; nothing of Lua's sleeps afterwards. */
void tasks_end(struct tasks *tasks);

int task_await(lua_State *L, struct wait *w, lua_KContext context, lua_KFunction k);
void wait_done(struct wait *w);

/* Raises where a primitive makes no sense (a finalizer), and the error that a cancelled task
 * has coming.  Each primitive calls it before it starts anything. */
void task_check(lua_State *L);

/* True, and pushes the error, when the running task has one coming: what k of a primitive asks
 * after it took in its outcome. [-0, +(0|1), -] */
bool task_cancelled(lua_State *L);

/* ---- for lbase.c ---- */

/* A coroutine yields this, and only this, to say that its task waits. */
#define TASK_WAITS ((void *)task_await)

/* The task that runs now; NULL in the main thread. */
struct task *task_current(lua_State *L);
bool task_is_base(struct task *task, lua_State *L); /* L is the task's own coroutine */
bool task_unwinding(struct task *task);             /* its cancellation has been raised */
void task_push_cancellation(lua_State *L, struct task *task);

/* The running task can't yield any further, but one of its coroutines waits: waits here. */
void task_pump(lua_State *L);

/* Tells the watchdog which coroutine runs now; returns the one before. */
lua_State *task_running(lua_State *L);

/* Cancels all tasks because of os.exit(status), and raises in this one. */
int task_exit(lua_State *L, int status);

#endif
