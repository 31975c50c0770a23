/* SPDX-License-Identifier: MIT */
/* bed SCRIPT [ARG...]: runs a Lua script with the module `bed`: boards on a bus of their own, and
 * clients that see them.
 *
 *   board = bed.board{ path="1-1", kind="f407", serial=, rdp=, wrp=, state=, times=, usb=,
 *                      poll=milliseconds, device=, config=, strings={ [2]="...", [3]=false },
 *                      attributes={ serial="..." } }
 *   job = bed.start{ "moonflash", "list", env={ A="1" }, powerless=true }
 *   job:wait(seconds) --> { status=, signal=, out=, err=, seconds=, hung= }
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>
#include <linux/capability.h>

#include "bed.h"

#define BOARD "bed.board"
#define JOB   "bed.job"

enum { MOST_ARGS = 64, TURN_MS = 4, MOST_OUTPUT = 1 << 22 };

static struct bed *bed;
static unsigned running; /* clients */

static double seconds_now(void)
{
    return (double)g_get_monotonic_time() / 1e6;
}

/* ---- boards ---- */

static struct bed_board *board_at(lua_State *L)
{
    struct bed_board **box = luaL_checkudata(L, 1, BOARD);
    luaL_argcheck(L, *box, 1, "the board was freed");
    return *box;
}

static int option(lua_State *L, const char *name, const char *const *words, int otherwise)
{
    lua_getfield(L, 1, name);
    int value = otherwise;
    if (!lua_isnil(L, -1))
        value = words ? luaL_checkoption(L, -1, NULL, words) : (int)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return value;
}

static const char *text_option(lua_State *L, const char *name, const char *otherwise, size_t *size)
{
    lua_getfield(L, 1, name);
    return luaL_optlstring(L, -1, otherwise, size); /* stays on the stack */
}

static void set_strings(lua_State *L, struct bed_board *board)
{
    if (lua_getfield(L, 1, "strings") == LUA_TNIL)
        return;
    luaL_checktype(L, -1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        size_t length = 0;
        lua_Integer index = luaL_checkinteger(L, -2);
        const char *bytes = lua_toboolean(L, -1) ? luaL_checklstring(L, -1, &length) : NULL;
        bed_board_set_string(board, (uint8_t)index, bytes, length);
    }
}

static void set_attributes(lua_State *L, struct bed_board *board)
{
    if (lua_getfield(L, 1, "attributes") == LUA_TNIL)
        return;
    luaL_checktype(L, -1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        size_t length;
        const char *bytes = luaL_checklstring(L, -1, &length);
        bed_board_set_attribute(board, luaL_checkstring(L, -2), bytes, length);
    }
}

/*** bed.board(options) --> Board, plugged in */
static int new_board(lua_State *L)
{
    static const char *const usbs[] = { "real", "ideal", "none", NULL };
    static const char *const times[] = { "typ", "max", "zero", NULL };
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size_t device_length = 0, config_length = 0;
    const char *path = text_option(L, "path", "1-1", NULL);
    struct sim_options options = {
        .kind = text_option(L, "kind", "f407", NULL),
        .serial = text_option(L, "serial", NULL, NULL),
        .rdp = option(L, "rdp", NULL, 0),
        .wrp = (uint32_t)option(L, "wrp", NULL, 0),
        .usb = (enum sim_usb)option(L, "usb", usbs, SIM_USB_NONE),
        .times = (enum sim_times)option(L, "times", times, SIM_TIMES_ZERO),
        .state = option(L, "state", NULL, -1),
    };
    const char *device = text_option(L, "device", NULL, &device_length);
    const char *config = text_option(L, "config", NULL, &config_length);
    struct bed_board **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = bed_board_new(bed, path, &options);
    if (!*box)
        return luaL_error(L, "there is no such board");
    luaL_setmetatable(L, BOARD);
    bed_board_describe(*box, device, device_length, config, config_length);
    int self = lua_gettop(L);
    set_strings(L, *box);
    set_attributes(L, *box);
    bed_board_set_poll(*box, option(L, "poll", NULL, -1));
    lua_pushvalue(L, self);
    bed_board_plug(*box);
    return 1;
}

static int board_free(lua_State *L)
{
    struct bed_board **box = luaL_checkudata(L, 1, BOARD);
    if (*box && bed)
        bed_board_free(*box);
    *box = NULL;
    return 0;
}

static int board_plug(lua_State *L)
{
    bed_board_plug(board_at(L));
    return 0;
}

static int board_unplug(lua_State *L)
{
    bed_board_unplug(board_at(L));
    return 0;
}

/*** board:begin(): no faults any more, and requests are counted from 1 */
static int board_begin(lua_State *L)
{
    bed_board_begin(board_at(L));
    return 0;
}

