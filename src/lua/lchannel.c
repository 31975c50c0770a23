/* SPDX-License-Identifier: MIT */
/* Channels: programs, serial ports and standard input, for Lua.  A channel reads and writes what is
 * possible at once, and waits.  Buffers, deadlines and messages are in
 * lua/moonflash/sys/.
 */
#include "lua/lchannel.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "lua/context.h"
#include "lua/lmisuse.h"
#include "loop/loop.h"
#include "loop/proc.h"
#include "loop/serial.h"
#include "lua/task.h"

#define CHANNEL_TYPE "sys.Channel"
#define MOST_AT_ONCE 65536

struct channel {
    int in, out; /* descriptors to read from and to write to; may be the same; -1: none */
    bool is_closed, is_serial;
    bool is_borrowed; /* standard input: its descriptor stays open */
    struct serial serial;
    struct proc *proc; /* the program; NULL: none */
    struct loop *loop;
    struct waiting *waiting; /* list of the tasks that wait for it */
};

/* A task that waits for the channel; a userdata on the stack of its coroutine. */
struct waiting {
    struct wait wait;
    struct channel *channel;
    struct loop_watch reading, writing;
    struct loop_timer timer;
    bool for_end; /* waits for the end of the program */
    struct waiting *next;
};

static struct channel *check_channel(lua_State *L)
{
    return method_self(L, CHANNEL_TYPE);
}

static struct channel *check_open(lua_State *L)
{
    struct channel *channel = check_channel(L);
    if (channel->is_closed)
        luaL_error(L, "the channel is closed");
    return channel;
}

/* ---- waiting ---- */

static void end_waiting(struct waiting *waiting)
{
    struct channel *channel = waiting->channel;
    struct waiting **p = &channel->waiting;
    while (*p && *p != waiting)
        p = &(*p)->next;
    if (!*p)
        return;
    *p = waiting->next;
    loop_unwatch(channel->loop, &waiting->reading);
    loop_unwatch(channel->loop, &waiting->writing);
    loop_timer_cancel(channel->loop, &waiting->timer);
    wait_done(&waiting->wait);
}

static void on_ready(void *arg, short events)
{
    (void)events;
    end_waiting(arg);
}

static void on_time(void *arg)
{
    end_waiting(arg);
}

static void on_end(void *arg)
{
    struct channel *channel = arg;
    for (struct waiting *waiting = channel->waiting, *next; waiting; waiting = next) {
        next = waiting->next;
        if (waiting->for_end)
            end_waiting(waiting);
    }
}

static void give_up(struct wait *w)
{
    end_waiting((struct waiting *)w);
}

static void watch(struct channel *channel, struct waiting *waiting, struct loop_watch *watch,
                  int fd, short events)
{
    *watch = (struct loop_watch){ .ready = on_ready, .arg = waiting, .fd = fd, .events = events };
    if (fd >= 0)
        loop_watch(channel->loop, watch);
}

static int waited(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return task_cancelled(L) ? lua_error(L) : 0;
}

/*** channel:wait(what, seconds?): waits for one of `what`, a string of "r" (bytes to read, or the
 * end), "w" (room to write) and "e" (the end of the program), up to `seconds`.  Returns at once if
 * none of them can come. */
static int lchannel_wait(lua_State *L)
{
    check_channel(L);
    const char *what = luaL_checkstring(L, 2);
    double seconds = luaL_optnumber(L, 3, -1);
    task_check(L);
    struct channel *channel = check_open(L);
    bool for_end = channel->proc && strchr(what, 'e');
    int reads = strchr(what, 'r') ? channel->in : -1;
    int writes = strchr(what, 'w') ? channel->out : -1;
    if (for_end ? channel->proc->has_ended : reads < 0 && writes < 0)
        return 0;
    struct waiting *waiting = lua_newuserdatauv(L, sizeof *waiting, 0);
    *waiting = (struct waiting){ .wait = { .give_up = give_up },
                                 .channel = channel,
                                 .timer = { .fire = on_time, .arg = waiting },
                                 .for_end = for_end,
                                 .next = channel->waiting };
    channel->waiting = waiting;
    watch(channel, waiting, &waiting->reading, reads, POLLIN);
    watch(channel, waiting, &waiting->writing, writes, POLLOUT);
    if (seconds >= 0)
        loop_timer_set(channel->loop, &waiting->timer, loop_now(channel->loop) + seconds);
    return task_await(L, &waiting->wait, 0, waited);
}

/* ---- reading and writing ---- */

/* Returns false for a descriptor that has ended; and why, if an error ended it. */
static int push_end(lua_State *L, int error)
{
    bool just_ended = error == 0 || error == EIO || error == ENXIO || error == EPIPE;
    lua_pushboolean(L, 0);
    if (just_ended)
        return 1;
    lua_pushstring(L, strerror(error));
    return 2;
}

static bool is_for_later(int error)
{
    return error == EAGAIN || error == EINTR;
}

