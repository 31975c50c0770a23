/* SPDX-License-Identifier: MIT */
/* What every C function that Lua calls can reach: main.c fills it in before Lua runs. */
#ifndef CONTEXT_H
#define CONTEXT_H

#include <lua.h>

struct board;
struct board_observer;
struct loop;
struct port;
struct proc;
struct tasks;

struct context {
    lua_State *L; /* the main thread */
    struct loop *loop;
    struct tasks *tasks;
    struct port *sims;               /* simulated boards, whose paths begin with "sim:" */
    struct port *usb;                /* real boards; NULL: libusb can't be used */
    struct board *boards;            /* list of all boards that are not released */
    struct board_observer *observer; /* of all boards */
    struct proc *procs;              /* list of the programs that recipes started */
    char *source_tree;               /* lua/ and scripts/ are read from there; NULL: built in */
};

/* Returns the context of a Lua state; L may be any thread of it. */
static inline struct context *context_of(lua_State *L)
{
    return *(struct context **)lua_getextraspace(L);
}

#endif
