/* SPDX-License-Identifier: MIT */
/* Fredman, Sedgewick, Sleator, Tarjan: The Pairing Heap (1986). */
#include "loop/timers.h"

static bool is_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

/* Makes the later one of two heaps the first child of the other. */
static struct loop_timer *join(struct loop_timer *a, struct loop_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (is_before(b, a)) {
        struct loop_timer *first = b;
        b = a;
        a = first;
    }
    b->before = a;
    b->sibling = a->child;
    if (b->sibling)
        b->sibling->before = b;
    a->child = b;
    return a;
}

/* Joins siblings in pairs, and then the pairs, from the last one on. */
static struct loop_timer *join_siblings(struct loop_timer *first)
{
    struct loop_timer *pairs = NULL, *all = NULL;
    while (first) {
        struct loop_timer *a = first, *b = a->sibling;
        first = b ? b->sibling : NULL;
        a->sibling = a->before = NULL;
        if (b)
            b->sibling = b->before = NULL;
        a = join(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    while (pairs) {
        struct loop_timer *next = pairs->sibling;
        pairs->sibling = NULL;
        all = join(all, pairs);
        pairs = next;
    }
    return all;
}

void timers_add(struct timers *timers, struct loop_timer *timer, double at)
{
    timer->at = at;
    timer->order = timers->order++;
    timer->child = timer->sibling = timer->before = NULL;
    timer->set = true;
    timers->first = join(timers->first, timer);
}

void timers_remove(struct timers *timers, struct loop_timer *timer)
{
    struct loop_timer *children = join_siblings(timer->child);
    if (timer == timers->first) {
        timers->first = children;
    } else {
        if (timer->before->child == timer)
            timer->before->child = timer->sibling;
        else
            timer->before->sibling = timer->sibling;
        if (timer->sibling)
            timer->sibling->before = timer->before;
        timers->first = join(timers->first, children);
    }
    timer->child = timer->sibling = timer->before = NULL;
    timer->set = false;
}
