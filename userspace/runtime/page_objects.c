/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects by the page that they begin in: a list for each page, its links in one array. */
#include <errno.h>
#include <stdlib.h>

#include "formats/index_map.h"
#include "runtime/runtime.h"

struct link {
	uint64_t addr;
	uint32_t next; /* INDEX_NONE: the last */
};

struct page_objects {
	struct index_map first; /* page number -> link */
	struct link *links;
	uint32_t nr, room, unused; /* unused: the list of links to be used again */
	unsigned shift;
};

struct page_objects *page_objects_new(uint64_t page_nbytes)
{
	struct page_objects *po = calloc(1, sizeof(*po));

	if (!po || index_map_init(&po->first)) {
		free(po);
		return NULL;
	}
	po->unused = INDEX_NONE;
	po->shift = (unsigned)__builtin_ctzll(page_nbytes);
	return po;
}

void page_objects_free(struct page_objects *po)
{
	if (!po)
		return;
	index_map_free(&po->first);
	free(po->links);
	free(po);
}

static int take_link(struct page_objects *po, uint32_t *link_ret)
{
	if (po->unused != INDEX_NONE) {
		*link_ret = po->unused;
		po->unused = po->links[po->unused].next;
		return 0;
	}
	if (po->nr == po->room) {
		uint32_t room = po->room ? 2 * po->room : 1024;
		struct link *links = room > po->room ? reallocarray(po->links, room, sizeof(*links)) : NULL;

		if (!links)
			return -ENOMEM;
		po->links = links;
		po->room = room;
	}
	*link_ret = po->nr++;
	return 0;
}

int page_objects_add(struct page_objects *po, uint64_t addr)
{
	uint64_t page = addr >> po->shift;
	uint32_t link;
	int err = take_link(po, &link);

	if (err)
		return err;
	po->links[link] = (struct link){ addr, index_map_find(&po->first, page) };
	return index_map_set(&po->first, page, link);
}

static int take_page(struct page_objects *po, uint64_t page, int (*fn)(void *arg, uint64_t addr), void *arg)
{
	uint32_t first = index_map_find(&po->first, page), *at = &first;
	int stays = 0;

	if (first == INDEX_NONE)
		return 0;
	while (*at != INDEX_NONE && stays >= 0) {
		struct link *l = &po->links[*at];
		uint32_t here = *at;

		stays = fn(arg, l->addr);
		if (stays == 1) {
			*at = l->next;
			l->next = po->unused;
			po->unused = here;
		} else {
			at = &l->next;
		}
	}
	/* A page without objects keeps its key: there are no more of them than pages of the heap ever were. */
	if (index_map_set(&po->first, page, first))
		return -ENOMEM;
	return stays < 0 ? stays : 0;
}

int page_objects_take(struct page_objects *po, uint64_t addr, uint64_t nbytes, int (*fn)(void *arg, uint64_t addr), void *arg)
{
	uint64_t page = addr >> po->shift, end = (addr + nbytes) >> po->shift;
	int err = 0;

	for (; page < end && !err; page++)
		err = take_page(po, page, fn, arg);
	return err;
}
