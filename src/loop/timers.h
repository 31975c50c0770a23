/* SPDX-License-Identifier: MIT */
/* Timers in the order of their times: a pairing heap, whose links are fields of the timers, so that
 * nothing is allocated.  Adding takes constant time, removing the first one logarithmic time.
 */
#ifndef TIMERS_H
#define TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fires once, at its time.  May be set again, also from its own callback.  Zeroed: not set. */
struct loop_timer {
    void (*fire)(void *arg);
    void *arg;
    double at;
    uint64_t order; /* timers of the same time fire in the order in which they were set */
    struct loop_timer *child, *sibling;
    struct loop_timer *before; /* the parent of a first child, else the sibling before */
    bool set;
};

struct timers {
    struct loop_timer *first;
    uint64_t order; /* of the timer that is set next */
};

/* The timer is not set. */
void timers_add(struct timers *timers, struct loop_timer *timer, double at);

/* The timer is set. */
void timers_remove(struct timers *timers, struct loop_timer *timer);

#endif
