/* SPDX-License-Identifier: MIT */
/* pcall, xpcall, coroutine.* and os.exit for tasks.  They do what Lua's own do, and besides: a
 * coroutine that waits lets its task wait, a cancellation passes through pcall, and os.exit first
 * cancels all tasks. */
#include "lua/lbase.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/lmisuse.h"
#include "lua/task.h"

/* ---- pcall, xpcall ---- */

static bool is_unwinding(lua_State *L)
{
    struct task *task = task_current(L);
    return task && task_unwinding(task);
}

/* Called when pcall and the like have caught the error on the top.  If the task is being cancelled,
 * raises the cancellation, also in place of another error.  A call that began during the clean-up
 * (`cleaning`) lets only the cancellation itself pass. [-0, +0, v] */
static void let_cancellation_pass(lua_State *L, bool cleaning)
{
    if (!is_unwinding(L))
        return;
    task_push_cancellation(L, task_current(L));
    if (!cleaning || lua_rawequal(L, -1, -2))
        lua_error(L);
    lua_pop(L, 1);
}

/* context: twice the number of values below the results, plus 1 if the call began during clean-up
 */
static int protected_call_ended(lua_State *L, int status, lua_KContext context)
{
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - (int)(context / 2);
    let_cancellation_pass(L, context & 1);
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
}

static lua_KContext call_context(lua_State *L, int below)
{
    return below * 2 + is_unwinding(L);
}

static int lbase_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    lua_KContext context = call_context(L, 0);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, context, protected_call_ended);
    return protected_call_ended(L, status, context);
}

/* The message handler of xpcall.  Upvalue 1 is the script's handler, which neither sees nor changes
 * a cancellation. */
static int handle_message(lua_State *L)
{
    if (is_unwinding(L)) {
        task_push_cancellation(L, task_current(L));
        if (lua_rawequal(L, -1, 1))
            return 1;
        lua_pop(L, 1);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int lbase_xpcall(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle_message, 1);
    lua_replace(L, 2); /* f, handler, arguments... */
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2); /* f, handler, true, f, arguments... */
    lua_KContext context = call_context(L, 2);
    int status = lua_pcallk(L, n - 2, LUA_MULTRET, 2, context, protected_call_ended);
    return protected_call_ended(L, status, context);
}

/* ---- coroutines ---- */

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    return co;
}

/* Returns true if a task waits in the coroutine: only the task may resume it. */
static bool is_waiting(lua_State *co)
{
    return lua_status(co) == LUA_YIELD && lua_gettop(co) > 0 &&
           lua_touserdata(co, -1) == TASK_WAITS;
}

/* As Lua's own; but a coroutine in which a task waits is "normal", as it can't be resumed. */
static const char *status_of(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    if (L == co)
        return "running";
    if (lua_status(co) == LUA_YIELD)
        return is_waiting(co) ? "normal" : "suspended";
    if (lua_status(co) != LUA_OK)
        return "dead";
    if (lua_getstack(co, 0, &ar))
        return "normal";
    return lua_gettop(co) == 0 ? "dead" : "suspended";
}

/* Returns NULL, or why the coroutine can't be resumed. */
static const char *resume_fault(lua_State *L, lua_State *co, int arguments)
{
    const char *status = status_of(L, co);
    if (is_waiting(co))
        return "cannot resume a coroutine in which a task waits";
    if (strcmp(status, "dead") == 0)
        return "cannot resume dead coroutine";
    if (strcmp(status, "suspended") != 0)
        return "cannot resume non-suspended coroutine";
    return lua_checkstack(co, arguments) ? NULL : "too many arguments to resume";
}

/* Closes the coroutine: its <close> variables run, and can't yield.  Returns true; or false, and
 * pushes the error on L. [-0, +(0|1), -] */
static bool reset(lua_State *L, lua_State *co)
{
    lua_State *before = task_running(co); /* the watchdog can stop a <close> that never ends */
    int status = lua_resetthread(co);
    task_running(before);
    if (status == LUA_OK)
        return true;
    lua_xmove(co, L, 1);
    return false;
}

/* Closes a coroutine that has failed with the error on the top of L; a <close> variable may replace
 * the error. */
static void reset_dead(lua_State *L, lua_State *co)
{
    if (lua_status(co) == LUA_OK || lua_status(co) == LUA_YIELD)
        return;          /* the error is not the coroutine's */
    lua_xmove(L, co, 1); /* lua_resetthread takes the error from there */
    reset(L, co);
}

/* Resumes `co` until it ends, fails or yields values of its own.  Returns the number of values,
 * which are on L; or -1, with the error on the top of L.  Where the task waits in `co`, this
 * function yields and does not return: `k` continues. */
