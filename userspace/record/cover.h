/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cover.h - which live object lies over an address: finds blocks that an allocator carves out of another one's.
 *
 * Only needed while two allocators have live objects, so it is built then and not before.
 */
#ifndef HEAPTAPE_COVER_H
#define HEAPTAPE_COVER_H

#include <stdbool.h>
#include <stdint.h>

struct cover;

struct cover *cover_new(void);
void cover_free(struct cover *c);
/* Objects must not overlap, but that a realloc's old one may still be there while another takes its place. -ENOMEM. */
int cover_add(struct cover *c, uint64_t addr, uint64_t size, uint8_t alloc);
void cover_remove(struct cover *c, uint64_t addr, uint64_t size);
/* The object with start < addr < start + size: its allocator; false if there is none. */
bool cover_find(const struct cover *c, uint64_t addr, uint8_t *alloc_ret);

#endif
