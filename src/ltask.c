/* SPDX-License-Identifier: MIT */
#include "ltask.h"

#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "host.h"
#include "loop.h"

#define TASK_TYPE "task.Task"
#define GRACE     5.0 /* seconds of clean-up after a cancellation */

/* Seconds that a turn takes on the virtual clock: who polls with sleep(0) sees time pass. */
#define VIRTUAL_TURN 1e-5

/* User values of a Task. */
enum { TASK_THREAD = 1, TASK_TAG, TASK_TRACEBACK, TASK_RESULTS };

enum cancel { NOT_CANCELLED, CANCEL_PENDING, CANCEL_RAISED };

/* Lives in its userdata, which the registry holds (`box`) until it has ended and, if it failed,
 * until somebody was told. */
struct task {
    struct tasks *owner;
    lua_State *co;
    int box;
    struct task *next;       /* of all that the registry holds */
    struct task *next_ready; /* of those that can go on */
    int arguments;           /* on its stack, for the first resume */
    bool started, ready, finished, failed, joined, supervisor;
    int results;        /* how many: in its user value */
    unsigned failed_as; /* the how-manieth failure it was */
    struct wait *waiting;
    struct join *joins; /* who waits for its end */
    enum cancel cancel;
    int cancellation; /* registry reference of what is raised */
    bool excused;     /* it was told to end: failing so is no failure */
    bool clean_up;    /* made by one that was being cancelled: it has that one's time */
    double grace_ends;
    struct loop_timer grace, deadline;
    double allowed; /* seconds, of the deadline */
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
    struct task *all;
    struct task *ready, **ready_tail;
    struct task *current;
    struct wait settle; /* a supervisor waits for all others */
    bool settling;
    unsigned failures; /* so far */
};

/* The watchdog's view, from signal context: which coroutine is running, and for how many ticks
 * of processor time nothing has come back to the loop. */
static struct {
    lua_State *volatile running;
    volatile sig_atomic_t ticks;
} watchdog;

static bool cancel_with(struct task *task, const char *code, const char *message);

/* ---- bookkeeping ---- */

static struct tasks *tasks_of(lua_State *L)
{
    return host_of(L)->tasks;
}

struct task *task_current(lua_State *L)
{
    return tasks_of(L)->current;
}

bool task_is_base(struct task *task, lua_State *L)
{
    return task && task->co == L;
}

bool task_unwinding(struct task *task)
{
    return task->cancel == CANCEL_RAISED;
}

void task_push_cancellation(lua_State *L, struct task *task)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->cancellation);
}

lua_State *task_running(lua_State *L)
{
    lua_State *before = watchdog.running;
    watchdog.running = L;
    return before;
}

static void make_ready(struct task *task)
{
    struct tasks *tasks = task->owner;
    if (task->ready || task->finished)
        return;
    task->ready = true;
    task->next_ready = NULL;
    *tasks->ready_tail = task;
    tasks->ready_tail = &task->next_ready;
}

void wait_done(struct wait *w)
{
    if (w->done)
        return;
    w->done = true;
    if (w->task)
        make_ready(w->task);
}

/* Moves what the coroutine left on its stack into the task: whoever else holds the coroutine may
 * do with it what he likes. */
static void keep_results(struct task *task)
{
    lua_State *L = task->owner->L;
    luaL_checkstack(L, 3, NULL);
    task->results = lua_gettop(task->co);
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->box);
    lua_createtable(L, task->results, 0);
    for (int i = task->results; i > 0; i--) {
        lua_xmove(task->co, L, 1);
        lua_rawseti(L, -2, i);
    }
    lua_setiuservalue(L, -2, TASK_RESULTS);
    lua_pop(L, 1);
}

/* Forgets a task: what is left is the user's handle, if there is one. */
static void let_go(struct task *task)
{
    struct tasks *tasks = task->owner;
    struct task **p = &tasks->all;
    while (*p && *p != task)
        p = &(*p)->next;
    if (!*p)
        return;
    *p = task->next;
    luaL_unref(tasks->L, LUA_REGISTRYINDEX, task->box);
    task->box = LUA_NOREF;
}

