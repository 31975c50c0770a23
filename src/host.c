/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board.h"
#include "builtin.h"
#include "error.h"
#include "lbase.h"
#include "lchannel.h"
#include "llink.h"
#include "loop.h"
#include "lsim.h"
#include "lsys.h"
#include "ltask.h"
#include "output.h"
#include "port.h"
#include "proc.h"
#include "repl.h"
#include "simport.h"
#include "task.h"
#include "usb.h"

#define EXIT_BUG 70 /* sysexits.h: EX_SOFTWARE */
#define EXIT_IO  74 /* EX_IOERR */

/* ---- the source tree ---- */

/* Where this program is build/moonflash of the tree that it was built in, our Lua files are read
 * from there: who works on moonflash need not build to see a change.  The tree's path is compiled
 * in; whatever was installed, copied or moved runs what is built in, and nothing else. */
static char *find_source_tree(void)
{
#ifdef MOONFLASH_TREE
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    if (strcmp(path, MOONFLASH_TREE "/build/moonflash") != 0 ||
        access(MOONFLASH_TREE "/lua/moonflash/cli.lua", R_OK) != 0)
        return NULL;
    return strdup(MOONFLASH_TREE);
#else
    return NULL;
#endif
}

/* ---- the Lua state ---- */

/* Takes the relative templates out of package.path or cpath: whoever runs a flasher as root must
 * not run what lies about in the working directory. */
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

/* A module whose other half is in Lua: that gets C's half, and gives the whole. */
static int open_with(lua_State *L, lua_CFunction open, const char *other_half)
{
    open(L);
    lua_getglobal(L, "require");
    lua_pushstring(L, other_half);
    lua_call(L, 1, 1);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    return 1;
}

static int open_dfu(lua_State *L)
{
    return open_with(L, luaopen_link, "moonflash.boards");
}

static int open_sim(lua_State *L)
{
    return open_with(L, luaopen_sim, "moonflash.sims");
}

/* around.lua takes `outside` out again. */
static int open_both_of_sys(lua_State *L)
{
    luaopen_sys(L);
    luaopen_outside(L);
    lua_setfield(L, -2, "outside");
    return 1;
}

static int open_sys(lua_State *L)
{
    return open_with(L, open_both_of_sys, "moonflash.around");
}

static int open_errors(lua_State *L)
{
    lua_pushcfunction(L, error_new);
    return 1;
}

/* Warnings are about errors in finalizers: nobody else will tell. */
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
    base_open(L);
    builtin_open(L);
    preload(L, "dfu", open_dfu);
    preload(L, "task", luaopen_task);
    preload(L, "sim", open_sim);
    preload(L, "sys", open_sys);
    preload(L, "prompt", luaopen_prompt);
    preload(L, "moonflash.error", open_errors);
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
    struct host *host = arg;
    tasks_interrupt(host->tasks, "output", "stopped: more than 16 MB of output are not read");
}

static void on_unread(void *arg)
{
    struct host *host = arg;
    loop_post(host->loop, &host->unread);
}

static bool open_host(struct host *host)
{
    host->source_tree = find_source_tree();
    host->loop = loop_new();
    host->L = luaL_newstate();
    if (!host->loop || !host->L || !output_begin(host->loop, on_unread, host))
        return false;
    host->unread.run = end_unread;
    host->unread.arg = host;
    *(struct host **)lua_getextraspace(host->L) = host;
    host->tasks = tasks_new(host->L, host->loop);
    host->sims = host->ports[0] = simport_new(host->loop);
    host->ports[1] = usb_new(host->loop);
    return host->tasks && host->sims;
}

/* Nobody holds a board any more: also one whose finalizer could not run (Lua's stack was full). */
static void release_boards(struct host *host)
{
    for (struct board *board = host->boards, *next; board; board = next) {
        next = board->next;
        if (!board->orphan)
            board_orphan(board);
    }
    boards_release(&host->boards, host->loop);
}

/* False: not all that was written to standard output was taken. */
static bool close_host(struct host *host)
{
    host->observer.saw = NULL;
    if (host->L)
        lua_close(host->L);
    if (host->loop) {
        release_boards(host);
        procs_release(&host->procs, host->loop);
    }
    for (int i = 0; i < HOST_PORTS; i++)
        if (host->ports[i])
            host->ports[i]->free(host->ports[i]);
    tasks_free(host->tasks);
    bool written = output_end("moonflash: standard output can't be written\n");
    loop_free(host->loop);
    free(host->source_tree);
    return written;
}

/* Whoever started us may have closed some of 0 to 2: no other file shall get their numbers.  There
 * is nothing to read in what takes their place, and writing to it fails. */
static void fill_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= 2);
    close(fd);
}

int host_main(int argc, char **argv)
{
    fill_standard_descriptors();
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too long is an error of its write */
    struct host host = { 0 };
    struct start start = { argc, argv, EXIT_BUG };
    if (!open_host(&host)) {
        fprintf(stderr, "moonflash: not enough memory\n");
        close_host(&host);
        return EXIT_BUG;
    }
    bool continues = false;
    lua_setwarnf(host.L, warn, &continues);
    lua_pushcfunction(host.L, protected_main);
    lua_pushlightuserdata(host.L, &start);
    if (lua_pcall(host.L, 1, 0, 0) != LUA_OK) {
        fprintf(stderr, "moonflash: a bug of moonflash's own: %s\n",
                luaL_tolstring(host.L, -1, NULL));
        start.status = EXIT_BUG;
    }
    if (!close_host(&host) && start.status == 0)
        start.status = EXIT_IO;
    return start.status;
}
