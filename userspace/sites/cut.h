/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cut.h - the cheapest set of edges that every way from source to sink passes exactly once.
 *
 * A minimum cut (Ford and Fulkerson 1956) where the arcs that no probe can stand on cost infinitely much, and where every
 * arc has an infinite one against it: a way that crossed the cut, came back and crossed again would be recorded twice.
 */
#ifndef HEAPTAPE_CUT_H
#define HEAPTAPE_CUT_H

#include <stdbool.h>

#define CUT_INFINITE 1000000000000ll /* more than the sum of all costs */

struct cut;

struct cut *cut_new(int nr_nodes, int max_arcs);
void cut_free(struct cut *c);
/* An arc that the cut may cross at `cost` (CUT_INFINITE: may not), and never backwards. Returns its number, -1 if full. */
int cut_arc(struct cut *c, int from, int to, long long cost);
/* An arc that may be crossed backwards: to sources and sinks of one's own. */
int cut_free_arc(struct cut *c, int from, int to, long long cost);
/* The least cost, CUT_INFINITE or more if there is no cut; then cut_crosses tells the arcs. Of several, the cut nearest
 * to the sink. */
long long cut_solve(struct cut *c, int source, int sink);
bool cut_crosses(const struct cut *c, int arc);

#endif
