/* SPDX-License-Identifier: MIT */
/* Answers of a recorded board, laid over those of a simulated one.
 *
 * The simulated board carries out each request.  Where the host does what the recorded host did,
 * the recorded answer and its time take the place of the simulated ones.  More or fewer GETSTATUS
 * and GETSTATE than recorded make no difference. */
#ifndef SIMREPLAY_H
#define SIMREPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/sim.h"

enum { SIM_REPLAY_MOST = 1 << 20, SIM_DIFFERENCE_MAX = 256 };

/* A transfer.  `data` is what was sent, or what came. */
struct sim_recorded {
    unsigned device; /* 0: the first device of the capture */
    struct usb_setup setup;
    int result; /* bytes moved; negative: it failed */
    double at, seconds;
    const uint8_t *data;
    size_t length;
};

struct simreplay;

/* Makes a replay from a copy of the transfers.  strict: the first difference ends it.  NULL: too
 * many, or no memory. */
struct simreplay *simreplay_new(const struct sim_recorded *transfers, size_t count, bool strict);
void simreplay_free(struct simreplay *replay);

/* Goes on with the next device of the capture, if there is one. */
void simreplay_next_device(struct simreplay *replay);

/* Puts the recorded answer to a request in place of the simulated one, if there is one.  `state`
 * and `status` are bState and bStatus of the simulated board, which follow the recorded ones.
 * False: strict, and the host has done something else than the recorded one. */
bool simreplay_answer(struct simreplay *replay, double now, const struct usb_setup *setup,
                      uint8_t *data, struct sim_answer *answer, uint8_t *state, uint8_t *status);

/* The first difference, as text; "" before. */
const char *simreplay_difference(const struct simreplay *replay);

#endif