static int drive(lua_State *L, lua_State *co, int arguments, lua_KContext context, lua_KFunction k)
{
    for (;;) {
        int results;
        lua_State *before = task_running(co);
        int status = lua_resume(co, L, arguments, &results);
        task_running(before);
        if (status == LUA_YIELD && is_waiting(co)) {
            if (lua_isyieldable(L)) {
                lua_pushlightuserdata(L, TASK_WAITS);
                return lua_yieldk(L, 1, context, k);
            }
            task_pump(L);
            lua_pop(co, 1);
            arguments = 0;
            continue;
        }
        if (status != LUA_OK && status != LUA_YIELD) {
            lua_xmove(co, L, 1);
            return -1;
        }
        if (!lua_checkstack(L, results + 1)) {
            lua_pop(co, results);
            lua_pushliteral(L, "too many results to resume");
            return -1;
        }
        lua_xmove(co, L, results);
        return results;
    }
}

/* Pushes what coroutine.resume returns.  A cancellation runs the coroutine's <close> variables, and
 * continues in the caller. */
static int resume_results(lua_State *L, int n, bool cleaning)
{
    if (n < 0 && is_unwinding(L) && !cleaning)
        reset_dead(L, lua_tothread(L, 1));
    if (n < 0)
        let_cancellation_pass(L, cleaning);
    lua_pushboolean(L, n >= 0);
    int values = n < 0 ? 1 : n;
    lua_insert(L, -(values + 1));
    return values + 1;
}

static int resume_goes_on(lua_State *L, int status, lua_KContext cleaning)
{
    (void)status;
    lua_State *co = lua_tothread(L, 1);
    lua_pop(co, 1); /* TASK_WAITS */
    return resume_results(L, drive(L, co, 0, cleaning, resume_goes_on), cleaning);
}

static int lbase_resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    int arguments = lua_gettop(L) - 1;
    const char *fault = resume_fault(L, co, arguments);
    if (fault) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, fault);
        return 2;
    }
    bool cleaning = is_unwinding(L);
    lua_xmove(L, co, arguments);
    return resume_results(L, drive(L, co, arguments, cleaning, resume_goes_on), cleaning);
}

/* An error in a wrapped coroutine continues in the caller, with the position of the call. */
static int wrap_results(lua_State *L, lua_State *co, int n)
{
    if (n >= 0)
        return n;
    reset_dead(L, co);
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int wrap_goes_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    lua_pop(co, 1); /* TASK_WAITS */
    return wrap_results(L, co, drive(L, co, 0, 0, wrap_goes_on));
}

static int call_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int arguments = lua_gettop(L);
    const char *fault = resume_fault(L, co, arguments);
    if (fault)
        return luaL_error(L, "%s", fault);
    lua_xmove(L, co, arguments);
    return wrap_results(L, co, drive(L, co, arguments, 0, wrap_goes_on));
}

static int lbase_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int lbase_wrap(lua_State *L)
{
    lbase_create(L);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

static int lbase_yield(lua_State *L)
{
    if (task_is_base(task_current(L), L))
        return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

static int lbase_isyieldable(lua_State *L)
{
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    lua_pushboolean(L, lua_isyieldable(co) && !task_is_base(task_current(L), co));
    return 1;
}

static int lbase_running(lua_State *L)
{
    int is_main = lua_pushthread(L);
    lua_pushboolean(L, is_main || task_is_base(task_current(L), L));
    return 2;
}

static int lbase_status(lua_State *L)
{
    lua_pushstring(L, status_of(L, check_coroutine(L)));
    return 1;
}

static int lbase_close(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    const char *status = status_of(L, co);
    if (strcmp(status, "dead") != 0 && strcmp(status, "suspended") != 0)
        return luaL_error(L, "cannot close a %s coroutine", status);
    bool cleaning = is_unwinding(L);
    if (reset(L, co)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    let_cancellation_pass(L, cleaning);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

/* ---- os.exit ---- */

static int lbase_exit(lua_State *L)
{
    if (lua_isboolean(L, 1))
        return task_exit(L, lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE);
    lua_Integer status = luaL_optinteger(L, 1, EXIT_SUCCESS);
    if (status < 0 || status > 255)
        return misuse(L, "os.exit takes a status from 0 to 255, true or false");
    return task_exit(L, (int)status);
}

static const luaL_Reg coroutine_functions[] = {
    { "create", lbase_create },
    { "wrap", lbase_wrap },
    { "resume", lbase_resume },
    { "status", lbase_status },
    { "close", lbase_close },
    { "yield", lbase_yield },
    { "running", lbase_running },
    { "isyieldable", lbase_isyieldable },
    { NULL, NULL },
};

void lbase_open(lua_State *L)
{
    lua_pushcfunction(L, lbase_pcall);
    lua_setglobal(L, "pcall");
    lua_pushcfunction(L, lbase_xpcall);
    lua_setglobal(L, "xpcall");
    lua_getglobal(L, "coroutine");
    luaL_setfuncs(L, coroutine_functions, 0);
    lua_getglobal(L, "os");
    lua_pushcfunction(L, lbase_exit);
    lua_setfield(L, -2, "exit");
    lua_pop(L, 2);
}
