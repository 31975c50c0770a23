/* SPDX-License-Identifier: MIT */
/* Module `http`: a small web server, by libmicrohttpd on the loop, without threads.
 *
 *   http.listen(address, port) --> Server; or nil, "in-use" | "address" |
 *     "missing" | "failed", and the reason
 *   server:next() --> Request: waits for one; nil, if the server is closed
 *   server.port   server:close(), also <close> and __gc
 *   request.method  .path  .body (nil: too long)   request:header(name) --> value or nil
 *   request:reply(status, body, headers)   headers: { [name] = value }
 *   request:stream(headers)                answers with a body that goes on
 *   request:send(bytes) --> boolean: false, if the client has gone, or does not read
 *   request:finish()                       ends that body
 *
 * Every connection whose request has no answer yet is suspended.  The epoll descriptor of
 * libmicrohttpd is a watch on the loop, and its timeout a timer.
 */
#include "lua/lhttp.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lua/context.h"
#include "lua/lmisuse.h"
#include "lua/task.h"
#include "loop/loop.h"

#define SERVER_TYPE  "http.Server"
#define REQUEST_TYPE "http.Request"

#define MOST_BODY    4096u      /* bytes of a request */
#define MOST_WAITING 64         /* requests that Lua has not taken */
#define MOST_UNREAD  (1u << 20) /* bytes of a stream that its client has not read */
#define MOST_CLIENTS 128u
#define BACKLOG      16
#define IDLE         30u /* seconds after which a silent connection ends */

/* libmicrohttpd's functions.  It is loaded when the first server is made: with the libraries that
 * it needs, it would double the time that every other run of this program takes to start. */
static struct {
    __typeof__(&MHD_start_daemon) start_daemon;
    __typeof__(&MHD_stop_daemon) stop_daemon;
    __typeof__(&MHD_run) run;
    __typeof__(&MHD_get_timeout) get_timeout;
    __typeof__(&MHD_get_daemon_info) get_daemon_info;
    __typeof__(&MHD_suspend_connection) suspend_connection;
    __typeof__(&MHD_resume_connection) resume_connection;
    __typeof__(&MHD_queue_response) queue_response;
    __typeof__(&MHD_destroy_response) destroy_response;
    __typeof__(&MHD_create_response_from_buffer) create_response_from_buffer;
    __typeof__(&MHD_create_response_from_callback) create_response_from_callback;
    __typeof__(&MHD_add_response_header) add_response_header;
    __typeof__(&MHD_lookup_connection_value) lookup_connection_value;
} mhd;

#define LIBRARY "libmicrohttpd.so.12"

/* Returns NULL, or why the library can't be used. */
static const char *load_library(void)
{
    static const struct {
        const char *name;
        void *function; /* points to a member of mhd */
    } names[] = {
        { "MHD_start_daemon", &mhd.start_daemon },
        { "MHD_stop_daemon", &mhd.stop_daemon },
        { "MHD_run", &mhd.run },
        { "MHD_get_timeout", &mhd.get_timeout },
        { "MHD_get_daemon_info", &mhd.get_daemon_info },
        { "MHD_suspend_connection", &mhd.suspend_connection },
        { "MHD_resume_connection", &mhd.resume_connection },
        { "MHD_queue_response", &mhd.queue_response },
        { "MHD_destroy_response", &mhd.destroy_response },
        { "MHD_create_response_from_buffer", &mhd.create_response_from_buffer },
        { "MHD_create_response_from_callback", &mhd.create_response_from_callback },
        { "MHD_add_response_header", &mhd.add_response_header },
        { "MHD_lookup_connection_value", &mhd.lookup_connection_value },
    };
    if (mhd.start_daemon)
        return NULL;
    void *library = dlopen(LIBRARY, RTLD_NOW);
    if (!library)
        return dlerror();
    for (size_t i = sizeof names / sizeof *names; i-- > 0;) { /* start_daemon is the last one */
        void *symbol = dlsym(library, names[i].name);
        if (!symbol)
            return dlerror();
        memcpy(names[i].function, &symbol, sizeof symbol);
    }
    return NULL;
}

/* The one task that may wait for a request. */
struct waiter {
    struct wait wait;
    struct server *server;
};