static bool is_unreported(const struct task *task)
{
    return task->finished && task->failed && !task->joined && !task->excused;
}

/* Ends the supervisor's wait when it is alone.  If one of the others failed unheard, the rest is
 * told to end, and that is no failure of theirs. */
static void check_settled(struct tasks *tasks)
{
    if (!tasks->settling)
        return;
    bool alone = true, failure = false;
    for (struct task *task = tasks->all; task; task = task->next) {
        alone = alone && (task->finished || task->supervisor);
        failure = failure || is_unreported(task);
    }
    if (alone) {
        wait_done(&tasks->settle);
        return;
    }
    if (!failure)
        return;
    for (struct task *task = tasks->all; task; task = task->next)
        if (!task->supervisor && cancel_with(task, "cancelled", "cancelled: another task failed"))
            task->excused = true;
}

static void finish(struct task *task)
{
    struct tasks *tasks = task->owner;
    task->finished = true;
    if (task->failed)
        task->failed_as = ++tasks->failures;
    keep_results(task);
    loop_timer_cancel(tasks->loop, &task->grace);
    loop_timer_cancel(tasks->loop, &task->deadline);
    if (task->joins)
        task->joined = true;
    while (task->joins) {
        struct join *join = task->joins;
        task->joins = join->next;
        wait_done(&join->wait);
    }
    if (!is_unreported(task))
        let_go(task);
    check_settled(tasks);
}

/* ---- running ---- */

/* Called where the error is: a traceback can still be had. */
static int message_handler(lua_State *L)
{
    struct task *task = task_current(L);
    luaL_traceback(L, L, NULL, 1);
    if (task && task->box != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->box);
        lua_pushvalue(L, -2);
        lua_setiuservalue(L, -2, TASK_TRACEBACK);
    }
    lua_settop(L, 1);
    return 1;
}

static int body_ended(lua_State *L, int status, lua_KContext context)
{
    struct task *task = (struct task *)context;
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - 1;
    if (task->cancel == CANCEL_RAISED) /* whatever a __close made of it */
        task_push_cancellation(L, task);
    task->failed = true;
    return 1;
}

/* The bottom of each task's stack: the error is caught here, inside the coroutine, so that what
 * its <close> variables do may still wait. */
static int body(lua_State *L)
{
    struct task *task = task_current(L);
    lua_pushcfunction(L, message_handler);
    lua_insert(L, 1);
    lua_KContext context = (lua_KContext)task;
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, context, body_ended);
    return body_ended(L, status, context);
}

static void resume(struct task *task)
{
    struct tasks *tasks = task->owner;
    lua_State *co = task->co;
    task->waiting = NULL;
    if (!task->started && task->cancel == CANCEL_PENDING) {
        lua_settop(co, 0);
        task_push_cancellation(co, task);
        task->failed = true;
        finish(task);
        return;
    }
    int arguments = 0;
    if (task->started)
        lua_pop(co, 1); /* TASK_WAITS */
    else
        arguments = task->arguments;
    task->started = true;

    struct task *before = tasks->current;
    tasks->current = task;
    lua_State *was_running = task_running(co);
    watchdog.ticks = 0;
    int results;
    int status = lua_resume(co, tasks->L, arguments, &results);
    task_running(was_running);
    tasks->current = before;
    if (status == LUA_YIELD)
        return;
    if (status != LUA_OK) { /* not even body could catch it: out of memory, or of stack */
        lua_resetthread(co);
        task->failed = true;
    }
    finish(task);
}

static void run_ready(struct tasks *tasks)
{
    size_t n = 0;
    for (struct task *task = tasks->ready; task; task = task->next_ready)
        n++;
    for (; n > 0 && tasks->ready; n--) {
        struct task *task = tasks->ready;
        tasks->ready = task->next_ready;
        if (!tasks->ready)
            tasks->ready_tail = &tasks->ready;
        task->ready = false;
        resume(task);
    }
}

/* Waits here, without yielding.  The main thread runs tasks meanwhile; inside a task only input
 * and output goes on, so that what needs other tasks is given up at once, as is what nothing is
 * left to end: its continuation finds it not to have happened. */
