/* SPDX-License-Identifier: MIT */
#include "lua/task.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/context.h"
#include "lua/error.h"
#include "lua/lmisuse.h"
#include "lua/task_private.h"

#define GRACE 5.0 /* seconds of clean-up after a cancellation */

#define SAVED_HOOKS 8

/* A script's own hook on a coroutine where the watchdog has put its hook. */
struct saved_hook {
    lua_State *L; /* NULL: free */
    lua_Hook hook;
    int mask, count;
};

/* Shared with the signal handler (on_tick). */
static volatile struct {
    lua_State *running; /* the coroutine that runs; NULL: none */
    sig_atomic_t ticks; /* of processor time, since a task was resumed */
    struct saved_hook saved[SAVED_HOOKS];
    unsigned saved_next; /* the entry to be used next */
} watchdog;

/* ---- bookkeeping ---- */

struct tasks *tasks_of(lua_State *L)
{
    return context_of(L)->tasks;
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

/* Moves the results from the coroutine's stack into the task: a script may also hold the thread,
 * and resume or close it. */
static void keep_results(struct task *task)
{
    lua_State *L = task->owner->L;
    luaL_checkstack(L, 3, NULL);
    task->results = lua_gettop(task->co);
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
    lua_createtable(L, task->results, 0);
    for (int i = task->results; i > 0; i--) {
        lua_xmove(task->co, L, 1);
        lua_rawseti(L, -2, i);
    }
    lua_setiuservalue(L, -2, TASK_RESULTS);
    lua_pop(L, 1);
}

void task_let_go(struct task *task)
{
    struct tasks *tasks = task->owner;
    if (!task->at)
        return;
    *task->at = task->next;
    if (task->next)
        task->next->at = task->at;
    else
        tasks->all_tail = task->at;
    task->at = NULL;
    luaL_unref(tasks->L, LUA_REGISTRYINDEX, task->ref);
    task->ref = LUA_NOREF;
}

bool task_is_unreported(const struct task *task)
{
    return task->finished && task->failed && !task->joined && !task->failure_expected;
}

/* Returns true if signals, os.exit and the failure of another task cancel it. */
static bool is_exposed(const struct task *task)
{
    return !task->supervisor && !task->is_protected;
}

static bool is_supervisor(const struct task *task)
{
    return task->supervisor;
}

static bool is_no_supervisor(const struct task *task)
{
    return !task->supervisor;
}

void tasks_check_settled(struct tasks *tasks)
{
    if (!tasks->settling)
        return;
    bool alone = true, failure = false;
    for (struct task *task = tasks->all; task; task = task->next) {
        alone = alone && (task->finished || task->supervisor);
        failure = failure || task_is_unreported(task);
    }
    if (alone) {
        wait_done(&tasks->settle);
        return;
    }
    if (!failure)
        return;
    for (struct task *task = tasks->all; task; task = task->next)
        if (is_exposed(task) &&
            task_cancel_with(task, "cancelled", "cancelled: another task failed"))
            task->failure_expected = true;
}

static void finish(struct task *task)
{
    struct tasks *tasks = task->owner;
    task->finished = true;
    if (task->failed)
        task->failure_order = ++tasks->failures;
    if (tasks->foreground == task)
        tasks->foreground = NULL;
    keep_results(task);
    if (task->permits)
        tasks->end_permits(task);
    loop_timer_cancel(tasks->loop, &task->grace);
    loop_timer_cancel(tasks->loop, &task->deadline);
    if (task->joins)
        task->joined = true;
    while (task->joins) {
        struct join *join = task->joins;
        task->joins = join->next;
        wait_done(&join->wait);
    }
    if (!task_is_unreported(task))
        task_let_go(task);
    tasks_check_settled(tasks);
}

/* ---- running ---- */

/* Gives the value at index 1 the place where it was raised: error(nil) would look like success to
 * callers of pcall, and what a deadline ends says nothing of what it was at. */
static void add_place(lua_State *L, const struct task *task)
{
    if (!lua_isnil(L, 1) && !(task && task->cancel == CANCEL_RAISED && error_is(L, 1)))
        return;
    push_place(L);
    if (lua_isnil(L, 1)) {
        const char *place = lua_tostring(L, -1);
        lua_pushfstring(L, "%s%serror(nil) was raised", place, *place ? ": " : "");
        lua_replace(L, 1);
    } else if (*lua_tostring(L, -1) && lua_getfield(L, 1, "code") == LUA_TSTRING &&
               strcmp(lua_tostring(L, -1), "timeout") == 0) {
        lua_pushvalue(L, 2);
        lua_setfield(L, 1, "where");
    }
    lua_settop(L, 1);
}

/* Called before the stack unwinds: keeps the traceback in the task. */
static int message_handler(lua_State *L)
{
    struct task *task = task_current(L);
    add_place(L, task);
    luaL_traceback(L, L, NULL, 1);
    if (task && task->ref != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
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
    if (task->cancel == CANCEL_RAISED) /* a __close may have raised another error */
        task_push_cancellation(L, task);
    else if (lua_isnil(L, -1)) /* error(nil) would look like success to callers of pcall */
        lua_pushliteral(L, "error(nil) was raised");
    task->failed = true;
    return 1;
}

/* The bottom of each task's stack.  Errors are caught here, inside the coroutine, so that its
 * <close> variables may still wait. */
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
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_resetthread(co); /* body() did not catch it: out of memory, or of stack */
        task->failed = true;
    }
    task_running(was_running);
    tasks->current = before;
    if (status != LUA_YIELD)
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

/* Waits without yielding.  The main thread runs tasks meanwhile.  Inside a task, only the loop
 * runs: a wait that needs other tasks is given up at once, and so is one that nothing can end; the
 * continuation sees it unfinished. */
static void pump(struct tasks *tasks, struct wait *w)
{
    w->task = NULL;
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

/* Called when the time for clean-up is over: the task's own, or that of the task that spawned it.
 */
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

/* Takes the error to be raised in the task from the top of the main thread's stack. */
static void set_cancellation(struct task *task)
{
    lua_State *L = task->owner->L;
    luaL_unref(L, LUA_REGISTRYINDEX, task->cancellation);
    task->cancellation = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* error_index: in the main thread's stack.  Returns false if the task has ended, or is being
 * cancelled. */
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

/* Each task gets its own error object: the operation that is cancelled adds to it. */
bool task_cancel_with(struct task *task, const char *code, const char *message)
{
    lua_State *L = task->owner->L;
    error_push(L, code, "%s", message);
    bool any = task_cancel(task, lua_gettop(L));
    lua_pop(L, 1);
    return any;
}

/* Returns true if a task was cancelled. */
static bool cancel_all(struct tasks *tasks, bool (*is_meant)(const struct task *), const char *code,
                       const char *message)
{
    bool any = false;
    for (struct task *task = tasks->all; task; task = task->next)
        if (is_meant(task))
            any = task_cancel_with(task, code, message) || any;
    return any;
}

/* Returns true if the task's cancellation is to be raised now: once, and again in each primitive
 * when the time for clean-up is over. */
static bool is_cancellation_due(struct task *task)
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
    if (!is_cancellation_due(task))
        return false;
    task_push_cancellation(L, task);
    return true;
}

/* lua_gc refuses all requests inside a finalizer (Lua 5.4.4 and later). */
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

void tasks_interrupt(struct tasks *tasks, const char *code, const char *message)
{
    cancel_all(tasks, is_exposed, code, message);
}

/* SIGINT cancels the foreground task, if there is one; all other signals cancel all tasks. The
 * first signal of any kind goes to the gate, if there is one. */
static void on_signal(void *arg, int signal_number)
{
    struct tasks *tasks = arg;
    bool is_for_gate = tasks->has_gate;
    if (is_for_gate) {
        tasks->has_gate = false;
        loop_survive(tasks->loop, LOOP_SURVIVES_NONE);
    }
    if (is_for_gate && tasks->foreground)
        task_cancel_with(tasks->foreground, "cancelled", "interrupted");
    else if (signal_number != SIGINT || !tasks->has_foreground)
        tasks_interrupt(tasks, "cancelled", "interrupted");
    else if (tasks->foreground)
        task_cancel_with(tasks->foreground, "cancelled", "interrupted");
}

/* Gives a coroutine the hook back that its script had set. */
static void restore_hook(lua_State *L)
{
    lua_Hook hook = NULL;
    int mask = 0, count = 0;
    for (int i = 0; i < SAVED_HOOKS; i++) {
        if (watchdog.saved[i].L != L)
            continue;
        hook = watchdog.saved[i].hook;
        mask = watchdog.saved[i].mask;
        count = watchdog.saved[i].count;
        watchdog.saved[i].L = NULL;
    }
    lua_sethook(L, hook, mask, count);
}

/* Called in code that has run for a second without waiting: lets signals, timers and cancellations
 * through. */
static void on_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct tasks *tasks = tasks_of(L);
    struct task *task = tasks->current;
    if (!task)
        return;
    if (loop_is_virtual(tasks->loop)) /* the virtual clock stands still while code computes */
        loop_skip(tasks->loop, 0.5 * watchdog.ticks);
    watchdog.ticks = 0;
    loop_turn(tasks->loop, false);
    restore_hook(L);
    if (task_cancelled(L))
        lua_error(L);
}

/* In signal context. */
static void save_hook(lua_State *L)
{
    unsigned i = 0;
    while (i < SAVED_HOOKS && watchdog.saved[i].L != L)
        i++;
    if (i == SAVED_HOOKS) {
        i = watchdog.saved_next;
        watchdog.saved_next = (i + 1) % SAVED_HOOKS;
    }
    watchdog.saved[i].L = L;
    watchdog.saved[i].hook = lua_gethook(L);
    watchdog.saved[i].mask = lua_gethookmask(L);
    watchdog.saved[i].count = lua_gethookcount(L);
}

/* Called every half second of processor time, in signal context, where only lua_sethook and
 * lua_gethook of Lua's functions are safe. */
static void on_tick(void)
{
    lua_State *L = watchdog.running;
    watchdog.ticks = watchdog.ticks + 1;
    if (!L || watchdog.ticks < 2 || lua_gethook(L) == on_hook)
        return;
    save_hook(L);
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
        if (is_exposed(task))
            task_cancel(task, lua_gettop(main));
    if (L != main)
        lua_xmove(main, L, 1);
    if (current && current->cancel != NOT_CANCELLED) {
        is_cancellation_due(current); /* marks it as raised */
        task_push_cancellation(L, current);
    }
    return lua_error(L);
}

/* ---- making ---- */

/* Gives the child, whose userdata is on the top of L, the parent's tag and protection.  A child of
 * a task that is cleaning up ends with the parent's time for that. */
static void inherit(lua_State *L, struct task *child, struct task *parent)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, parent->ref);
    lua_getiuservalue(L, -1, TASK_TAG);
    lua_setiuservalue(L, -3, TASK_TAG);
    lua_pop(L, 1);
    child->protects_children = child->is_protected =
        parent->protects_children || parent->cancel == CANCEL_RAISED;
    if (parent->cancel != CANCEL_RAISED)
        return;
    task_push_cancellation(parent->owner->L, parent);
    set_cancellation(child);
    child->clean_up = true;
    set_grace(child, parent->grace_ends);
}

