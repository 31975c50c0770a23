/* SPDX-License-Identifier: MIT */
#ifndef LBOARD_H
#define LBOARD_H

#include <lua.h>

/* Makes class Board, and pushes its method table. [-0, +1, m] */
void lboard_class(lua_State *L);

/* Pushes the list of the names of its fields, methods aside. [-0, +1, m] */
void lboard_push_field_names(lua_State *L);

#endif