/* Held by libmicrohttpd until the request is completed, and by a Request. */
struct request {
    int holders;
    struct server *server;             /* NULL: closed, or the request is completed */
    struct request *next, **at;        /* in the list of those that libmicrohttpd holds */
    struct request *next_waiting;      /* in the queue for Lua */
    struct MHD_Connection *connection; /* NULL: completed */
    struct MHD_Response *response;     /* NULL: none yet, or it was queued */
    unsigned status;
    bool queued, suspended, too_long, answered, streams, finished;
    char *method, *path;
    char body[MOST_BODY];
    size_t length;
    char *unread; /* of a stream */
    size_t unread_length;
};

struct server {
    struct loop *loop;
    struct MHD_Daemon *daemon; /* NULL: closed */
    struct loop_watch watch;
    struct loop_timer timer;
    struct request *requests;
    struct request *waiting, **waiting_tail;
    int count_waiting;
    struct waiter *waiter;
    bool running; /* inside mhd.run() */
    int port;
};

/* ---- requests ---- */

static void let_go(struct request *request)
{
    if (--request->holders > 0)
        return;
    if (request->response)
        mhd.destroy_response(request->response);
    free(request->method);
    free(request->path);
    free(request->unread);
    free(request);
}

static void resume(struct request *request)
{
    if (!request->suspended || !request->connection)
        return;
    request->suspended = false;
    mhd.resume_connection(request->connection);
}

static struct request *new_request(struct server *server, struct MHD_Connection *connection,
                                   const char *method, const char *path)
{
    struct request *request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->holders = 1;
    request->server = server;
    request->connection = connection;
    request->method = strdup(method);
    request->path = strdup(path);
    if (!request->method || !request->path) {
        let_go(request);
        return NULL;
    }
    request->next = server->requests;
    request->at = &server->requests;
    if (request->next)
        request->next->at = &request->next;
    server->requests = request;
    return request;
}

static void wake(struct server *server)
{
    struct waiter *waiter = server->waiter;
    server->waiter = NULL;
    if (waiter)
        wait_done(&waiter->wait);
}

/* Queues the request for Lua, and lets its connection wait. */
static enum MHD_Result hand_over(struct server *server, struct request *request)
{
    if (server->count_waiting >= MOST_WAITING)
        return MHD_NO;
    server->count_waiting++;
    request->queued = true;
    request->holders++; /* the queue's, then the Request's */
    *server->waiting_tail = request;
    server->waiting_tail = &request->next_waiting;
    request->suspended = true;
    mhd.suspend_connection(request->connection);
    wake(server);
    return MHD_YES;
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **con_cls)
{
    struct server *server = arg;
    struct request *request = *con_cls;
    (void)version;
    if (!request) {
        request = new_request(server, connection, method, url);
        *con_cls = request;
        return request ? MHD_YES : MHD_NO;
    }
    if (*upload_size > 0) {
        size_t room = MOST_BODY - request->length;
        size_t taken = *upload_size < room ? *upload_size : room;
        memcpy(request->body + request->length, upload, taken);
        request->length += taken;
        request->too_long = request->too_long || taken < *upload_size;
        *upload_size = 0;
        return MHD_YES;
    }
    if (!request->queued)
        return hand_over(server, request);
    if (!request->response)
        return MHD_NO; /* Lua gave the request up */
    enum MHD_Result result = mhd.queue_response(connection, request->status, request->response);
    mhd.destroy_response(request->response);
    request->response = NULL;
    return result;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode why)
{
    struct request *request = *con_cls;
    (void)arg;
    (void)connection;
    (void)why;
    if (!request)
        return;
    *con_cls = NULL;
    request->connection = NULL;
    request->server = NULL;
    *request->at = request->next;
    if (request->next)
        request->next->at = request->at;
    let_go(request);
}

/* ---- streams ---- */

/* Called for the next bytes of a stream.  Without any, its connection waits until there are. */
static ssize_t read_stream(void *arg, uint64_t position, char *buffer, size_t most)
{
    struct request *request = arg;
    (void)position;
    if (request->unread_length == 0) {
        if (request->finished)
            return MHD_CONTENT_READER_END_OF_STREAM;
        request->suspended = true;
        mhd.suspend_connection(request->connection);
        return 0;
    }
    size_t n = request->unread_length < most ? request->unread_length : most;
    memcpy(buffer, request->unread, n);
    request->unread_length -= n;
    memmove(request->unread, request->unread + n, request->unread_length);
    return (ssize_t)n;
}

