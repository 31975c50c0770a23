/* SPDX-License-Identifier: MIT */
/* pcall, xpcall, coroutine.* and os.exit as a task needs them.  They do what Lua's do, and:
 * a coroutine that waits for a board lets its task wait, a cancellation goes through pcall,
 * and os.exit first ends all tasks. */
#include "ltask.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

/* ---- pcall, xpcall ---- */

/* context: twice the number of values below the results, plus 1 if the task was being cancelled
 * already when the call began (this is clean-up, whose own errors are caught as ever). */
static int protected_call_ended(lua_State *L, int status, lua_KContext context)
{
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - (int)(context / 2);
    struct task *task = task_current(L);
    if (task && task_unwinding(task)) {
        task_push_cancellation(L, task);
        if (!(context & 1) || lua_rawequal(L, -1, -2))
            return lua_error(L);
        lua_pop(L, 1);
    }
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
}

static lua_KContext call_context(lua_State *L, int below)
{
    struct task *task = task_current(L);
    return below * 2 + (task && task_unwinding(task));
}

static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    lua_KContext context = call_context(L, 0);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, context, protected_call_ended);
    return protected_call_ended(L, status, context);
}

/* The user's message handler does not get to see a cancellation, nor to change it. */
static int handle_message(lua_State *L)
{
    struct task *task = task_current(L);
    if (task && task_unwinding(task)) {
        task_push_cancellation(L, task);
        if (lua_rawequal(L, -1, 1))
            return 1;
        lua_pop(L, 1);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int base_xpcall(lua_State *L)
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

/* Its task waits in it: nobody else may wake it. */
static bool is_waiting(lua_State *co)
{
    return lua_status(co) == LUA_YIELD && lua_gettop(co) > 0 &&
           lua_touserdata(co, -1) == TASK_WAITS;
}

static bool can_resume(lua_State *L, lua_State *co, int arguments, const char **why)
{
    lua_Debug ar;
    *why = NULL;
    if (is_waiting(co))
        *why = "cannot resume a coroutine that waits for a board";
    else if (lua_status(co) == LUA_OK && (lua_gettop(co) == 0 || co == L))
        *why = co == L ? "cannot resume non-suspended coroutine" : "cannot resume dead coroutine";
    else if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar))
        *why = "cannot resume non-suspended coroutine";
    else if (!lua_checkstack(co, arguments))
        *why = "too many arguments to resume";
    return !*why;
}

/* Lets `co` run until it ends, fails or yields something of its own.  Returns the number of
 * values that it gave, or -1 with the error on the top of L.  Where the task waits in it, this
 * yields, and does not return: `k` goes on. */
static int drive(lua_State *L, lua_State *co, int arguments, lua_KFunction k)
{
    for (;;) {
        int results;
        lua_State *before = task_running(co);
        int status = lua_resume(co, L, arguments, &results);
        task_running(before);
        if (status == LUA_YIELD && is_waiting(co)) {
            if (lua_isyieldable(L)) {
                lua_pushlightuserdata(L, TASK_WAITS);
                return lua_yieldk(L, 1, 0, k);
            }
            task_pump(L, task_waits_for(task_current(L)));
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

static int resume_results(lua_State *L, int n)
{
    struct task *task = task_current(L);
    if (n < 0 && task && task_unwinding(task)) {
        task_push_cancellation(L, task);
        if (lua_rawequal(L, -1, -2))
            return lua_error(L);
        lua_pop(L, 1);
    }
    lua_pushboolean(L, n >= 0);
    int values = n < 0 ? 1 : n;
    lua_insert(L, -(values + 1));
    return values + 1;
}

static int resume_goes_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    lua_State *co = lua_tothread(L, 1);
    lua_pop(co, 1);
    return resume_results(L, drive(L, co, 0, resume_goes_on));
}

static int base_resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    const char *why;
    int arguments = lua_gettop(L) - 1;
    if (!can_resume(L, co, arguments, &why)) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, why);
        return 2;
    }
    lua_xmove(L, co, arguments);
    return resume_results(L, drive(L, co, arguments, resume_goes_on));
}

/* An error in a wrapped coroutine goes on in the caller, with the position of the call. */
static int wrap_results(lua_State *L, lua_State *co, int n)
{
    if (n >= 0)
        return n;
    if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) {
        lua_pushvalue(L, -1);
        lua_xmove(L, co, 1); /* lua_resetthread looks for the error there */
        if (lua_resetthread(co) != LUA_OK) {
            lua_pop(L, 1);
            lua_xmove(co, L, 1);
        }
    }
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
    lua_pop(co, 1);
    return wrap_results(L, co, drive(L, co, 0, wrap_goes_on));
}

static int call_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    const char *why;
    int arguments = lua_gettop(L);
    if (!can_resume(L, co, arguments, &why))
        return luaL_error(L, "%s", why);
    lua_xmove(L, co, arguments);
    return wrap_results(L, co, drive(L, co, arguments, wrap_goes_on));
}

static int base_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int base_wrap(lua_State *L)
{
    base_create(L);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

static int base_yield(lua_State *L)
{
    if (task_is_base(task_current(L), L))
        return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

static int base_isyieldable(lua_State *L)
{
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    lua_pushboolean(L, lua_isyieldable(co) && !task_is_base(task_current(L), co));
    return 1;
}

static int base_running(lua_State *L)
{
    int is_main = lua_pushthread(L);
    lua_pushboolean(L, is_main || task_is_base(task_current(L), L));
    return 2;
}

/* Guards Lua's own (upvalue 1) against coroutines whose task waits in them. */
static int base_close(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    if (is_waiting(co))
        return luaL_error(L, "cannot close a coroutine that waits for a board");
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* ---- os.exit ---- */

static int base_exit(lua_State *L)
{
    int status = lua_isboolean(L, 1) ? (lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE)
                                     : (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
    return task_exit(L, status);
}

static const luaL_Reg coroutine_functions[] = {
    { "create", base_create },
    { "wrap", base_wrap },
    { "resume", base_resume },
    { "yield", base_yield },
    { "running", base_running },
    { "isyieldable", base_isyieldable },
    { NULL, NULL },
};

void base_open(lua_State *L)
{
    lua_pushcfunction(L, base_pcall);
    lua_setglobal(L, "pcall");
    lua_pushcfunction(L, base_xpcall);
    lua_setglobal(L, "xpcall");
    lua_getglobal(L, "coroutine");
    luaL_setfuncs(L, coroutine_functions, 0);
    lua_getfield(L, -1, "close");
    lua_pushcclosure(L, base_close, 1);
    lua_setfield(L, -2, "close");
    lua_getglobal(L, "os");
    lua_pushcfunction(L, base_exit);
    lua_setfield(L, -2, "exit");
    lua_pop(L, 2);
}
