/* SPDX-License-Identifier: BSD-2-Clause */
/* flow_graph.h - the control-flow graph of a function and of the code it tail-jumps to inside its object. */
#ifndef HEAPTAPE_FLOW_GRAPH_H
#define HEAPTAPE_FLOW_GRAPH_H

#include "sites/flow.h"

/* Fills flow->nodes (room for FLOW_INSNS_MAX, zeroed), nr_nodes and calls_recorded. -ENOMEM, or -E2BIG when the code is too
 * long to follow. */
int flow_graph_build(const struct plan_env *env, struct code_reader *reader, const struct function *f, uint64_t vaddr,
		     uint64_t nbytes, struct flow *flow);

#endif