static void end_stream(void *arg)
{
    let_go(arg);
}

/* ---- the loop ---- */

static void serve(struct server *server);

static void on_timer(void *arg)
{
    serve(arg);
}

static void on_ready(void *arg, short events)
{
    (void)events;
    serve(arg);
}

/* Runs libmicrohttpd, and sets the timer for the next time that it wants to run. */
static void serve(struct server *server)
{
    if (!server->daemon || server->running)
        return;
    server->running = true;
    mhd.run(server->daemon);
    server->running = false;
    MHD_UNSIGNED_LONG_LONG milliseconds;
    if (mhd.get_timeout(server->daemon, &milliseconds) == MHD_YES)
        loop_timer_set(server->loop, &server->timer,
                       loop_now(server->loop) + (double)milliseconds / 1000);
    else
        loop_timer_cancel(server->loop, &server->timer);
}

/* Lets libmicrohttpd run at the next turn of the loop. */
static void serve_soon(struct server *server)
{
    if (server && server->daemon)
        loop_timer_set(server->loop, &server->timer, loop_now(server->loop));
}

static void server_end(struct server *server)
{
    if (!server->daemon)
        return;
    struct request *next;
    for (struct request *request = server->waiting; request; request = next) {
        next = request->next_waiting;
        let_go(request);
    }
    server->waiting = NULL;
    server->waiting_tail = &server->waiting;
    for (struct request *request = server->requests; request; request = request->next) {
        request->finished = true;
        resume(request); /* libmicrohttpd wants no suspended ones at its end */
        request->server = NULL;
    }
    loop_unwatch(server->loop, &server->watch);
    loop_timer_cancel(server->loop, &server->timer);
    struct MHD_Daemon *daemon = server->daemon;
    server->daemon = NULL;
    mhd.run(daemon); /* lets those that were resumed end */
    mhd.stop_daemon(daemon);
    wake(server);
}

/* ---- Request ---- */

static struct request *check_request(lua_State *L)
{
    return *(struct request **)method_self(L, REQUEST_TYPE);
}

static void add_headers(lua_State *L, int index, struct MHD_Response *response)
{
    if (lua_isnoneornil(L, index))
        return;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING)
            mhd.add_response_header(response, lua_tostring(L, -2), lua_tostring(L, -1));
}

static void check_unanswered(lua_State *L, struct request *request)
{
    if (request->answered)
        luaL_error(L, "the request has been answered");
    request->answered = true;
}

static int answer(lua_State *L, struct request *request, unsigned status, int headers,
                  struct MHD_Response *response)
{
    if (!response)
        return luaL_error(L, "not enough memory");
    add_headers(L, headers, response);
    request->status = status;
    request->response = response;
    resume(request);
    serve_soon(request->server);
    return 0;
}

/*** request:reply(status, body, headers?) */
static int lrequest_reply(lua_State *L)
{
    struct request *request = check_request(L);
    unsigned status = (unsigned)luaL_checkinteger(L, 2);
    size_t length;
    const char *body = luaL_checklstring(L, 3, &length);
    if (!lua_isnoneornil(L, 4))
        luaL_checktype(L, 4, LUA_TTABLE);
    check_unanswered(L, request);
    /* the copy is not changed by libmicrohttpd, whose prototype lacks the const */
    return answer(
        L, request, status, 4,
        mhd.create_response_from_buffer(length, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY));
}

/*** request:stream(headers?) */
static int lrequest_stream(lua_State *L)
{
    struct request *request = check_request(L);
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TTABLE);
    check_unanswered(L, request);
    request->streams = true;
    request->holders++;
    return answer(L, request, MHD_HTTP_OK, 2,
                  mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_stream, request,
                                                    end_stream));
}

