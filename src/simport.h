/* SPDX-License-Identifier: MIT */
/* The port over simulated boards in this process, and what is done to them from outside. */
#ifndef SIMPORT_H
#define SIMPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "port.h"
#include "sim.h"

struct loop;
struct simboard; /* a simulated board with what stands around it: file, bus, who has it open */

/* Of its handles more can be asked than port.h promises: they may be closed while a transfer is in
 * flight, whose done() is then never called. */
struct port *simport_new(struct loop *loop);

/* Makes a board that answers at `path`.  flash_file: where its flash is kept, or NULL; bus: a
 * full-speed bus that it shares with others of that name, or NULL.  NULL, and `why` filled, when
 * it can't be; errno is EWOULDBLOCK where another board keeps its flash in that file. */
struct simboard *simport_add(struct port *port, const char *path, const struct sim_options *options,
                             const char *flash_file, const char *bus, char *why, size_t why_size);
struct simboard *simport_find(struct port *port, const char *path);

/* Nobody needs the board from outside any more: it goes when the last handle is closed. */
void simport_remove(struct simboard *board);

const char *simboard_path(const struct simboard *board);
struct sim *simboard_sim(struct simboard *board);
double simboard_now(const struct simboard *board);

/* To be called after anything was done to the simulated board from outside: keeps its file up to
 * date, and ends what was in flight if the board is no longer there. */
void simboard_changed(struct simboard *board);

#endif
