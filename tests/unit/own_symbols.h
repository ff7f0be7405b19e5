/* SPDX-License-Identifier: BSD-2-Clause */
/* own_symbols.h - functions of the test program itself, made for the planner to look at. */
#ifndef HEAPTAPE_TEST_OWN_SYMBOLS_H
#define HEAPTAPE_TEST_OWN_SYMBOLS_H

#include <string.h>

#include "check.h"
#include "target/object.h"

static struct object *self;

struct own_symbol {
	const char *name;
	struct object_symbol sym;
};

static int own_symbol_is(void *arg, const struct object_symbol *sym)
{
	struct own_symbol *own = arg;

	if (strcmp(sym->name, own->name) != 0)
		return 0;
	own->sym = *sym;
	return 1;
}

static struct object_symbol symbol(const char *name)
{
	struct own_symbol own = { .name = name };

	CHECK_EQ(object_each_function(self, own_symbol_is, &own), 1);
	return own.sym;
}

#endif