/*** board:strike(fault, at, value?, request?): see enum bed_fault */
static int board_strike(lua_State *L)
{
    static const char *const names[] = {
        [BED_UNPLUG] = "unplug", [BED_YANK] = "yank",     [BED_POWER] = "power",
        [BED_STALL] = "stall",   [BED_EPROTO] = "eproto", [BED_EILSEQ] = "eilseq",
        [BED_LOST] = "lost",     [BED_SHORT] = "short",   [BED_EMPTY] = "empty",
        [BED_LONG] = "long",     [BED_HANG] = "hang",     [BED_DEAF] = "deaf",
        [BED_DELAY] = "delay",   [BED_ERROR] = "error",   [BED_CORRUPT] = "corrupt",
        [BED_STATE] = "state",   [BED_STATUS] = "status", [BED_POLL] = "poll",
        [BED_STUCK] = "stuck",   [BED_SIGNAL] = "signal", [BED_GATE] = "gate",
        [BED_FAULTS] = NULL,
    };
    struct bed_strike strike = {
        .fault = (enum bed_fault)luaL_checkoption(L, 2, NULL, names),
        .at = (unsigned)luaL_checkinteger(L, 3),
        .value = luaL_optnumber(L, 4, 0),
        .request = (int)luaL_optinteger(L, 5, -1),
    };
    if (!bed_board_strike(board_at(L), &strike))
        return luaL_error(L, "too many strikes, or one at 0");
    return 0;
}

static int board_is_held(lua_State *L)
{
    lua_pushboolean(L, bed_board_is_held(board_at(L)));
    return 1;
}

static int board_open_gate(lua_State *L)
{
    bed_board_open_gate(board_at(L));
    return 0;
}

static int board_lock_node(lua_State *L)
{
    bed_board_lock_node(board_at(L), lua_toboolean(L, 2));
    return 0;
}

