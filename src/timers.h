/* SPDX-License-Identifier: MIT */
/* Timers in the order of their times: a pairing heap, whose links stand in the timers themselves,
 * so that nothing is allocated.  Setting takes constant time, taking out the first logarithmic
 * time.
 */
#ifndef TIMERS_H
#define TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fires once at a time; may be set again, also from its own callback.  Zeroed: not set. */
struct loop_timer {
    void (*fire)(void *arg);
    void *arg;
    double at;
    uint64_t order; /* of setting: timers of one time fire in this order */
    struct loop_timer *child, *sibling;
    struct loop_timer *before; /* the parent of a first child, else the sibling before */
    bool set;
};

struct timers {
    struct loop_timer *first;
    uint64_t order; /* of the timer that is set next */
};

void timers_add(struct timers *timers, struct loop_timer *timer,
                double at);                                          /* one that is not set */
void timers_remove(struct timers *timers, struct loop_timer *timer); /* one that is set */

#endif