/*** channel:read(most) --> bytes; nil: none now; false: the end, and why, if an error ended it */
static int lchannel_read(lua_State *L)
{
    check_channel(L);
    lua_Integer most = luaL_checkinteger(L, 2);
    luaL_argcheck(L, most >= 1 && most <= MOST_AT_ONCE, 2, "1 to 65536");
    luaL_Buffer buffer;
    char *bytes = luaL_buffinitsize(L, &buffer, (size_t)most);
    struct channel *channel = check_open(L);
    struct pollfd fd = { .fd = channel->in, .events = POLLIN };
    if (poll(&fd, 1, 0) == 0) /* standard input may block: other programs share its flags */
        return 0;
    ssize_t n = read(channel->in, bytes, (size_t)most);
    int error = n < 0 ? errno : 0;
    luaL_pushresultsize(&buffer, n > 0 ? (size_t)n : 0);
    if (n > 0)
        return 1;
    return is_for_later(error) ? 0 : push_end(L, error);
}

/*** channel:write(bytes, from) --> number of bytes taken; false: the end, and why, if an error
 * ended it */
static int lchannel_write(lua_State *L)
{
    check_channel(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    lua_Integer from = luaL_checkinteger(L, 3);
    struct channel *channel = check_open(L);
    luaL_argcheck(L, from >= 1 && (lua_Unsigned)from <= length, 3, "out of range");
    ssize_t n = write(channel->out, bytes + from - 1, length - (size_t)from + 1);
    if (n < 0 && !is_for_later(errno))
        return push_end(L, errno);
    lua_pushinteger(L, n < 0 ? 0 : n);
    return 1;
}

/*** channel:unsent() --> number of bytes that a serial port has not sent yet */
static int lchannel_unsent(lua_State *L)
{
    struct channel *channel = check_open(L);
    lua_pushinteger(L, channel->is_serial ? (lua_Integer)serial_unsent(&channel->serial) : 0);
    return 1;
}

/*** channel:discard(): drops the bytes that a serial port has not sent, or a line of the terminal
 * that was not read */
static int lchannel_discard(lua_State *L)
{
    struct channel *channel = check_open(L);
    if (channel->is_serial)
        serial_drop_unsent(&channel->serial);
    else if (channel->is_borrowed)
        tcflush(channel->in, TCIFLUSH);
    return 0;
}

/* ---- programs ---- */

/*** channel:status() --> exit status; or nil and a signal; or false: the program runs; nil: there
 * is no program */
static int lchannel_status(lua_State *L)
{
    struct channel *channel = check_open(L);
    if (!channel->proc)
        return 0;
    if (!channel->proc->has_ended) {
        lua_pushboolean(L, 0);
        return 1;
    }
    int status = channel->proc->status;
    if (WIFEXITED(status)) {
        lua_pushinteger(L, WEXITSTATUS(status));
        return 1;
    }
    lua_pushnil(L);
    lua_pushinteger(L, WTERMSIG(status));
    return 2;
}

/*** channel:finish(): closes the side that is written to */
static int lchannel_finish(lua_State *L)
{
    struct channel *channel = check_open(L);
    if (channel->out >= 0 && channel->out != channel->in)
        close(channel->out);
    channel->out = -1;
    return 0;
}

/*** channel:kill(): tells the program to end; wait("e") waits for its end */
static int lchannel_kill(lua_State *L)
{
    struct channel *channel = check_open(L);
    if (channel->proc)
        proc_end(channel->proc);
    return 0;
}

/* ---- its end ---- */

static void close_descriptors(struct channel *channel)
{
    if (channel->is_serial) {
        serial_close(&channel->serial);
    } else if (!channel->is_borrowed) {
        if (channel->out >= 0)
            close(channel->out);
        if (channel->in >= 0)
            close(channel->in);
    }
    channel->in = channel->out = -1;
}

/*** channel:close(): tells the program to end; tasks that wait for the channel continue */
static int lchannel_close(lua_State *L)
{
    struct channel *channel = check_channel(L);
    if (channel->is_closed)
        return 0;
    channel->is_closed = true;
    while (channel->waiting)
        end_waiting(channel->waiting);
    int output = -1;
    if (channel->proc) {
        output = channel->in;
        channel->in = -1;
    }
    close_descriptors(channel);
    if (channel->proc)
        proc_orphan(channel->proc, output);
    channel->proc = NULL;
    return 0;
}

/* ---- making ---- */

static struct channel *new_channel(lua_State *L)
{
    struct channel *channel = lua_newuserdatauv(L, sizeof *channel, 0);
    *channel = (struct channel){ .in = -1, .out = -1, .loop = context_of(L)->loop };
    luaL_setmetatable(L, CHANNEL_TYPE);
    return channel;
}

/* Returns nil, a word for the kind of error, and its text. */
static int refuse(lua_State *L, int error)
{
    static const struct {
        int error;
        const char *word;
    } words[] = {
        { ENOENT, "missing" },   { ENOTDIR, "missing" }, { ENODEV, "missing" },
        { ENXIO, "missing" },    { EIO, "missing" },     { EACCES, "permission" },
        { EPERM, "permission" }, { EBUSY, "busy" },
    };
    const char *word = "io";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].error == error)
            word = words[i].word;
    lua_pushnil(L);
    lua_pushstring(L, word);
    lua_pushstring(L, error == ENOTTY ? "not a serial port" : strerror(error));
    return 3;
}

