/* SPDX-License-Identifier: MIT */
/* The host: one Lua state, one loop, the ports, and what binds them together. */
#ifndef HOST_H
#define HOST_H

#include <lua.h>
#include <stdbool.h>

#include "board.h"
#include "loop.h"

struct port;
struct proc;
struct tasks;

#define HOST_PORTS 2 /* simulated boards; libusb */

struct host {
    lua_State *L;
    struct loop *loop;
    struct tasks *tasks;
    struct port *ports[HOST_PORTS];
    struct board *boards;           /* that are not released */
    struct board_observer observer; /* of all boards */
    struct proc *procs;             /* programs that run beside us */
    struct port *sims;              /* the one of them over simulated boards */
    struct loop_job unread;         /* ends the tasks when their output is not read */
    char *source_tree;              /* where lua/ and scripts/ are read from disk; NULL: built in */
};

/* The host of a Lua state, from any of its threads. */
static inline struct host *host_of(lua_State *L)
{
    return *(struct host **)lua_getextraspace(L);
}

/* Runs moonflash with these arguments; returns the exit status. */
int host_main(int argc, char **argv);

#endif