struct task *task_spawn(lua_State *L, int n)
{
    struct tasks *tasks = tasks_of(L);
    int first = lua_gettop(L) - n;
    struct task *task = lua_newuserdatauv(L, sizeof *task, TASK_VALUES);
    memset(task, 0, sizeof *task);
    task->owner = tasks;
    task->ref = LUA_NOREF;
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
    task->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    task->at = tasks->all_tail;
    *tasks->all_tail = task;
    tasks->all_tail = &task->next;

    if (tasks->current)
        inherit(L, task, tasks->current);
    make_ready(task);
    return task;
}

/* ---- all tasks ---- */

struct tasks *tasks_new(lua_State *L, struct loop *loop)
{
    struct tasks *tasks = calloc(1, sizeof *tasks);
    if (!tasks)
        return NULL;
    tasks->L = L;
    tasks->loop = loop;
    tasks->ready_tail = &tasks->ready;
    tasks->all_tail = &tasks->all;
    loop_signals(loop, on_signal, on_tick, tasks);
    return tasks;
}

void tasks_free(struct tasks *tasks)
{
    watchdog.running = NULL;
    free(tasks);
}

/* Returns false if no event can come, and no task is ready. */
static bool wait_for_events(struct tasks *tasks)
{
    bool more = tasks->ready != NULL;
    return loop_turn(tasks->loop, !more) || more || tasks->ready;
}

