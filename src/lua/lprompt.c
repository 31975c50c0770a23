/* SPDX-License-Identifier: MIT */
/* Module `prompt`: reads lines from a terminal, in a task that waits.  Standard input is a watch on
 * the loop.  The task that reads a line is resumed for each key, and hands it to the editor
 * (edit.h).
 */
#include "lua/lprompt.h"

#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lua/context.h"
#include "loop/edit.h"
#include "loop/loop.h"
#include "lua/task.h"

#define PROMPT_TYPE "prompt.Editor"
#define MOST_KEYS   64 /* at once; then other tasks run */

/* The signals that are handled while a line is edited. */
static const int wanted_signals[] = { SIGWINCH, SIGTSTP, SIGCONT, SIGQUIT };
#define SIGNALS (sizeof wanted_signals / sizeof *wanted_signals)

/* A userdata, which the registry holds from prompt.open to prompt.close. */
struct prompt {
    struct wait wait; /* for a key */
    struct loop *loop;
    struct edit *edit;
    struct loop_watch input;
    struct loop_signal signals[SIGNALS];
    lua_State *L; /* of the task that handles a key */
    bool reading; /* a line is edited */
};

static const char registry_key;

/* ---- completion ---- */

/* Called for Tab: calls Lua's complete(before) --> insert, show, which can't wait.  If it fails,
 * nothing is completed.  The strings stay on the stack until the key is handled. */
static void complete(void *arg, const char *before, const char **insert, const char **shown)
{
    struct prompt *prompt = arg;
    lua_State *L = prompt->L;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
    lua_getiuservalue(L, -1, 1);
    lua_pushstring(L, before);
    if (lua_pcall(L, 1, 2, 0) != LUA_OK)
        return;
    *insert = lua_tostring(L, -2);
    *shown = lua_tostring(L, -1);
}

/* ---- signals, while a line is edited ---- */

/* Restores the terminal, before the process is stopped, or killed by Ctrl-\. */
static void stop(struct prompt *prompt, struct loop_signal *heard)
{
    edit_stop(prompt->edit);
    loop_unhear(prompt->loop, heard);
    raise(heard->signal);
    loop_hear(prompt->loop, heard);
}

static void on_signal(void *arg, int signal_number)
{
    struct prompt *prompt = arg;
    size_t i = 0;
    while (wanted_signals[i] != signal_number)
        i++;
    if (signal_number == SIGWINCH)
        edit_resized(prompt->edit);
    else if (signal_number == SIGCONT)
        edit_go_on(prompt->edit);
    else
        stop(prompt, &prompt->signals[i]);
}

static void hear_signals(struct prompt *prompt)
{
    for (size_t i = 0; i < SIGNALS; i++) {
        prompt->signals[i].caught = on_signal;
        prompt->signals[i].arg = prompt;
        prompt->signals[i].signal = wanted_signals[i];
        loop_hear(prompt->loop, &prompt->signals[i]);
    }
}

/* ---- a line ---- */

/* note: shown behind a line that was not entered; NULL: it was entered. */
static void end_line(struct prompt *prompt, const char *note)
{
    loop_unwatch(prompt->loop, &prompt->input);
    for (size_t i = 0; i < SIGNALS; i++)
        loop_unhear(prompt->loop, &prompt->signals[i]);
    edit_end(prompt->edit, note);
    prompt->reading = false;
}

static void on_input(void *arg, short events)
{
    (void)events;
    struct prompt *prompt = arg;
    loop_unwatch(prompt->loop, &prompt->input);
    wait_done(&prompt->wait);
}

static void give_up(struct wait *w)
{
    wait_done(w);
}

static int key_came(lua_State *L, int status, lua_KContext context);

static int await_key(lua_State *L, struct prompt *prompt)
{
    prompt->wait = (struct wait){ .give_up = give_up };
    loop_watch(prompt->loop, &prompt->input);
    return task_await(L, &prompt->wait, (lua_KContext)prompt, key_came);
}