/*** request:send(bytes) --> boolean */
static int lrequest_send(lua_State *L)
{
    struct request *request = check_request(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    if (!request->streams)
        return luaL_error(L, "the request was not answered by stream()");
    char *grown = NULL;
    if (request->connection && request->server && !request->finished &&
        length <= MOST_UNREAD - request->unread_length)
        grown = realloc(request->unread, request->unread_length + length + 1);
    lua_pushboolean(L, grown != NULL);
    if (!grown)
        return 1;
    memcpy(grown + request->unread_length, bytes, length);
    request->unread = grown;
    request->unread_length += length;
    resume(request);
    serve_soon(request->server);
    return 1;
}

static void finish(struct request *request)
{
    if (!request->streams || request->finished)
        return;
    request->finished = true;
    resume(request);
    serve_soon(request->server);
}

/*** request:finish() */
static int lrequest_finish(lua_State *L)
{
    finish(check_request(L));
    return 0;
}

/*** request:header(name) --> value or nil */
static int lrequest_header(lua_State *L)
{
    struct request *request = check_request(L);
    const char *name = luaL_checkstring(L, 2);
    if (!request->connection || !request->suspended)
        return 0;
    lua_pushstring(L, mhd.lookup_connection_value(request->connection, MHD_HEADER_KIND, name));
    return 1;
}

static int lrequest_index(lua_State *L)
{
    struct request *request = check_request(L);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "method") == 0) {
        lua_pushstring(L, request->method);
    } else if (strcmp(key, "path") == 0) {
        lua_pushstring(L, request->path);
    } else if (strcmp(key, "body") == 0) {
        if (request->too_long)
            return 0;
        lua_pushlstring(L, request->body, request->length);
    } else {
        lua_pushvalue(L, lua_upvalueindex(1));
        if (lua_getfield(L, -1, key) == LUA_TNIL)
            return luaL_error(L, "a Request has no '%s'", key);
    }
    return 1;
}

/* A request that nobody answered ends with its connection. */
static int lrequest_gc(lua_State *L)
{
    struct request **held = luaL_checkudata(L, 1, REQUEST_TYPE);
    struct request *request = *held;
    *held = NULL;
    if (!request)
        return 0;
    if (!request->answered) {
        resume(request);
        serve_soon(request->server);
    }
    finish(request);
    let_go(request);
    return 0;
}

/* ---- Server ---- */

static struct server *check_server(lua_State *L)
{
    return method_self(L, SERVER_TYPE);
}

static bool push_next(lua_State *L, struct server *server)
{
    if (!server->waiting)
        return false;
    struct request **held = lua_newuserdatauv(L, sizeof *held, 0);
    struct request *request = server->waiting;
    server->waiting = request->next_waiting;
    if (!server->waiting)
        server->waiting_tail = &server->waiting;
    server->count_waiting--;
    *held = request;
    luaL_setmetatable(L, REQUEST_TYPE);
    return true;
}

static int request_came(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    if (task_cancelled(L))
        return lua_error(L);
    return push_next(L, (struct server *)context);
}

static void give_up(struct wait *w)
{
    struct waiter *waiter = (struct waiter *)w;
    if (waiter->server->waiter == waiter)
        waiter->server->waiter = NULL;
    wait_done(w);
}

/*** server:next() --> Request: waits for one; nil, if the server is closed */
static int lserver_next(lua_State *L)
{
    struct server *server = check_server(L);
    task_check(L);
    if (server->waiter)
        return luaL_error(L, "another task waits for a request of this server already");
    if (!server->daemon || server->waiting)
        return push_next(L, server);
    struct waiter *waiter = lua_newuserdatauv(L, sizeof *waiter, 0);
    *waiter = (struct waiter){ .wait = { .give_up = give_up }, .server = server };
    server->waiter = waiter;
    return task_await(L, &waiter->wait, (lua_KContext)server, request_came);
}

/*** server:close(): ends all connections */
static int lserver_close(lua_State *L)
{
    server_end(check_server(L));
    return 0;
}

static int lserver_index(lua_State *L)
{
    struct server *server = check_server(L);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "port") == 0) {
        lua_pushinteger(L, server->port);
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    if (lua_getfield(L, -1, key) == LUA_TNIL)
        return luaL_error(L, "a Server has no '%s'", key);
    return 1;
}