/* Called when no event can come, and no task is ready: cancels all tasks but supervisors, which see
 * the failure of the others; or, if there are no others, the supervisors. */
static bool end_deadlock(struct tasks *tasks)
{
    unsigned for_permits = 0;
    for (const struct task *task = tasks->all; task; task = task->next)
        for_permits += task->waiting && !task->waiting->done && task->waiting->for_permit;
    char message[96] = "deadlock: every task waits for another";
    if (for_permits > 0)
        snprintf(message, sizeof message,
                 "deadlock: every task waits for another; %u for a permit of a semaphore",
                 for_permits);
    return cancel_all(tasks, is_no_supervisor, "deadlock", message) ||
           cancel_all(tasks, is_supervisor, "deadlock", message);
}

bool tasks_run(lua_State *L, int n)
{
    struct tasks *tasks = tasks_of(L);
    struct task *main = task_spawn(L, n);
    for (run_ready(tasks); !main->finished; run_ready(tasks))
        if (!wait_for_events(tasks) && !end_deadlock(tasks))
            return luaL_error(L, "tasks wait, and can't be cancelled");
    main->joined = true;
    tasks_end(tasks);
    lua_getiuservalue(L, -1, TASK_RESULTS);
    lua_rawgeti(L, -1, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
    bool ok = !main->failed;
    task_let_go(main);
    return ok;
}

static struct task *find_unfinished(const struct tasks *tasks)
{
    struct task *task = tasks->all;
    while (task && task->finished)
        task = task->next;
    return task;
}

void tasks_end(struct tasks *tasks)
{
    for (struct task *task; (task = find_unfinished(tasks)) != NULL;) {
        task->supervisor = false;
        cancel_all(tasks, is_no_supervisor, "cancelled", "cancelled: the program ends");
        run_ready(tasks);
        if (find_unfinished(tasks) && !wait_for_events(tasks))
            break;
    }
}
