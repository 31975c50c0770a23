/* SPDX-License-Identifier: MIT */
/* Counting semaphores for tasks.
 *
 *   task.semaphore(n) --> Semaphore
 *   semaphore:acquire() --> Permit   semaphore:release()
 *   permit:close(), also <close> and __gc
 */
#include "lua/lsemaphore.h"

#include <lauxlib.h>
#include <stdbool.h>

#include "lua/lmisuse.h"
#include "lua/task_private.h"

#define SEMAPHORE_TYPE "task.Semaphore"
#define PERMIT_TYPE    "task.Permit"

struct semaphore {
    lua_Integer count, free;            /* permits: in all, and not held */
    struct permit *queue, **queue_tail; /* of the tasks that wait, in their order */
};

/* User values of a Permit. */
enum { PERMIT_SEMAPHORE = 1, PERMIT_TASK };

/* Waits in the queue, is held, or is released. */
struct permit {
    struct wait wait;
    struct semaphore *semaphore; /* NULL: released */
    struct task *task;           /* which waits for it or holds it; NULL: the main thread */
    struct permit *next;         /* in the queue; or, if held, in the list of the task */
    bool is_held;
};

/* ---- acquiring and releasing ---- */

static void hold(struct permit *permit)
{
    permit->semaphore->free--;
    permit->is_held = true;
    if (!permit->task)
        return;
    permit->next = permit->task->permits;
    permit->task->permits = permit;
}

static void unhold(struct permit *permit)
{
    struct permit **at = permit->task ? &permit->task->permits : NULL;
    while (at && *at && *at != permit)
        at = &(*at)->next;
    if (at && *at)
        *at = permit->next;
    permit->is_held = false;
    permit->semaphore->free++;
}

static void enqueue(struct permit *permit)
{
    struct semaphore *semaphore = permit->semaphore;
    *semaphore->queue_tail = permit;
    semaphore->queue_tail = &permit->next;
}

static void leave_queue(struct permit *permit)
{
    struct semaphore *semaphore = permit->semaphore;
    struct permit **at = &semaphore->queue;
    while (*at != permit)
        at = &(*at)->next;
    *at = permit->next;
    if (semaphore->queue_tail == &permit->next)
        semaphore->queue_tail = at;
}

/* Gives the free permits to the tasks that have waited longest. */
static void serve_queue(struct semaphore *semaphore)
{
    while (semaphore->free > 0 && semaphore->queue) {
        struct permit *permit = semaphore->queue;
        leave_queue(permit);
        hold(permit);
        wait_done(&permit->wait);
    }
}

/* May be called again. */
static void release(struct permit *permit)
{
    struct semaphore *semaphore = permit->semaphore;
    if (!semaphore)
        return;
    if (permit->is_held)
        unhold(permit);
    else
        leave_queue(permit);
    permit->semaphore = NULL;
    serve_queue(semaphore);
}

/* ---- tasks that end ---- */

static bool is_returned(const struct task *task, const struct permit *permit)
{
    lua_State *L = task->owner->L;
    int top = lua_gettop(L);
    bool found = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
    lua_getiuservalue(L, -1, TASK_RESULTS);
    for (int i = 1; i <= task->results && !found; i++) {
        lua_rawgeti(L, top + 2, i);
        found = lua_touserdata(L, -1) == permit;
        lua_settop(L, top + 2);
    }
    lua_settop(L, top);
    return found;
}

/* Called when the task has ended: releases its permits, but not those that it returned. */
static void end_permits(struct task *task)
{
    for (struct permit *permit = task->permits, *next; permit; permit = next) {
        next = permit->next;
        if (!is_returned(task, permit))
            release(permit);
    }
}

void lsemaphore_hand_over(lua_State *L, const struct task *from, int first)
{
    for (int i = first; i <= lua_gettop(L); i++) {
        struct permit *permit = luaL_testudata(L, i, PERMIT_TYPE);
        if (!permit || !permit->is_held || permit->task != from)
            continue;
        unhold(permit);
        permit->task = task_current(L);
        hold(permit);
        if (permit->task)
            lua_rawgeti(L, LUA_REGISTRYINDEX, permit->task->ref);
        else
            lua_pushnil(L);
        lua_setiuservalue(L, i, PERMIT_TASK);
    }
}

/* ---- class Semaphore ---- */