static void pump(struct tasks *tasks, struct wait *w)
{
    w->task = NULL; /* nobody is resumed */
    if (tasks->current && w->needs_tasks && !w->done)
        w->give_up(w);
    while (!w->done) {
        if (!tasks->current)
            run_ready(tasks);
        bool can_run = !tasks->current && tasks->ready;
        if (!w->done && !loop_turn(tasks->loop, !can_run) && !can_run && !w->done)
            w->give_up(w);
    }
    if (tasks->current)
        tasks->current->waiting = NULL;
}

void task_pump(lua_State *L)
{
    struct tasks *tasks = tasks_of(L);
    pump(tasks, tasks->current->waiting);
}

int task_await(lua_State *L, struct wait *w, lua_KContext context, lua_KFunction k)
{
    struct task *task = task_current(L);
    if (w->done)
        return k(L, LUA_OK, context);
    if (task)
        task->waiting = w;
    if (task && lua_isyieldable(L)) {
        w->task = task;
        lua_pushlightuserdata(L, TASK_WAITS);
        return lua_yieldk(L, 1, context, k);
    }
    lua_State *before = task_running(NULL);
    pump(tasks_of(L), w);
    task_running(before);
    return k(L, LUA_OK, context);
}

/* ---- cancelling ---- */

static void give_up_waiting(struct task *task)
{
    if (task->waiting && !task->waiting->done)
        task->waiting->give_up(task->waiting);
}

/* The time for clean-up is over, its own or that of the task that made it. */
static void on_grace_over(void *arg)
{
    struct task *task = arg;
    if (task->cancel == NOT_CANCELLED)
        task->cancel = CANCEL_PENDING;
    give_up_waiting(task);
}

static void set_grace(struct task *task, double ends)
{
    struct loop *loop = task->owner->loop;
    task->grace_ends = ends;
    task->grace = (struct loop_timer){ .fire = on_grace_over, .arg = task };
    loop_timer_set(loop, &task->grace, ends);
}

/* Makes the value on the top of the main thread's stack what is raised in the task. */
static void set_cancellation(struct task *task)
{
    lua_State *L = task->owner->L;
    luaL_unref(L, LUA_REGISTRYINDEX, task->cancellation);
    task->cancellation = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* error_index: in the main thread's stack.  False: it has ended, or is being cancelled. */
static bool task_cancel(struct task *task, int error_index)
{
    if (task->finished || task->cancel != NOT_CANCELLED)
        return false;
    lua_pushvalue(task->owner->L, error_index);
    set_cancellation(task);
    task->cancel = CANCEL_PENDING;
    give_up_waiting(task);
    return true;
}

/* The same, with an error object of its own: where it strikes, that is noted there. */
static bool cancel_with(struct task *task, const char *code, const char *message)
{
    lua_State *L = task->owner->L;
    error_push(L, code, "%s", message);
    bool any = task_cancel(task, lua_gettop(L));
    lua_pop(L, 1);
    return any;
}

/* All supervisors, or all others.  True: there was one to cancel. */
static bool cancel_all(struct tasks *tasks, bool supervisors, const char *code, const char *message)
{
    bool any = false;
    for (struct task *task = tasks->all; task; task = task->next)
        if (task->supervisor == supervisors)
            any = cancel_with(task, code, message) || any;
    return any;
}

static bool has_cancellation_coming(struct task *task)
{
    if (!task || task->cancel == NOT_CANCELLED)
        return false;
    double now = loop_now(task->owner->loop);
    if (task->cancel == CANCEL_PENDING) {
        task->cancel = CANCEL_RAISED;
        if (!task->clean_up)
            set_grace(task, now + GRACE);
        return true;
    }
    return now >= task->grace_ends;
}

bool task_cancelled(lua_State *L)
{
    struct task *task = task_current(L);
    if (!has_cancellation_coming(task))
        return false;
    task_push_cancellation(L, task);
    return true;
}

/* Lua refuses to look at its collector from inside a finalizer, and so tells us. */
static bool is_in_finalizer(lua_State *L)
{
    return lua_gc(L, LUA_GCCOUNT) < 0;
}

void task_check(lua_State *L)
{
    if (is_in_finalizer(L))
        luaL_error(L, "a finalizer can't wait");
    if (task_cancelled(L))
        lua_error(L);
}

static void on_signal(void *arg, int signal_number)
{
    (void)signal_number;
    cancel_all(arg, false, "cancelled", "interrupted");
}

/* Code that never waits is stopped here: the hook was set because it ran for a second or more. */
static void on_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct tasks *tasks = tasks_of(L);
    struct task *task = tasks->current;
    if (!task)
        return;
    if (loop_is_virtual(tasks->loop)) /* nobody else lets time pass here */
        loop_skip(tasks->loop, 0.5 * watchdog.ticks);
    watchdog.ticks = 0;
    loop_turn(tasks->loop, false);
    lua_sethook(L, NULL, 0, 0);
    if (task_cancelled(L))
        lua_error(L);
}

