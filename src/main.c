/* SPDX-License-Identifier: MIT */
/* moonflash: the Lua state, the loop, the ports, and what binds them together. */
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dfu/board.h"
#include "lua/builtin.h"
#include "lua/context.h"
#include "lua/error.h"
#include "lua/lbase.h"
#include "lua/lchannel.h"
#include "lua/lhttp.h"
#include "lua/llink.h"
#include "loop/loop.h"
#include "lua/lsim.h"
#include "lua/lsys.h"
#include "lua/ltask.h"
#include "loop/output.h"
#include "usb/port.h"
#include "loop/proc.h"
#include "lua/lprompt.h"
#include "lua/lsqlite.h"
#include "sim/simport.h"
#include "lua/task.h"
#include "usb/usb.h"

#define EXIT_BUG    70 /* sysexits.h: EX_SOFTWARE */
#define EXIT_MEMORY 71 /* EX_OSERR, as `sys.memory` */
#define EXIT_IO     74 /* EX_IOERR */

struct moonflash {
    struct context context;
    struct board_observer observer;
    struct loop_job unread; /* ends the tasks because their output is not read */
};

/* ---- the source tree ---- */

/* Returns the source tree, if this program is build/moonflash of the tree that it was built in:
 * then the Lua files are read from there, so that a change needs no build.  The path of the tree is
 * compiled in.  A program that was installed, copied or moved runs only its built-in files. */
static char *find_source_tree(void)
{
#ifdef MOONFLASH_TREE
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    if (strcmp(path, MOONFLASH_TREE "/build/moonflash") != 0 ||
        access(MOONFLASH_TREE "/lua/moonflash/cli/init.lua", R_OK) != 0)
        return NULL;
    return strdup(MOONFLASH_TREE);
#else
    return NULL;
#endif
}

/* ---- the Lua state ---- */

/* Removes the relative templates from package.path or package.cpath: a flasher that runs as root
 * must not run files of the working directory. */
static void drop_relative_templates(lua_State *L, const char *field)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, field);
    const char *templates = luaL_optstring(L, -1, "");
    luaL_Buffer kept;
    luaL_buffinit(L, &kept);
    bool any = false;
    while (*templates) {
        size_t n = strcspn(templates, ";");
        if (*templates == '/') {
            if (any)
                luaL_addchar(&kept, ';');
            luaL_addlstring(&kept, templates, n);
            any = true;
        }
        templates += n + (templates[n] == ';');
    }
    luaL_pushresult(&kept);
    lua_setfield(L, -3, field);
    lua_pop(L, 2);
}

static void preload(lua_State *L, const char *name, lua_CFunction open)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* Opens the module that is its argument, "dfu": require "moonflash.dfu". [-0, +1, e] */
static int open_library(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushfstring(L, "moonflash.%s", lua_tostring(L, 1));
    lua_call(L, 1, 1);
    return 1;
}

static int open_errors(lua_State *L)
{
    lua_pushcfunction(L, error_new);
    return 1;
}

/* Called for Lua's warnings: errors in finalizers, which are reported nowhere else. */
static void warn(void *data, const char *message, int to_be_continued)
{
    bool *continues = data;
    if (!*continues && *message == '@')
        return;
    if (!*continues)
        fputs("moonflash: warning: ", stderr);
    for (const char *c = message; *c; c++)
        fputc((*c >= 0 && *c < ' ' && *c != '\n' && *c != '\t') || *c == 127 ? '?' : *c, stderr);
    if (!to_be_continued)
        fputc('\n', stderr);
    *continues = to_be_continued != 0;
}

static int open_state(lua_State *L)
{
    luaL_openlibs(L);
    drop_relative_templates(L, "path");
    drop_relative_templates(L, "cpath");
    error_open(L);
    lbase_open(L);
    builtin_open(L);
    preload(L, "dfu", open_library);
    preload(L, "sim", open_library);
    preload(L, "sys", open_library);
    preload(L, "task", luaopen_task);
    preload(L, "prompt", luaopen_prompt);
    preload(L, "http", luaopen_http);
    preload(L, "sqlite", luaopen_sqlite);
    preload(L, "moonflash.error", open_errors);
    preload(L, "moonflash.link", luaopen_link);
    preload(L, "moonflash.outside", luaopen_outside);
    preload(L, "moonflash.simulator", luaopen_sim);
    preload(L, "moonflash.system", luaopen_sys);
    lua_pushliteral(L, MOONFLASH_VERSION);
    lua_setglobal(L, "MOONFLASH_VERSION");
    return 0;
}