static int board_occupy(lua_State *L)
{
    bed_board_occupy(board_at(L), lua_toboolean(L, 2));
    return 0;
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

/*** board:log() --> { { type=, request=, value=, index=, length=, status=, count= }, ... } */
static int board_log(lua_State *L)
{
    const struct bed_entry *entries;
    size_t n = bed_board_log(board_at(L), &entries);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_createtable(L, 0, 7);
        set_integer(L, "type", entries[i].setup.type);
        set_integer(L, "request", entries[i].setup.request);
        set_integer(L, "value", entries[i].setup.value);
        set_integer(L, "index", entries[i].setup.index);
        set_integer(L, "length", entries[i].setup.length);
        set_integer(L, "status", entries[i].status);
        set_integer(L, "count", entries[i].count);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/*** board:requests() --> how many there were */
static int board_requests(lua_State *L)
{
    const struct bed_entry *entries;
    lua_pushinteger(L, (lua_Integer)bed_board_log(board_at(L), &entries));
    return 1;
}

static int board_claims(lua_State *L)
{
    lua_pushinteger(L, bed_board_claims(board_at(L)));
    return 1;
}

/*** board:state() --> bState; negative where it does not answer */
static int board_state(lua_State *L)
{
    lua_pushinteger(L, bed_board_state(board_at(L)));
    return 1;
}

static int board_life(lua_State *L)
{
    static const char *const names[] = {
        [SIM_DFU] = "dfu",         [SIM_RUNTIME] = "runtime", [SIM_STARTING] = "starting",
        [SIM_RUNNING] = "running", [SIM_AWAY] = "away",
    };
    lua_pushstring(L, names[bed_board_life(board_at(L))]);
    return 1;
}

/*** board:started() --> address of the vector table and whether it works; nil if it did not */
static int board_started(lua_State *L)
{
    struct sim_start start = bed_board_started(board_at(L));
    if (!start.happened)
        return 0;
    lua_pushinteger(L, start.address);
    lua_pushboolean(L, start.works);
    return 2;
}

static int board_descriptors(lua_State *L)
{
    size_t length;
    const uint8_t *bytes = bed_board_device(board_at(L), &length);
    lua_pushlstring(L, (const char *)bytes, length);
    bytes = bed_board_config(board_at(L), &length);
    lua_pushlstring(L, (const char *)bytes, length);
    return 2;
}

/*** board:peek(address, length) --> string */
static int board_peek(lua_State *L)
{
    uint32_t address = (uint32_t)luaL_checkinteger(L, 2);
    size_t length = (size_t)luaL_checkinteger(L, 3);
    luaL_Buffer buffer;
    uint8_t *data = (uint8_t *)luaL_buffinitsize(L, &buffer, length);
    if (!bed_board_peek(board_at(L), address, data, length))
        return luaL_error(L, "no memory is there");
    luaL_pushresultsize(&buffer, length);
    return 1;
}

static int board_poke(lua_State *L)
{
    size_t length;
    uint32_t address = (uint32_t)luaL_checkinteger(L, 2);
    const char *bytes = luaL_checklstring(L, 3, &length);
    if (!bed_board_poke(board_at(L), address, (const uint8_t *)bytes, length))
        return luaL_error(L, "no memory is there");
    return 0;
}

/* ---- clients ---- */

struct job {
    pid_t pid; /* 0: has ended, and was waited for */
    int ends[2];
    GString *texts[2]; /* of standard output and standard error */
    double started;
    int status;
};

static struct job *job_at(lua_State *L)
{
    return luaL_checkudata(L, 1, JOB);
}

/* In the child.  Root may open everything: what a user may not open, root may not without this. */
static void drop_power(void)
{
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
}

static void run_child(const char *const *argv, char *const *environment, int out, int err,
                      bool powerless)
{
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, 0);
    dup2(out, 1);
    dup2(err, 2);
    setpgid(0, 0);
    if (powerless)
        drop_power();
    execvpe(argv[0], (char *const *)(uintptr_t)argv, environment);
    _exit(127);
}

static gchar **environment_of(lua_State *L)
{
    gchar **environment = g_get_environ();
    environment = g_environ_setenv(environment, "LD_PRELOAD", "libumockdev-preload.so.0", TRUE);
    if (lua_getfield(L, 1, "env") == LUA_TTABLE)
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
            environment = g_environ_setenv(environment, luaL_checkstring(L, -2),
                                           luaL_checkstring(L, -1), TRUE);
    lua_pop(L, 1);
    return environment;
}

/*** bed.start{ program, argument, ..., env=, powerless= } --> Job */
static int start(lua_State *L)
{
    const char *argv[MOST_ARGS + 1] = { NULL };
    int out[2], err[2];
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_argcheck(L, luaL_len(L, 1) <= MOST_ARGS, 1, "too many arguments");
    for (int i = 0; i < luaL_len(L, 1); i++) {
        lua_geti(L, 1, i + 1);
        argv[i] = luaL_checkstring(L, -1);
    }
    lua_getfield(L, 1, "powerless");
    bool powerless = lua_toboolean(L, -1);
    gchar **environment = environment_of(L);
    struct job *job = lua_newuserdatauv(L, sizeof *job, 0);
    *job = (struct job){ .started = seconds_now() };
    luaL_setmetatable(L, JOB);
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        return luaL_error(L, "pipe: %s", strerror(errno));
    job->pid = vfork(); /* fork() would copy the tables of the flashes' pages, each time */
    if (job->pid == 0)
        run_child(argv, environment, out[1], err[1], powerless);
    g_strfreev(environment);
    close(out[1]);
    close(err[1]);
    job->ends[0] = out[0];
    job->ends[1] = err[0];
    job->texts[0] = g_string_new(NULL);
    job->texts[1] = g_string_new(NULL);
    running++;
    bed_set_client(bed, job->pid);
    return 1;
}

/* Takes in what has come on one end; closes it at its end. */
static void take_in(struct job *job, int i)
{
    char buffer[16384];
    ssize_t n = read(job->ends[i], buffer, sizeof buffer);
    if (n > 0 && job->texts[i]->len < MOST_OUTPUT)
        g_string_append_len(job->texts[i], buffer, n);
    if (n <= 0) {
        close(job->ends[i]);
        job->ends[i] = -1;
    }
}

/* A while of the client's life. */
static void listen_to(struct job *job)
{
    struct pollfd fds[2] = { { .fd = job->ends[0], .events = POLLIN },
                             { .fd = job->ends[1], .events = POLLIN } };
    int n = poll(fds, 2, TURN_MS);
    bed_turn(bed);
    for (int i = 0; n > 0 && i < 2; i++)
        if (fds[i].revents)
            take_in(job, i);
}

static bool has_ended(struct job *job)
{
    listen_to(job);
    return job->ends[0] < 0 && job->ends[1] < 0 &&
           waitpid(job->pid, &job->status, WNOHANG) == job->pid;
}

/* libumockdev notices the end of a client a little later. */
static void wait_for_idle(void)
{
    double deadline = seconds_now() + 2;
    while (running == 0 && !bed_is_idle(bed) && seconds_now() < deadline)
        g_usleep(200);
    if (running == 0)
        bed_retire(bed);
}

static void push_outcome(lua_State *L, struct job *job, bool hung)
{
    lua_createtable(L, 0, 6);
    if (WIFEXITED(job->status))
        set_integer(L, "status", WEXITSTATUS(job->status));
    else
        set_integer(L, "signal", WTERMSIG(job->status));
    lua_pushlstring(L, job->texts[0]->str, job->texts[0]->len);
    lua_setfield(L, -2, "out");
    lua_pushlstring(L, job->texts[1]->str, job->texts[1]->len);
    lua_setfield(L, -2, "err");
    lua_pushnumber(L, seconds_now() - job->started);
    lua_setfield(L, -2, "seconds");
    lua_pushboolean(L, hung);
    lua_setfield(L, -2, "hung");
}

/*** job:wait(seconds) --> { status= or signal=, out=, err=, seconds=, hung= }; what has not ended
 * by then is killed, and hung */
static int job_wait(lua_State *L)
{
    struct job *job = job_at(L);
    double deadline = seconds_now() + luaL_checknumber(L, 2);
    bool hung = false;
    luaL_argcheck(L, job->pid, 1, "it was waited for");
    while (!has_ended(job)) {
        if (hung || seconds_now() < deadline)
            continue;
        hung = true;
        kill(-job->pid, SIGKILL);
    }
    job->pid = 0;
    running--;
    wait_for_idle();
    push_outcome(L, job, hung);
    g_string_free(job->texts[0], TRUE);
    g_string_free(job->texts[1], TRUE);
    return 1;
}

/*** job:watch(seconds) --> whether it is still running after that time */
static int job_watch(lua_State *L)
{
    struct job *job = job_at(L);
    double deadline = seconds_now() + luaL_checknumber(L, 2);
    siginfo_t info = { .si_pid = 0 };
    while (seconds_now() < deadline) {
        listen_to(job);
        if (waitid(P_PID, (id_t)job->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
            break;
    }
    lua_pushboolean(L, info.si_pid == 0);
    return 1;
}

/*** job:kill(signal) */
static int job_kill(lua_State *L)
{
    struct job *job = job_at(L);
    if (job->pid)
        kill(job->pid, (int)luaL_checkinteger(L, 2));
    return 0;
}

static int now(lua_State *L)
{
    lua_pushnumber(L, seconds_now());
    return 1;
}

/* ---- the whole ---- */

static const luaL_Reg board_methods[] = {
    { "free", board_free },
    { "plug", board_plug },
    { "unplug", board_unplug },
    { "begin", board_begin },
    { "strike", board_strike },
    { "is_held", board_is_held },
    { "open_gate", board_open_gate },
    { "lock_node", board_lock_node },
    { "occupy", board_occupy },
    { "log", board_log },
    { "requests", board_requests },
    { "claims", board_claims },
    { "state", board_state },
    { "life", board_life },
    { "started", board_started },
    { "descriptors", board_descriptors },
    { "peek", board_peek },
    { "poke", board_poke },
    { "__gc", board_free },
    { "__close", board_free },
    { NULL, NULL },
};

static const luaL_Reg job_methods[] = {
    { "wait", job_wait },
    { "watch", job_watch },
    { "kill", job_kill },
    { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "board", new_board },
    { "start", start },
    { "now", now },
    { NULL, NULL },
};

static void new_class(lua_State *L, const char *name, const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

static void open_modules(lua_State *L, int argc, char **argv)
{
    luaL_openlibs(L);
    new_class(L, BOARD, board_methods);
    new_class(L, JOB, job_methods);
    luaL_newlib(L, functions);
    lua_setglobal(L, "bed");
    lua_createtable(L, argc, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");
}

/* umockdev warns when a client dies in the middle of a request; some cases do just that. */
static void drop_upset(const gchar *domain, GLogLevelFlags level, const gchar *message,
                       gpointer arg)
{
    if (!strstr(message, "with open stream"))
        g_log_default_handler(domain, level, message, arg);
}

static int add_traceback(lua_State *L)
{
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

int main(int argc, char **argv)
{
    char why[200];
    if (argc < 2) {
        fprintf(stderr, "usage: bed SCRIPT [ARG...]\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    g_log_set_default_handler(drop_upset, NULL);
    bed = bed_new(why, sizeof why);
    if (!bed) {
        fprintf(stderr, "bed: %s\n", why);
        return 1;
    }
    lua_State *L = luaL_newstate();
    open_modules(L, argc, argv);
    lua_pushcfunction(L, add_traceback);
    bool good = luaL_loadfile(L, argv[1]) == LUA_OK && lua_pcall(L, 0, 0, 1) == LUA_OK;
    if (!good)
        fprintf(stderr, "bed: %s\n", lua_tostring(L, -1));
    lua_close(L);
    bed_free(bed);
    return good ? 0 : 1;
}