/* In signal context, where lua_sethook is the one thing of Lua's that may be called. */
static void on_tick(void)
{
    lua_State *L = watchdog.running;
    watchdog.ticks = watchdog.ticks + 1;
    if (L && watchdog.ticks >= 2)
        lua_sethook(L, on_hook, LUA_MASKCOUNT, 1000);
}

int task_exit(lua_State *L, int status)
{
    struct tasks *tasks = tasks_of(L);
    struct task *current = tasks->current;
    lua_State *main = tasks->L;
    if (is_in_finalizer(L))
        return luaL_error(L, "a finalizer can't end the program");
    error_push(main, "exit", "exit %d", status);
    lua_pushinteger(main, status);
    lua_setfield(main, -2, "status");
    for (struct task *task = tasks->all; task; task = task->next)
        if (!task->supervisor)
            task_cancel(task, lua_gettop(main));
    if (L != main)
        lua_xmove(main, L, 1);
    if (current && current->cancel != NOT_CANCELLED) {
        has_cancellation_coming(current); /* from here on it has been raised */
        task_push_cancellation(L, current);
    }
    return lua_error(L);
}

/* ---- module task ---- */

/* The child, on the top of L, works on what its parent works on; and if that is cleaning up, has
 * no more time than it has. */
static void inherit(lua_State *L, struct task *child, struct task *parent)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, parent->box);
    lua_getiuservalue(L, -1, TASK_TAG);
    lua_setiuservalue(L, -3, TASK_TAG);
    lua_pop(L, 1);
    if (parent->cancel != CANCEL_RAISED)
        return;
    task_push_cancellation(parent->owner->L, parent);
    set_cancellation(child);
    child->clean_up = true;
    set_grace(child, parent->grace_ends);
}

/* Makes a task of the function and its arguments on the top of L. [-(n+1), +1, m] */
static struct task *spawn(lua_State *L, int n)
{
    struct tasks *tasks = tasks_of(L);
    int first = lua_gettop(L) - n;
    struct task *task = lua_newuserdatauv(L, sizeof *task, TASK_RESULTS);
    memset(task, 0, sizeof *task);
    task->owner = tasks;
    task->box = LUA_NOREF;
    task->cancellation = LUA_NOREF;
    luaL_setmetatable(L, TASK_TYPE);
    task->co = lua_newthread(L);
    lua_setiuservalue(L, -2, TASK_THREAD);
    luaL_checkstack(task->co, n + 3, "too many arguments");
    lua_insert(L, first);
    lua_pushcfunction(task->co, body);
    lua_xmove(L, task->co, n + 1);
    task->arguments = n + 1;

    lua_pushvalue(L, -1);
    task->box = luaL_ref(L, LUA_REGISTRYINDEX);
    struct task **p = &tasks->all;
    while (*p)
        p = &(*p)->next;
    *p = task;

    if (tasks->current)
        inherit(L, task, tasks->current);
    make_ready(task);
    return task;
}

static struct task *check_task(lua_State *L, int index)
{
    return luaL_checkudata(L, index, TASK_TYPE);
}

static double check_seconds(lua_State *L, int index)
{
    double seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds >= 0 && isfinite(seconds), index, "seconds, 0 or more");
    return seconds;
}

