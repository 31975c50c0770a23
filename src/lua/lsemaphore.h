/* SPDX-License-Identifier: MIT */
#ifndef LSEMAPHORE_H
#define LSEMAPHORE_H

#include <lua.h>

struct task;

/* Adds semaphore() to the module `task`, the table on the top. [-0, +0, m] */
void lsemaphore_open(lua_State *L);

/* Called when the running task joined `from`, whose results are on the stack from `first` to the
 * top: the running task holds the permits among them from now on. */
void lsemaphore_hand_over(lua_State *L, const struct task *from, int first);

#endif
