/* SPDX-License-Identifier: MIT */
/* Gates: what only so many tasks may use at a time.
 *
 *   task.gate(n) --> Gate     gate:enter() --> Turn     turn:leave(), __close, __gc
 */
#include "lgate.h"

#include <lauxlib.h>
#include <stdbool.h>

#include "taskdev.h"

#define GATE_TYPE "task.Gate"
#define TURN_TYPE "task.Turn"

struct gate {
    lua_Integer free; /* turns that nobody has */
    struct turn *queue, **queue_tail, *held;
};

/* User values of a Turn. */
enum { TURN_GATE = 1, TURN_TASK };

/* Waits for its turn, has it, or is over. */
struct turn {
    struct wait wait;
    struct gate *gate; /* NULL: over */
    bool has_it;
    struct task *task;        /* whose it is; kept by its user value */
    struct turn *next;        /* in the queue, or of those that are held */
    struct turn *next_of_his; /* of those that the task has */
};

/* False: it is not in the list. */
static bool take_out(struct turn **list, const struct turn *turn)
{
    while (*list && *list != turn)
        list = &(*list)->next;
    if (!*list)
        return false;
    *list = turn->next;
    return true;
}

static void hold(struct turn *turn)
{
    struct gate *gate = turn->gate;
    if (turn->task) {
        turn->next_of_his = turn->task->turns;
        turn->task->turns = turn;
    }
    gate->free--;
    turn->has_it = true;
    turn->next = gate->held;
    gate->held = turn;
}

/* First come, first served. */
static void let_next_in(struct gate *gate)
{
    while (gate->free > 0 && gate->queue) {
        struct turn *turn = gate->queue;
        gate->queue = turn->next;
        if (!gate->queue)
            gate->queue_tail = &gate->queue;
        hold(turn);
        wait_done(&turn->wait);
    }
}

static void leave_queue(struct turn *turn)
{
    struct gate *gate = turn->gate;
    take_out(&gate->queue, turn);
    gate->queue_tail = &gate->queue;
    while (*gate->queue_tail)
        gate->queue_tail = &(*gate->queue_tail)->next;
}

static void forget_owner(struct turn *turn)
{
    struct turn **p = turn->task ? &turn->task->turns : NULL;
    while (p && *p && *p != turn)
        p = &(*p)->next_of_his;
    if (p && *p)
        *p = turn->next_of_his;
}

static void end_turn(struct turn *turn)
{
    struct gate *gate = turn->gate;
    if (!gate)
        return;
    if (turn->has_it) {
        take_out(&gate->held, turn);
        forget_owner(turn);
        gate->free++;
    } else {
        leave_queue(turn);
    }
    turn->gate = NULL;
    let_next_in(gate);
}

/* Whether the task returned it: whoever joins the task has it from now on. */
static bool is_returned(const struct task *task, const struct turn *turn)
{
    lua_State *L = task->owner->L;
    int top = lua_gettop(L);
    bool found = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
    lua_getiuservalue(L, -1, TASK_RESULTS);
    for (int i = 1; i <= task->results && !found; i++) {
        lua_rawgeti(L, top + 2, i);
        found = lua_touserdata(L, -1) == turn;
        lua_settop(L, top + 2);
    }
    lua_settop(L, top);
    return found;
}

/* Nobody shall wait for a turn whose <close> was forgotten until the collector finds it. */
static void end_turns(struct task *task)
{
    for (struct turn *turn = task->turns, *next; turn; turn = next) {
        next = turn->next_of_his;
        if (!is_returned(task, turn))
            end_turn(turn);
    }
}

static void give_up(struct wait *w)
{
    end_turn((struct turn *)w);
    wait_done(w);
}

static int entered(lua_State *L, int status, lua_KContext context)
{
    struct turn *turn = (struct turn *)context;
    (void)status;
    if (task_cancelled(L)) {
        end_turn(turn); /* it may have come to its turn all the same */
        return lua_error(L);
    }
    if (!turn->gate)
        return luaL_error(L, "a gate can't be waited for here: in a sort, a gsub, a module's body");
    lua_settop(L, 2);
    return 1;
}

/* All that could let this task in is in its own hands. */
static bool waits_for_itself(const struct gate *gate, const struct task *task)
{
    if (!task || gate->free > 0 || !gate->held)
        return false;
    for (const struct turn *turn = gate->held; turn; turn = turn->next)
        if (turn->task != task)
            return false;
    return true;
}

/*** gate:enter() --> Turn: waits until it is this task's turn. */
static int gate_enter(lua_State *L)
{
    struct gate *gate = luaL_checkudata(L, 1, GATE_TYPE);
    struct task *task = task_current(L);
    task_check(L);
    if (waits_for_itself(gate, task))
        return luaL_error(L, "deadlock: this task is inside the gate already");
    lua_settop(L, 1);
    struct turn *turn = lua_newuserdatauv(L, sizeof *turn, TURN_TASK);
    *turn = (struct turn){ .wait = { .needs_tasks = true, .at_gate = true, .give_up = give_up },
                           .task = task };
    luaL_setmetatable(L, TURN_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, TURN_GATE);
    if (task) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
        lua_setiuservalue(L, 2, TURN_TASK);
    }
    turn->gate = gate;
    if (gate->free > 0) { /* then nobody waits */
        hold(turn);
        return 1;
    }
    *gate->queue_tail = turn;
    gate->queue_tail = &turn->next;
    return task_await(L, &turn->wait, (lua_KContext)turn, entered);
}

/*** turn:leave(): the next one may enter; also <close>, and when it is collected. */
static int turn_leave(lua_State *L)
{
    end_turn(luaL_checkudata(L, 1, TURN_TYPE));
    return 0;
}

/*** task.gate(n?) --> Gate: that so many tasks may be inside of; 1. */
static int l_gate(lua_State *L)
{
    lua_Integer n = luaL_optinteger(L, 1, 1);
    luaL_argcheck(L, n >= 1, 1, "how many may enter: 1 or more");
    struct gate *gate = lua_newuserdatauv(L, sizeof *gate, 0);
    *gate = (struct gate){ .free = n };
    gate->queue_tail = &gate->queue;
    luaL_setmetatable(L, GATE_TYPE);
    return 1;
}

static const luaL_Reg task_lib[] = {
    { "gate", l_gate },
    { NULL, NULL },
};

static const luaL_Reg gate_meth[] = {
    { "enter", gate_enter },
    { NULL, NULL },
};

static const luaL_Reg turn_meth[] = {
    { "leave", turn_leave },
    { NULL, NULL },
};

static const luaL_Reg turn_meta[] = {
    { "__close", turn_leave },
    { "__gc", turn_leave },
    { NULL, NULL },
};

void lgate_open(lua_State *L)
{
    tasks_of(L)->end_turns = end_turns;
    luaL_newmetatable(L, GATE_TYPE);
    luaL_newlib(L, gate_meth);
    lua_setfield(L, -2, "__index");
    luaL_newmetatable(L, TURN_TYPE);
    luaL_setfuncs(L, turn_meta, 0);
    luaL_newlib(L, turn_meth);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
    luaL_setfuncs(L, task_lib, 0);
}
