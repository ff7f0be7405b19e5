/* SPDX-License-Identifier: BSD-2-Clause */
/* rule.h - what libdw says about a frame, as a rule that the walk in the kernel understands. Pure. */
#ifndef HEAPTAPE_RULE_H
#define HEAPTAPE_RULE_H

#include <elfutils/libdw.h>

#include "bpf/events.h"

/* The rule of this frame; one that cuts the stack (HT_CFA_NONE) where the frame cannot be expressed. */
struct ht_rule rule_of_frame(Dwarf_Frame *frame);
/* A rule that cuts the stack for `cause`, enum ht_cut. */
struct ht_rule rule_cut(int cause);

#endif
