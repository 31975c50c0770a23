/* SPDX-License-Identifier: MIT */
/* The port over simulated boards in this process, and the boards as they are seen from outside. */
#ifndef SIMPORT_H
#define SIMPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "usb/port.h"
#include "sim/sim.h"

struct loop;
struct simboard; /* a simulated board with its file, bus and open handles */

/* Handles of this port may be closed while a transfer is in flight; its done() is then never
 * called. */
struct port *simport_new(struct loop *loop);

/* Makes a board that answers at `path`.  flash_file: keeps its flash, or NULL; bus: the name of a
 * full-speed bus that it shares with other boards, or NULL.  Returns NULL if it fails, with a
 * message in `why`; errno is EWOULDBLOCK if another board keeps its flash in that file. */
struct simboard *simport_add(struct port *port, const char *path, const struct sim_options *options,
                             const char *flash_file, const char *bus, char *why, size_t why_size);
struct simboard *simport_find(struct port *port, const char *path);

/* Gives the board up: it is freed when its last handle is closed. */
void simport_remove(struct simboard *board);

const char *simboard_path(const struct simboard *board);
struct sim *simboard_sim(struct simboard *board);
double simboard_now(const struct simboard *board);

/* To be called after each change of the simulated board from outside: updates its file, and ends
 * the transfers in flight if the board is no longer there. */
void simboard_changed(struct simboard *board);

#endif