static int key_came(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct prompt *prompt = (struct prompt *)context;
    bool cancelled = task_cancelled(L);
    if (prompt->reading && cancelled)
        end_line(prompt, "^C");
    if (cancelled)
        return lua_error(L);
    if (!prompt->reading) /* the prompt was closed meanwhile */
        return 0;
    int top = lua_gettop(L);
    luaL_checkstack(L, 8, NULL);
    for (int i = 0; i < MOST_KEYS; i++) {
        prompt->L = L;
        enum edit_key key = edit_next_key(prompt->edit);
        lua_settop(L, top);
        if (key == EDIT_NO_KEY)
            break;
        if (key == EDIT_END) {
            end_line(prompt, "");
            return 0;
        }
        if (key == EDIT_ENTER) {
            size_t length;
            const char *text = edit_text(prompt->edit, &length);
            lua_pushlstring(L, text, length);
            end_line(prompt, NULL);
            return 1;
        }
    }
    return await_key(L, prompt);
}

/* ---- the module ---- */

/* Pushes the editor; raises where none is open. */
static struct prompt *check_prompt(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key) == LUA_TNIL)
        luaL_error(L, "no prompt is open");
    return lua_touserdata(L, -1);
}

static int lprompt_gc(lua_State *L)
{
    struct prompt *prompt = lua_touserdata(L, 1);
    if (prompt->reading) {
        end_line(prompt, "");
        wait_done(&prompt->wait);
    }
    edit_free(prompt->edit);
    prompt->edit = NULL;
    loop_last_act(NULL);
    return 0;
}

/*** prompt.open(complete): makes the editor; standard input and output are a terminal.
 * complete(before) --> text to insert, text to show: called for Tab, with the line up to the
 * cursor. */
static int lprompt_open(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key) != LUA_TNIL)
        return luaL_error(L, "a prompt is open already");
    struct prompt *prompt = lua_newuserdatauv(L, sizeof *prompt, 1);
    memset(prompt, 0, sizeof *prompt);
    prompt->loop = context_of(L)->loop;
    prompt->input = (struct loop_watch){
        .ready = on_input, .arg = prompt, .fd = STDIN_FILENO, .events = POLLIN
    };
    prompt->edit = edit_new(&(struct edit_completion){ complete, prompt });
    if (!prompt->edit)
        return luaL_error(L, "not enough memory");
    luaL_setmetatable(L, PROMPT_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
    loop_last_act(edit_restore);
    return 0;
}

/*** prompt.close(): restores the terminal; may be called again. */
static int lprompt_close(lua_State *L)
{
    lua_settop(L, 0);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key) == LUA_TNIL)
        return 0;
    lprompt_gc(L);
    lua_pushnil(L);
    lua_setmetatable(L, 1); /* its __gc has run */
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
    return 0;
}

/*** prompt.read(text) --> the line typed behind the text; nil for Ctrl-D.  The editor stays on the
 * stack, because the prompt may be closed while it waits. */
static int lprompt_read(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    task_check(L);
    struct prompt *prompt = check_prompt(L);
    if (prompt->reading)
        return luaL_error(L, "another task reads a line");
    fflush(stdout);
    edit_begin(prompt->edit, text);
    prompt->reading = true;
    hear_signals(prompt);
    return await_key(L, prompt);
}

/*** prompt.write(text, to_stderr?): writes whole lines above the line that is edited */
static int lprompt_write(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    struct prompt *prompt = check_prompt(L);
    edit_write_above(prompt->edit, lua_toboolean(L, 2) ? stderr : stdout, text, length);
    return 0;
}

/*** prompt.pending() --> boolean: something has been typed that no line has taken yet */
static int lprompt_pending(lua_State *L)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    lua_pushboolean(L, poll(&input, 1, 0) > 0);
    return 1;
}

/*** prompt.remember(text): adds a line to the history of the arrow keys */
static int lprompt_remember(lua_State *L)
{
    edit_remember(check_prompt(L)->edit, luaL_checkstring(L, 1));
    return 0;
}

static const luaL_Reg prompt_lib[] = {
    { "open", lprompt_open },
    { "close", lprompt_close },
    { "read", lprompt_read },
    { "write", lprompt_write },
    { "remember", lprompt_remember },
    { "pending", lprompt_pending },
    { NULL, NULL },
};

int luaopen_prompt(lua_State *L)
{
    luaL_newmetatable(L, PROMPT_TYPE);
    lua_pushcfunction(L, lprompt_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, prompt_lib);
    return 1;
}
