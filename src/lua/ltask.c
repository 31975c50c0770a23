/* SPDX-License-Identifier: MIT */
/* Module `task`, class Task. */
#include "lua/ltask.h"

#include <lauxlib.h>
#include <math.h>

#include "lua/lsemaphore.h"
#include "lua/lmisuse.h"
#include "lua/task_private.h"

/* Shortest sleep on the virtual clock, in seconds: a loop that polls with sleep(0) sees time pass.
 */
#define VIRTUAL_TURN 1e-5

static struct task *check_self(lua_State *L)
{
    return method_self(L, TASK_TYPE);
}

static double check_seconds(lua_State *L, int index)
{
    double seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds >= 0 && isfinite(seconds), index, "seconds, 0 or more");
    return seconds;
}

/*** task.spawn(f, ...) --> Task: runs f(...) as a task. */
static int ltask_spawn(lua_State *L)
{
    task_check(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    task_spawn(L, lua_gettop(L) - 1);
    return 1;
}

/* Pushes the results of an ended task, or raises its error.  Its userdata is on the top of L.
 * [-0, +results, v] */
static int push_outcome(lua_State *L, struct task *task)
{
    luaL_checkstack(L, task->results + 1, "too many results");
    lua_getiuservalue(L, -1, TASK_RESULTS);
    int kept = lua_gettop(L);
    for (int i = 1; i <= task->results; i++)
        lua_rawgeti(L, kept, i);
    if (!task->failed) {
        lsemaphore_hand_over(L, task, kept + 1);
        return task->results;
    }
    task->joined = true;
    task_let_go(task);
    return lua_error(L);
}

static int join_ended(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct join *join = (struct join *)context;
    if (task_cancelled(L))
        return lua_error(L);
    if (!join->target->finished)
        return luaL_error(L, "a task can't be joined here: in a sort, a gsub, a module's body");
    lua_settop(L, 1);
    return push_outcome(L, join->target);
}

/* When an owning join is cancelled, it cancels its target and keeps waiting; a target that was
 * never started will not run, so the join ends. */
static void give_up_join(struct wait *w)
{
    struct join *join = (struct join *)w;
    if (join->owns) {
        task_cancel_with(join->target, "cancelled", "cancelled");
        if (join->target->started)
            return;
        join->target->failure_expected = true;
    }
    struct join **p = &join->target->joins;
    while (*p && *p != join)
        p = &(*p)->next;
    if (*p)
        *p = join->next;
    wait_done(w);
}

/* Returns true if the task waits for the end of `last`, directly or through other tasks. */
static bool waits_for(const struct task *task, const struct task *last)
{
    while (task != last) {
        const struct wait *w = task->waiting;
        if (!w || w->done || w->give_up != give_up_join)
            return false;
        task = ((const struct join *)w)->target;
    }
    return true;
}

/* Joins the Task at index 1. */
static int await_task(lua_State *L, bool owns)
{
    struct task *target = check_self(L), *task = task_current(L);
    if (task == target)
        return luaL_error(L, "a task can't join itself");
    if (task && waits_for(target, task))
        return luaL_error(L, "deadlock: the task to be joined waits for this one");
    struct join *join = lua_newuserdatauv(L, sizeof *join, 0);
    *join = (struct join){
        .wait = { .done = target->finished, .needs_tasks = true, .give_up = give_up_join },
        .target = target,
        .owns = owns
    };
    if (!target->finished) {
        struct join **p = &target->joins;
        while (*p)
            p = &(*p)->next;
        *p = join;
    }
    return task_await(L, &join->wait, (lua_KContext)join, join_ended);
}

/*** task:join() --> the results of its function; raises its error. */
static int ltask_join(lua_State *L)
{
    check_self(L);
    task_check(L);
    return await_task(L, false);
}

/*** task:cancel(): raises `cancelled` in it, where it waits. */
static int ltask_cancel(lua_State *L)
{
    struct task *task = check_self(L);
    if (task_cancel_with(task, "cancelled", "cancelled"))
        task->failure_expected = true;
    if (task == task_current(L))
        task_check(L);
    return 0;
}

/*** task:traceback() --> string; nil, if the task has not failed. */
static int ltask_traceback(lua_State *L)
{
    check_self(L);
    lua_getiuservalue(L, 1, TASK_TRACEBACK);
    return 1;
}

/* The message is a user value of the Task. */
static void on_deadline(void *arg)
{
    struct task *task = arg;
    lua_State *L = task->owner->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
    lua_getiuservalue(L, -1, TASK_LIMIT);
    task_cancel_with(task, "timeout", lua_tostring(L, -1));
    lua_pop(L, 2);
}

/* Sets the task's deadline, from now on.  The message of its error is on the top of L.
 * [-1, +0, m] */
static void set_deadline(lua_State *L, struct task *task, double seconds)
{
    struct loop *loop = task->owner->loop;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, TASK_LIMIT);
    lua_pop(L, 1);
    task->deadline.fire = on_deadline;
    task->deadline.arg = task;
    loop_timer_set(loop, &task->deadline, loop_now(loop) + seconds);
}