/* Returns the strings of the list at the index and NULL, in a new userdata on the top. [-0, +1, e]
 */
static const char **check_strings(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    size_t n = (size_t)luaL_len(L, index);
    const char **strings = lua_newuserdatauv(L, (n + 1) * sizeof *strings, 1);
    lua_createtable(L, (int)n, 0); /* keeps them */
    for (size_t i = 0; i < n; i++) {
        size_t length;
        lua_geti(L, index, (lua_Integer)i + 1);
        const char *string = lua_tolstring(L, -1, &length);
        luaL_argcheck(L, string && strlen(string) == length, index, "strings without zeros");
        strings[i] = string;
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    strings[n] = NULL;
    lua_setiuservalue(L, -2, 1);
    return strings;
}

/* Opens a pipe; our end does not block. */
static bool open_pipe(int *ours, int *theirs, bool we_write)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    *ours = ends[we_write];
    *theirs = ends[!we_write];
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    return true;
}

static bool start(lua_State *L, struct channel *channel, struct proc_start *what, bool has_input)
{
    struct context *context = context_of(L);
    what->in = what->out = -1;
    bool opened = has_input ? open_pipe(&channel->out, &what->in, true)
                            : (what->in = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;
    if (opened && open_pipe(&channel->in, &what->out, false))
        channel->proc = proc_start(context->loop, &context->procs, what);
    int error = errno;
    if (what->in >= 0)
        close(what->in);
    if (what->out >= 0)
        close(what->out);
    errno = error;
    return channel->proc != NULL;
}

/*** outside.start(argv, settings, has_input) --> channel; or nil, a word and why.  settings: of the
 * environment, "NAME=VALUE" or, to remove it, "NAME".  Without input, the program reads /dev/null.
 */
static int lchannel_start(lua_State *L)
{
    luaL_argcheck(L, lua_istable(L, 1) && luaL_len(L, 1) > 0, 1, "a program");
    bool has_input = lua_toboolean(L, 3);
    task_check(L);
    struct proc_start what = { .argv = check_strings(L, 1), .settings = check_strings(L, 2) };
    struct channel *channel = new_channel(L);
    if (!start(L, channel, &what, has_input))
        return refuse(L, errno);
    channel->proc->ended = on_end;
    channel->proc->arg = channel;
    return 1;
}

/*** outside.has_rate(baud) --> boolean */
static int lchannel_has_rate(lua_State *L)
{
    lua_Integer baud = luaL_checkinteger(L, 1);
    lua_pushboolean(L, baud > 0 && baud <= 0x7FFFFFFF && serial_has_rate((unsigned)baud));
    return 1;
}

/*** outside.serial(path, baud) --> channel; or nil, a word and why */
static int lchannel_serial(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_Integer baud = luaL_checkinteger(L, 2);
    luaL_argcheck(L, baud > 0 && serial_has_rate((unsigned)baud), 2, "no such rate");
    task_check(L);
    struct channel *channel = new_channel(L);
    if (!serial_open(&channel->serial, path, (unsigned)baud))
        return refuse(L, errno);
    channel->is_serial = true;
    channel->in = channel->out = channel->serial.fd;
    return 1;
}

/*** outside.touch(path) --> true; or nil, a word and why */
static int lchannel_touch(lua_State *L)
{
    if (!serial_touch(luaL_checkstring(L, 1)))
        return refuse(L, errno);
    lua_pushboolean(L, 1);
    return 1;
}

/*** outside.input() --> channel: standard input */
static int lchannel_input(lua_State *L)
{
    struct channel *channel = new_channel(L);
    channel->is_borrowed = true;
    channel->in = 0;
    return 1;
}

static const luaL_Reg outside_lib[] = {
    { "start", lchannel_start },       { "serial", lchannel_serial }, { "touch", lchannel_touch },
    { "has_rate", lchannel_has_rate }, { "input", lchannel_input },   { NULL, NULL },
};

static const luaL_Reg channel_meth[] = {
    { "wait", lchannel_wait },       { "read", lchannel_read },
    { "write", lchannel_write },     { "unsent", lchannel_unsent },
    { "discard", lchannel_discard }, { "status", lchannel_status },
    { "finish", lchannel_finish },   { "kill", lchannel_kill },
    { "close", lchannel_close },     { NULL, NULL },
};

static const luaL_Reg channel_meta[] = {
    { "__gc", lchannel_close },
    { NULL, NULL },
};

int luaopen_outside(lua_State *L)
{
    luaL_newmetatable(L, CHANNEL_TYPE);
    luaL_setfuncs(L, channel_meta, 0);
    luaL_newlib(L, channel_meth);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, outside_lib);
    return 1;
}