static lua_Integer count_held(const struct task *task, const struct semaphore *semaphore)
{
    lua_Integer n = 0;
    for (const struct permit *permit = task ? task->permits : NULL; permit; permit = permit->next)
        n += permit->semaphore == semaphore;
    return n;
}

static void give_up(struct wait *w)
{
    release((struct permit *)w);
    wait_done(w);
}

static int acquired(lua_State *L, int status, lua_KContext context)
{
    struct permit *permit = (struct permit *)context;
    (void)status;
    if (task_cancelled(L)) {
        release(permit); /* the permit may have come together with the cancellation */
        return lua_error(L);
    }
    if (!permit->semaphore)
        return luaL_error(L,
                          "a permit can't be waited for here: in a sort, a gsub, a module's body");
    lua_settop(L, 2);
    return 1;
}

/*** semaphore:acquire() --> Permit: waits until one is free, first come, first served. */
static int lsemaphore_acquire(lua_State *L)
{
    struct semaphore *semaphore = method_self(L, SEMAPHORE_TYPE);
    struct task *task = task_current(L);
    task_check(L);
    if (count_held(task, semaphore) == semaphore->count)
        return luaL_error(L, "deadlock: this task holds all permits of the semaphore");
    lua_settop(L, 1);
    struct permit *permit = lua_newuserdatauv(L, sizeof *permit, PERMIT_TASK);
    *permit =
        (struct permit){ .wait = { .needs_tasks = true, .for_permit = true, .give_up = give_up },
                         .task = task };
    luaL_setmetatable(L, PERMIT_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, PERMIT_SEMAPHORE);
    if (task) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
        lua_setiuservalue(L, 2, PERMIT_TASK);
    }
    permit->semaphore = semaphore;
    if (semaphore->free > 0) { /* then the queue is empty */
        hold(permit);
        return 1;
    }
    enqueue(permit);
    return task_await(L, &permit->wait, (lua_KContext)permit, acquired);
}

/*** semaphore:release(): releases the permit that this task acquired last. */
static int lsemaphore_release(lua_State *L)
{
    const struct semaphore *semaphore = method_self(L, SEMAPHORE_TYPE);
    const struct task *task = task_current(L);
    struct permit *permit = task ? task->permits : NULL;
    while (permit && permit->semaphore != semaphore)
        permit = permit->next;
    if (!permit)
        return misuse(L, "this task holds no permit of the semaphore");
    release(permit);
    return 0;
}

/*** permit:close(): releases it; also <close>, and when it is collected. */
static int lpermit_close(lua_State *L)
{
    release(method_self(L, PERMIT_TYPE));
    return 0;
}

/*** task.semaphore(n?) --> Semaphore, of n permits; 1. */
static int lsemaphore_new(lua_State *L)
{
    lua_Integer n = luaL_optinteger(L, 1, 1);
    luaL_argcheck(L, n >= 1, 1, "the number of permits: 1 or more");
    struct semaphore *semaphore = lua_newuserdatauv(L, sizeof *semaphore, 0);
    *semaphore = (struct semaphore){ .count = n, .free = n };
    semaphore->queue_tail = &semaphore->queue;
    luaL_setmetatable(L, SEMAPHORE_TYPE);
    return 1;
}

static const luaL_Reg task_lib[] = {
    { "semaphore", lsemaphore_new },
    { NULL, NULL },
};

static const luaL_Reg semaphore_meth[] = {
    { "acquire", lsemaphore_acquire },
    { "release", lsemaphore_release },
    { NULL, NULL },
};

static const luaL_Reg permit_meth[] = {
    { "close", lpermit_close },
    { NULL, NULL },
};

static const luaL_Reg permit_meta[] = {
    { "__close", lpermit_close },
    { "__gc", lpermit_close },
    { NULL, NULL },
};

void lsemaphore_open(lua_State *L)
{
    tasks_of(L)->end_permits = end_permits;
    luaL_newmetatable(L, SEMAPHORE_TYPE);
    luaL_newlib(L, semaphore_meth);
    lua_setfield(L, -2, "__index");
    luaL_newmetatable(L, PERMIT_TYPE);
    luaL_setfuncs(L, permit_meta, 0);
    luaL_newlib(L, permit_meth);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
    luaL_setfuncs(L, task_lib, 0);
}