/* Pushes "not done within 5 s". [-0, +1, m] */
static void push_limit_message(lua_State *L, double seconds)
{
    if (seconds == floor(seconds) && seconds < 1e15)
        lua_pushinteger(L, (lua_Integer)seconds);
    else
        lua_pushnumber(L, seconds);
    lua_pushfstring(L, "not done within %s s", lua_tostring(L, -1));
    lua_remove(L, -2);
}

/*** task:limit(seconds?, message?): raises `timeout` in it if it takes longer; nil: no limit. */
static int ltask_limit(lua_State *L)
{
    struct task *task = check_self(L);
    if (task->finished)
        return 0;
    if (lua_isnoneornil(L, 2)) {
        loop_timer_cancel(task->owner->loop, &task->deadline);
        return 0;
    }
    double seconds = check_seconds(L, 2);
    if (lua_isnoneornil(L, 3))
        push_limit_message(L, seconds);
    else
        lua_pushstring(L, luaL_checkstring(L, 3));
    set_deadline(L, task, seconds);
    return 0;
}

/*** task.deadline(seconds, f, ...) --> the results of f(...); raises `timeout` if it takes longer.
 */
static int ltask_deadline(lua_State *L)
{
    task_check(L);
    double seconds = check_seconds(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (task_current(L) && !lua_isyieldable(L))
        return luaL_error(L, "a deadline can't be set here: in a sort, a gsub, a module's body");
    struct task *task = task_spawn(L, lua_gettop(L) - 2);
    lua_replace(L, 1);
    lua_settop(L, 1);
    push_limit_message(L, seconds);
    set_deadline(L, task, seconds);
    return await_task(L, true);
}

struct sleep {
    struct wait wait;
    struct loop_timer timer;
    struct loop *loop;
};

static void sleep_over(void *arg)
{
    struct sleep *sleep = arg;
    wait_done(&sleep->wait);
}

static void give_up_sleep(struct wait *w)
{
    struct sleep *sleep = (struct sleep *)w;
    loop_timer_cancel(sleep->loop, &sleep->timer);
    wait_done(w);
}

static int slept(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return task_cancelled(L) ? lua_error(L) : 0;
}

/*** task.sleep(seconds) */
static int ltask_sleep(lua_State *L)
{
    double seconds = check_seconds(L, 1);
    task_check(L);
    struct loop *loop = tasks_of(L)->loop;
    struct sleep *sleep = lua_newuserdatauv(L, sizeof *sleep, 0);
    *sleep = (struct sleep){ .wait = { .give_up = give_up_sleep },
                             .timer = { .fire = sleep_over, .arg = sleep },
                             .loop = loop };
    if (loop_is_virtual(loop) && seconds < VIRTUAL_TURN)
        seconds = VIRTUAL_TURN;
    loop_timer_set(loop, &sleep->timer, loop_now(loop) + seconds);
    return task_await(L, &sleep->wait, 0, slept);
}

/*** task.now() --> seconds on the loop's clock */
static int ltask_now(lua_State *L)
{
    lua_pushnumber(L, loop_now(tasks_of(L)->loop));
    return 1;
}

/*** task.current() --> the running Task */
static int ltask_current(lua_State *L)
{
    struct task *task = task_current(L);
    if (!task || task->ref == LUA_NOREF)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
    return 1;
}

/*** task.tag(value?) --> the tag before: sets the tag of this task, which the tasks that it spawns
 * inherit. */
static int ltask_tag(lua_State *L)
{
    int set = lua_gettop(L) > 0;
    if (ltask_current(L) == 0)
        return 0;
    int self = lua_gettop(L);
    lua_getiuservalue(L, self, TASK_TAG);
    if (set) {
        lua_pushvalue(L, 1);
        lua_setiuservalue(L, self, TASK_TAG);
    }
    return 1;
}

/*** task.can_join() --> boolean; false in a sort, a gsub or a module's body */
static int ltask_can_join(lua_State *L)
{
    lua_pushboolean(L, lua_isyieldable(L));
    return 1;
}

/*** task.end_tagged(value): cancels all tasks with that tag */
static int ltask_end_tagged(lua_State *L)
{
    struct tasks *tasks = tasks_of(L);
    luaL_checkany(L, 1);
    for (struct task *task = tasks->all; task; task = task->next) {
        if (task->finished || task == tasks->current)
            continue;
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
        lua_getiuservalue(L, -1, TASK_TAG);
        bool is_tagged = lua_rawequal(L, -1, 1);
        lua_pop(L, 2);
        if (is_tagged && task_cancel_with(task, "cancelled", "the unit has ended"))
            task->failure_expected = true;
    }
    return 0;
}

/*** task.supervise(children?): signals and os.exit don't cancel this task.  children: nor the tasks
 * that it spawns from now on. */
static int ltask_supervise(lua_State *L)
{
    struct task *task = task_current(L);
    if (task) {
        task->supervisor = true;
        task->protects_children = lua_toboolean(L, 1);
    }
    return 0;
}

static void give_up_settle(struct wait *w)
{
    wait_done(w);
}

static struct task *first_failure(const struct tasks *tasks)
{
    struct task *first = NULL;
    for (struct task *task = tasks->all; task; task = task->next)
        if (task_is_unreported(task) && (!first || task->failure_order < first->failure_order))
            first = task;
    return first;
}

static int settled(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct tasks *tasks = (struct tasks *)context;
    tasks->settling = false;
    if (task_cancelled(L))
        return lua_error(L);
    struct task *task = first_failure(tasks);
    if (!task)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
    return push_outcome(L, task);
}

/*** task.settle(): waits for all other tasks; raises the first failure of a task that was not
 * joined. */
static int ltask_settle(lua_State *L)
{
    task_check(L);
    struct tasks *tasks = tasks_of(L);
    if (!tasks->current || !tasks->current->supervisor || tasks->settling)
        return luaL_error(L, "only one supervisor can settle");
    tasks->settle = (struct wait){ .needs_tasks = true, .give_up = give_up_settle };
    tasks->settling = true;
    tasks_check_settled(tasks);
    return task_await(L, &tasks->settle, (lua_KContext)tasks, settled);
}

/*** task.failure() --> error, traceback of the first failed task that was not joined, which is
 * reported by this; nothing, if there is none. */
static int ltask_failure(lua_State *L)
{
    struct task *task = first_failure(tasks_of(L));
    if (!task)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
    lua_getiuservalue(L, -1, TASK_RESULTS);
    lua_rawgeti(L, -1, 1);
    lua_getiuservalue(L, -3, TASK_TRACEBACK);
    task->joined = true;
    task_let_go(task);
    return 2;
}

static void set_foreground(lua_State *L, bool is_gate)
{
    struct tasks *tasks = tasks_of(L);
    struct task *task = lua_isnoneornil(L, 1) ? NULL : luaL_checkudata(L, 1, TASK_TYPE);
    tasks->has_foreground = task != NULL && !is_gate;
    tasks->has_gate = task != NULL && is_gate;
    tasks->foreground = task && !task->finished ? task : NULL;
    loop_survive(tasks->loop, !task     ? LOOP_SURVIVES_NONE
                              : is_gate ? LOOP_SURVIVES_ALL
                                        : LOOP_SURVIVES_SIGINT);
}

/*** task.foreground(job?): from now on each Ctrl-C cancels this task only; nil: all tasks, and the
 * second Ctrl-C ends the process. */
static int ltask_foreground(lua_State *L)
{
    set_foreground(L, false);
    return 0;
}

/*** task.gate(job?): the next signal that asks the process to end (SIGINT, SIGTERM, SIGHUP) cancels
 * this task only; the one after it cancels all tasks; nil: the next one does. */
static int ltask_gate(lua_State *L)
{
    set_foreground(L, true);
    return 0;
}

/*** task.others() --> the number of other tasks that have not ended, without supervisors */
static int ltask_others(lua_State *L)
{
    struct tasks *tasks = tasks_of(L);
    lua_Integer n = 0;
    for (const struct task *task = tasks->all; task; task = task->next)
        n += !task->finished && !task->supervisor && task != tasks->current;
    lua_pushinteger(L, n);
    return 1;
}

static int ltask_tostring(lua_State *L)
{
    struct task *task = check_self(L);
    const char *state = task->failed     ? "failed"
                        : task->finished ? "ended"
                        : task->waiting  ? "waiting"
                                         : "running";
    lua_pushfstring(L, "Task (%s)", state);
    return 1;
}

static int ltask_gc(lua_State *L)
{
    struct task *task = check_self(L);
    loop_timer_cancel(task->owner->loop, &task->grace);
    loop_timer_cancel(task->owner->loop, &task->deadline);
    luaL_unref(L, LUA_REGISTRYINDEX, task->cancellation);
    task->cancellation = LUA_NOREF;
    return 0;
}

static const luaL_Reg task_lib[] = {
    { "spawn", ltask_spawn },
    { "sleep", ltask_sleep },
    { "now", ltask_now },
    { "deadline", ltask_deadline },
    { "current", ltask_current },
    { "tag", ltask_tag },
    { "can_join", ltask_can_join },
    { "supervise", ltask_supervise },
    { "settle", ltask_settle },
    { "failure", ltask_failure },
    { "end_tagged", ltask_end_tagged },
    { "foreground", ltask_foreground },
    { "gate", ltask_gate },
    { "others", ltask_others },
    { NULL, NULL },
};

static const luaL_Reg task_meth[] = {
    { "join", ltask_join },   { "cancel", ltask_cancel },
    { "limit", ltask_limit }, { "traceback", ltask_traceback },
    { NULL, NULL },
};

static const luaL_Reg task_meta[] = {
    { "__index", NULL }, /* placeholder */
    { "__gc", ltask_gc },
    { "__tostring", ltask_tostring },
    { NULL, NULL },
};

int luaopen_task(lua_State *L)
{
    luaL_newmetatable(L, TASK_TYPE);
    luaL_setfuncs(L, task_meta, 0);
    luaL_newlib(L, task_meth);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, task_lib);
    lsemaphore_open(L);
    return 1;
}