/* Fills in the socket address.  Returns false where the address is none. */
static bool parse_address(const char *address, int port, struct sockaddr_storage *socket_address)
{
    struct sockaddr_in *four = (struct sockaddr_in *)socket_address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)socket_address;
    memset(socket_address, 0, sizeof *socket_address);
    if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        return true;
    }
    if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        return true;
    }
    return false;
}

static int refuse(lua_State *L, const char *what, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, what);
    lua_pushstring(L, why);
    return 3;
}

/* Returns a socket that listens at the address, and sets *port to its port; -1 and errno if there
 * is none.  libmicrohttpd would make one itself; its version 1.0 loses the reason of a failure. */
static int listen_at(const struct sockaddr_storage *address, int *port)
{
    static const int on = 1;
    bool is_ipv6 = address->ss_family == AF_INET6;
    socklen_t length = is_ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    struct sockaddr_storage bound = { 0 };
    socklen_t bound_length = sizeof bound;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (!is_ipv6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
        bind(fd, (const struct sockaddr *)address, length) == 0 && listen(fd, BACKLOG) == 0 &&
        getsockname(fd, (struct sockaddr *)&bound, &bound_length) == 0) {
        *port = ntohs(is_ipv6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                              : ((struct sockaddr_in *)&bound)->sin_port);
        return fd;
    }
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/*** http.listen(address, port) --> Server; port 0: a free one */
static int lhttp_listen(lua_State *L)
{
    const char *address = luaL_checkstring(L, 1);
    lua_Integer port = luaL_checkinteger(L, 2);
    luaL_argcheck(L, port >= 0 && port <= 65535, 2, "0 to 65535");
    struct sockaddr_storage socket_address;
    if (!parse_address(address, (int)port, &socket_address))
        return refuse(L, "address", "it is no IPv4 or IPv6 address");
    const char *missing = load_library();
    if (missing)
        return refuse(L, "missing", missing);
    struct server *server = lua_newuserdatauv(L, sizeof *server, 0);
    *server = (struct server){ .loop = context_of(L)->loop };
    server->waiting_tail = &server->waiting;
    luaL_setmetatable(L, SERVER_TYPE);
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    if (socket_address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    int fd = listen_at(&socket_address, &server->port);
    if (fd < 0)
        return refuse(L, errno == EADDRINUSE ? "in-use" : "failed", strerror(errno));
    server->daemon = mhd.start_daemon(flags, 0, NULL, NULL, on_access, server,
                                      MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED,
                                      on_completed, NULL, MHD_OPTION_CONNECTION_TIMEOUT, IDLE,
                                      MHD_OPTION_CONNECTION_LIMIT, MOST_CLIENTS, MHD_OPTION_END);
    if (!server->daemon) /* which has closed the socket */
        return refuse(L, "failed", "libmicrohttpd does not start");
    const union MHD_DaemonInfo *info =
        mhd.get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    server->watch = (struct loop_watch){
        .ready = on_ready, .arg = server, .fd = info->epoll_fd, .events = POLLIN
    };
    server->timer = (struct loop_timer){ .fire = on_timer, .arg = server };
    loop_watch(server->loop, &server->watch);
    return 1;
}

static const luaL_Reg http_lib[] = {
    { "listen", lhttp_listen },
    { NULL, NULL },
};

static const luaL_Reg server_meth[] = {
    { "next", lserver_next },
    { "close", lserver_close },
    { NULL, NULL },
};

static const luaL_Reg server_meta[] = {
    { "__gc", lserver_close },
    { "__close", lserver_close },
    { NULL, NULL },
};

static const luaL_Reg request_meth[] = {
    { "reply", lrequest_reply },   { "stream", lrequest_stream }, { "send", lrequest_send },
    { "finish", lrequest_finish }, { "header", lrequest_header }, { NULL, NULL },
};

int luaopen_http(lua_State *L)
{
    luaL_newmetatable(L, SERVER_TYPE);
    luaL_setfuncs(L, server_meta, 0);
    luaL_newlib(L, server_meth);
    lua_pushcclosure(L, lserver_index, 1);
    lua_setfield(L, -2, "__index");
    luaL_newmetatable(L, REQUEST_TYPE);
    lua_pushcfunction(L, lrequest_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, request_meth);
    lua_pushcclosure(L, lrequest_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
    luaL_newlib(L, http_lib);
    return 1;
}