/*** task.spawn(f, ...) --> Task: runs f(...) beside what runs now. */
static int l_spawn(lua_State *L)
{
    task_check(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    spawn(L, lua_gettop(L) - 1);
    return 1;
}

/* Pushes what the task came to, or raises it.  Its userdata is on the top of L. */
static int push_outcome(lua_State *L, struct task *task)
{
    luaL_checkstack(L, task->results + 1, "too many results");
    lua_getiuservalue(L, -1, TASK_RESULTS);
    int kept = lua_gettop(L);
    for (int i = 1; i <= task->results; i++)
        lua_rawgeti(L, kept, i);
    if (!task->failed)
        return task->results;
    task->joined = true;
    let_go(task);
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

/* Whoever waits for a task of his own tells it to end, and waits on for that; unless it has not
 * begun, and so never will. */
static void give_up_join(struct wait *w)
{
    struct join *join = (struct join *)w;
    if (join->owns) {
        cancel_with(join->target, "cancelled", "cancelled");
        if (join->target->started)
            return;
        join->target->excused = true;
    }
    struct join **p = &join->target->joins;
    while (*p && *p != join)
        p = &(*p)->next;
    if (*p)
        *p = join->next;
    wait_done(w);
}

/* Whether the task waits, through others perhaps, for the end of `last`. */
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
    struct task *target = check_task(L, 1), *task = task_current(L);
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

/*** task:join() --> what its function returned; raises what it raised. */
static int task_join(lua_State *L)
{
    check_task(L, 1);
    task_check(L);
    return await_task(L, false);
}

/*** task:cancel(): ends it where it waits; its <close> variables run. */
static int l_cancel(lua_State *L)
{
    struct task *task = check_task(L, 1);
    if (cancel_with(task, "cancelled", "cancelled"))
        task->excused = true;
    if (task == task_current(L))
        task_check(L);
    return 0;
}

/*** task:traceback() --> string, of a task that failed. */
static int task_traceback(lua_State *L)
{
    check_task(L, 1);
    lua_getiuservalue(L, 1, TASK_TRACEBACK);
    return 1;
}

static void on_deadline(void *arg)
{
    struct task *task = arg;
    lua_State *L = task->owner->L;
    if (task->allowed == floor(task->allowed) && task->allowed < 1e15)
        lua_pushinteger(L, (lua_Integer)task->allowed);
    else
        lua_pushnumber(L, task->allowed);
    error_push(L, "timeout", "not done within %s s", lua_tostring(L, -1));
    task_cancel(task, lua_gettop(L));
    lua_pop(L, 2);
}

/*** task.deadline(seconds, f, ...) --> what f returns; raises `timeout` when it takes longer. */
static int l_deadline(lua_State *L)
{
    task_check(L);
    struct tasks *tasks = tasks_of(L);
    double seconds = check_seconds(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (task_current(L) && !lua_isyieldable(L))
        return luaL_error(L, "a deadline can't be set here: in a sort, a gsub, a module's body");
    struct task *task = spawn(L, lua_gettop(L) - 2);
    lua_replace(L, 1);
    lua_settop(L, 1);
    task->allowed = seconds;
    task->deadline = (struct loop_timer){ .fire = on_deadline, .arg = task };
    loop_timer_set(tasks->loop, &task->deadline, loop_now(tasks->loop) + seconds);
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
static int l_sleep(lua_State *L)
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
static int l_now(lua_State *L)
{
    lua_pushnumber(L, loop_now(tasks_of(L)->loop));
    return 1;
}

/*** task.current() --> the Task that runs */
static int l_current(lua_State *L)
{
    struct task *task = task_current(L);
    if (!task || task->box == LUA_NOREF)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->box);
    return 1;
}

/*** task.tag(value?) --> the value before: what this task and those it spawns work on. */
static int l_tag(lua_State *L)
{
    int set = lua_gettop(L) > 0;
    if (l_current(L) == 0)
        return 0;
    int box = lua_gettop(L);
    lua_getiuservalue(L, box, TASK_TAG);
    if (set) {
        lua_pushvalue(L, 1);
        lua_setiuservalue(L, box, TASK_TAG);
    }
    return 1;
}

/*** task.supervise(): signals and os.exit don't cancel this task; it hears of them from others. */
static int l_supervise(lua_State *L)
{
    struct task *task = task_current(L);
    if (task)
        task->supervisor = true;
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
        if (is_unreported(task) && (!first || task->failed_as < first->failed_as))
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
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->box);
    return push_outcome(L, task);
}

/*** task.settle(): waits for all other tasks; raises the first failure that nobody joined. */
static int l_settle(lua_State *L)
{
    task_check(L);
    struct tasks *tasks = tasks_of(L);
    if (!tasks->current || !tasks->current->supervisor || tasks->settling)
        return luaL_error(L, "only one supervisor can settle");
    tasks->settle = (struct wait){ .needs_tasks = true, .give_up = give_up_settle };
    tasks->settling = true;
    check_settled(tasks);
    return task_await(L, &tasks->settle, (lua_KContext)tasks, settled);
}

static int task_tostring(lua_State *L)
{
    struct task *task = check_task(L, 1);
    const char *state = task->failed     ? "failed"
                        : task->finished ? "ended"
                        : task->waiting  ? "waiting"
                                         : "running";
    lua_pushfstring(L, "Task (%s)", state);
    return 1;
}

static int task_gc(lua_State *L)
{
    struct task *task = check_task(L, 1);
    loop_timer_cancel(task->owner->loop, &task->grace);
    loop_timer_cancel(task->owner->loop, &task->deadline);
    luaL_unref(L, LUA_REGISTRYINDEX, task->cancellation);
    task->cancellation = LUA_NOREF;
    return 0;
}

static const luaL_Reg task_lib[] = {
    { "spawn", l_spawn },         { "sleep", l_sleep },     { "now", l_now },
    { "deadline", l_deadline },   { "current", l_current }, { "tag", l_tag },
    { "supervise", l_supervise }, { "settle", l_settle },   { NULL, NULL },
};

static const luaL_Reg task_meth[] = {
    { "join", task_join },
    { "cancel", l_cancel },
    { "traceback", task_traceback },
    { NULL, NULL },
};

static const luaL_Reg task_meta[] = {
    { "__index", NULL }, /* placeholder */
    { "__gc", task_gc },
    { "__tostring", task_tostring },
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
    return 1;
}

/* ---- the whole ---- */

struct tasks *tasks_new(lua_State *L, struct loop *loop)
{
    struct tasks *tasks = calloc(1, sizeof *tasks);
    if (!tasks)
        return NULL;
    tasks->L = L;
    tasks->loop = loop;
    tasks->ready_tail = &tasks->ready;
    loop_signals(loop, on_signal, on_tick, tasks);
    return tasks;
}

void tasks_free(struct tasks *tasks)
{
    watchdog.running = NULL;
    free(tasks);
}

/* One round: false when nothing is left that could bring any task further. */
static bool turn(struct tasks *tasks)
{
    run_ready(tasks);
    bool more = tasks->ready != NULL;
    return loop_turn(tasks->loop, !more) || more || tasks->ready;
}

/* Nothing can bring any task further.  Supervisors shall hear of it from the others. */
static bool end_deadlock(struct tasks *tasks)
{
    static const char message[] = "deadlock: every task waits for another";
    return cancel_all(tasks, false, "deadlock", message) ||
           cancel_all(tasks, true, "deadlock", message);
}

bool tasks_run(lua_State *L, int n)
{
    struct tasks *tasks = tasks_of(L);
    struct task *main = spawn(L, n);
    while (!main->finished)
        if (!turn(tasks) && !main->finished && !end_deadlock(tasks))
            return luaL_error(L, "tasks wait, and can't be cancelled");
    main->joined = true;
    tasks_end(tasks);
    lua_getiuservalue(L, -1, TASK_RESULTS);
    lua_rawgeti(L, -1, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
    bool ok = !main->failed;
    let_go(main);
    return ok;
}

void tasks_end(struct tasks *tasks)
{
    for (;;) {
        struct task *task = tasks->all;
        while (task && task->finished)
            task = task->next;
        if (!task)
            break;
        task->supervisor = false;
        cancel_all(tasks, false, "cancelled", "cancelled: the program ends");
        if (!turn(tasks))
            break;
    }
}