/* ---- running ---- */

static int cli_ended(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 1;
}

/* The first task: require("moonflash.cli")(arguments) --> exit status */
static int run_cli(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "moonflash.cli");
    lua_call(L, 1, 1);
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 1, 0, cli_ended);
    return cli_ended(L, LUA_OK, 0);
}

static void push_arguments(lua_State *L, int argc, char **argv)
{
    lua_createtable(L, argc, 1);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
}

struct start {
    int argc;
    char **argv;
    int status;
};

static int protected_main(lua_State *L)
{
    struct start *start = lua_touserdata(L, 1);
    open_state(L);
    lua_pushcfunction(L, run_cli);
    push_arguments(L, start->argc, start->argv);
    if (!tasks_run(L, 1))
        return lua_error(L);
    start->status = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1) : EXIT_BUG;
    return 0;
}

static void end_unread(void *arg)
{
    struct moonflash *moonflash = arg;
    tasks_interrupt(moonflash->context.tasks, "output",
                    "stopped: more than 16 MB of output wait for a reader");
}

/* Called by the outlets, inside a write. */
static void on_unread(void *arg)
{
    struct moonflash *moonflash = arg;
    loop_post(moonflash->context.loop, &moonflash->unread);
}

/* Returns false where memory is short; moonflash_close() is needed even then. */
static bool moonflash_open(struct moonflash *moonflash)
{
    struct context *context = &moonflash->context;
    moonflash->unread = (struct loop_job){ .run = end_unread, .arg = moonflash };
    context->observer = &moonflash->observer;
    context->source_tree = find_source_tree();
    context->loop = loop_new();
    context->L = luaL_newstate();
    if (!context->loop || !context->L || !output_begin(context->loop, on_unread, moonflash))
        return false;
    *(struct context **)lua_getextraspace(context->L) = context;
    context->tasks = tasks_new(context->L, context->loop);
    context->sims = simport_new(context->loop);
    context->usb = usb_new(context->loop);
    return context->tasks && context->sims;
}

/* Called when Lua is closed.  A board may still have an owner: its finalizer could not run, because
 * Lua's stack was full. */
static void release_boards(struct context *context)
{
    for (struct board *board = context->boards, *next; board; board = next) {
        next = board->next;
        if (!board->orphan)
            board_orphan(board);
    }
    boards_release(&context->boards, context->loop);
}

/* Returns false if part of what was written to standard output was not taken. */
static bool moonflash_close(struct moonflash *moonflash)
{
    struct context *context = &moonflash->context;
    moonflash->observer.saw = NULL;
    if (context->L)
        lua_close(context->L);
    if (context->loop) {
        release_boards(context);
        procs_release(&context->procs, context->loop);
    }
    if (context->sims)
        context->sims->free(context->sims);
    if (context->usb)
        context->usb->free(context->usb);
    tasks_free(context->tasks);
    bool written = output_end("moonflash: standard output can't be written\n");
    loop_free(context->loop);
    free(context->source_tree);
    return written;
}

/* Opens /dev/null for each of the descriptors 0 to 2 that is closed, so that no other file gets its
 * number.  It is open for reading only: a write to it fails. */
static void fill_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= 2);
    close(fd);
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    signal(SIGXFSZ, SIG_IGN); /* a write beyond the limit of a file's size fails instead */
    struct moonflash moonflash = { 0 };
    struct start start = { argc, argv, EXIT_BUG };
    if (!moonflash_open(&moonflash)) {
        fprintf(stderr, "moonflash: not enough memory\n");
        moonflash_close(&moonflash);
        return EXIT_MEMORY;
    }
    lua_State *L = moonflash.context.L;
    bool continues = false;
    lua_setwarnf(L, warn, &continues);
    lua_pushcfunction(L, protected_main);
    lua_pushlightuserdata(L, &start);
    int outcome = lua_pcall(L, 1, 0, 0);
    if (outcome == LUA_ERRMEM) { /* even the report of an error takes some */
        fprintf(stderr, "moonflash: not enough memory\n");
        start.status = EXIT_MEMORY;
    } else if (outcome != LUA_OK) {
        fprintf(stderr, "moonflash: internal error, please report it: %s\n",
                luaL_tolstring(L, -1, NULL));
        start.status = EXIT_BUG;
    }
    if (!moonflash_close(&moonflash) && start.status == 0)
        start.status = EXIT_IO;
    return start.status;
}
