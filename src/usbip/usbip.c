/* SPDX-License-Identifier: MIT */
#include "usbip/usbip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop.h"
#include "usbip/usbipconn.h"
#include "usbip/usbipplug.h"

enum { CONNECTIONS_MOST = 128 }; /* of which each board takes one */

#define WATCH_SECONDS                                                                              \
    0.02 /* between two looks at the boards, which may come or go by themselves                    \
          */

struct usbip {
    struct loop *loop;
    struct usbipplug *plug;
    struct usbipconns conns;
    struct loop_watch listener; /* fd -1: none */
    struct loop_timer timer;
    uint16_t port_number;
};

/* ---- connections ---- */

bool usbip_adopt(struct usbip *server, int fd)
{
    if (server->conns.count < CONNECTIONS_MOST && usbipconn_new(&server->conns, fd))
        return true;
    close(fd);
    return false;
}

size_t usbip_connections(const struct usbip *server)
{
    return server->conns.count;
}

static void on_accept(void *arg, short events)
{
    struct usbip *server = arg;
    (void)events;
    int fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && !usbip_adopt(server, fd))
        usbipplug_tell(server->plug, NULL, USBIP_REFUSED, "there are too many connections");
    if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        loop_unwatch(server->loop, &server->listener); /* on_watch() tries again */
}

static void on_watch(void *arg)
{
    struct usbip *server = arg;
    struct slot *slot;
    for (size_t i = 0; (slot = usbipplug_slot(server->plug, i)) != NULL; i++) {
        usbipconns_check(&server->conns, slot);
        usbipplug_look(server->plug, slot);
    }
    if (server->listener.fd >= 0)
        loop_watch(server->loop, &server->listener);
    loop_timer_set(server->loop, &server->timer, loop_now(server->loop) + WATCH_SECONDS);
}

/* ---- the listener ---- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
    return false;
}

static enum usbip_failure failure_of(int error)
{
    switch (error) {
    case EADDRINUSE:
        return USBIP_IN_USE;
    case EACCES:
    case EPERM:
        return USBIP_FORBIDDEN;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return USBIP_BAD_ADDRESS;
    default:
        return USBIP_FAILED;
    }
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage bound = { 0 };
    socklen_t length = sizeof bound;
    getsockname(fd, (struct sockaddr *)&bound, &length);
    if (bound.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
    return ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

static enum usbip_failure listen_at(struct usbip *server, const struct addrinfo *found)
{
    int one = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failure_of(errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 16) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return failure_of(error);
    }
    server->port_number = port_of(fd);
    server->listener =
        (struct loop_watch){ .ready = on_accept, .arg = server, .fd = fd, .events = POLLIN };
    loop_watch(server->loop, &server->listener);
    return USBIP_FINE;
}

static enum usbip_failure open_listener(struct usbip *server, const struct usbip_options *options,
                                        char *why, size_t why_size)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", options->port);
    if (getaddrinfo(options->address, service, &hints, &found) != 0) {
        snprintf(why, why_size, "'%s' is not a numeric address", options->address);
        return USBIP_BAD_ADDRESS;
    }
    enum usbip_failure failure = USBIP_NOT_LOOPBACK;
    if (!options->anywhere && !is_loopback(found->ai_addr)) {
        snprintf(why, why_size, "%s can be reached from other computers", options->address);
    } else {
        failure = listen_at(server, found);
        if (failure != USBIP_FINE)
            snprintf(why, why_size, "%s:%u: %s", options->address, options->port, strerror(errno));
    }
    freeaddrinfo(found);
    return failure;
}

/* ---- the server ---- */

struct usbip *usbip_new(struct loop *loop, struct port *sims, const struct usbip_options *options,
                        enum usbip_failure *failure, char *why, size_t why_size)
{
    struct usbip *server = calloc(1, sizeof *server);
    *failure = USBIP_FAILED;
    snprintf(why, why_size, "out of memory");
    if (!server)
        return NULL;
    server->loop = loop;
    server->listener.fd = -1;
    if (options->count <= USBIP_BOARDS)
        server->plug = usbipplug_new(loop, sims, options->paths, options->count);
    server->conns = (struct usbipconns){ .loop = loop, .plug = server->plug };
    if (server->plug)
        *failure = options->address ? open_listener(server, options, why, why_size) : USBIP_FINE;
    if (*failure != USBIP_FINE) {
        usbip_free(server);
        return NULL;
    }
    server->timer = (struct loop_timer){ .fire = on_watch, .arg = server };
    loop_timer_set(loop, &server->timer, loop_now(loop) + WATCH_SECONDS);
    usbipplug_tell(server->plug, NULL, USBIP_READY, NULL);
    usbipplug_set_notify(server->plug, options->notify, options->arg);
    return server;
}

void usbip_free(struct usbip *server)
{
    if (!server)
        return;
    if (server->plug)
        usbipplug_set_notify(server->plug, NULL, NULL);
    usbipconns_free(&server->conns);
    loop_timer_cancel(server->loop, &server->timer);
    loop_unwatch(server->loop, &server->listener);
    if (server->listener.fd >= 0)
        close(server->listener.fd);
    usbipplug_free(server->plug);
    free(server);
}

bool usbip_next(struct usbip *server, struct usbip_event *event)
{
    return usbipplug_next(server->plug, event);
}

uint16_t usbip_port(const struct usbip *server)
{
    return server->port_number;
}

const char *usbip_path(const struct usbip *server, size_t board)
{
    return usbipplug_slot(server->plug, board)->path;
}
