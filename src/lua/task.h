/* SPDX-License-Identifier: MIT */
/* Tasks: Lua coroutines that wait for the loop.  All Lua code of a user runs in a task.
 *
 * A primitive makes a struct wait, starts an operation that will end it, and awaits it by a tail
 * call:
 *     return task_await(L, &wait, context, k);
 * In a task that can yield, the task sleeps and other tasks run.  Where Lua can't yield
 * (table.sort, gsub, a module's body), the loop is pumped until the wait has ended.  Then k runs,
 * and pushes results or raises.
 */
#ifndef TASK_H
#define TASK_H

#include <lua.h>
#include <stdbool.h>

struct loop;
struct task;
struct tasks;

/* What one task, or the main thread, waits for.  It must not move until it is done. */
struct wait {
    bool done;
    bool needs_tasks;                /* only another task can end it */
    bool for_permit;                 /* of a semaphore; for a deadlock's message */
    struct task *task;               /* resumed when it is done; NULL: the loop is pumped */
    void (*give_up)(struct wait *w); /* called to end it early: must lead to wait_done() soon */
};

struct tasks *tasks_new(lua_State *L, struct loop *loop);
void tasks_free(struct tasks *tasks);

/* Runs the function below its n arguments as a task, and then all tasks that it spawned to their
 * end.  Returns true, and pushes its first result; or false, and pushes the error.
 * [-(n+1), +1, m] */
bool tasks_run(lua_State *L, int n);

/* Cancels all tasks but supervisors and protected ones, as a signal does, with an error of that
 * code. */
void tasks_interrupt(struct tasks *tasks, const char *code, const char *message);

/* Cancels all tasks that are left, and runs them to their end. */
void tasks_end(struct tasks *tasks);

int task_await(lua_State *L, struct wait *w, lua_KContext context, lua_KFunction k);

/* Ends the wait; may be called again. */
void wait_done(struct wait *w);

/* Raises in a finalizer, where a primitive can't wait; and raises the cancellation of the running
 * task, if it is due.  Each primitive calls this before it starts an operation. [-0, +0, v] */
void task_check(lua_State *L);

/* Returns true, and pushes the error, if a cancellation of the running task is due.  Each k calls
 * this after it has recorded the outcome. [-0, +(0|1), -] */
bool task_cancelled(lua_State *L);

/* ---- for lbase.c ---- */

/* A coroutine yields this value, and no other, when its task waits. */
#define TASK_WAITS ((void *)task_await)

/* Returns the running task; NULL in the main thread. */
struct task *task_current(lua_State *L);
bool task_is_base(struct task *task, lua_State *L); /* L is the task's own coroutine */
bool task_unwinding(struct task *task);             /* its cancellation has been raised */
void task_push_cancellation(lua_State *L, struct task *task);

/* Called where a coroutine of the running task waits, but its caller can't yield: pumps the loop
 * until the wait is done. */
void task_pump(lua_State *L);

/* Sets the coroutine that the watchdog watches; returns the one before. */
lua_State *task_running(lua_State *L);

/* Cancels all tasks because of os.exit(status); raises in the running one. [-0, +0, v] */
int task_exit(lua_State *L, int status);

#endif
