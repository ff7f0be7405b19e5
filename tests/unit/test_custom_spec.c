/* SPDX-License-Identifier: BSD-2-Clause */
/* test_custom_spec.c - descriptions of allocators: good ones, bad ones with the place that is told, and hostile ones. */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "runtime/custom_spec.h"
#include "xorshift.h"

static struct custom_function good(const char *text, enum custom_kind kind)
{
	struct custom_function f;
	struct custom_error e;

	CHECK_EQ(custom_function_parse(text, kind, &f, &e), 0);
	if (*e.what)
		fprintf(stderr, "%s: %u: %s\n", text, e.column, e.what);
	return f;
}

static void bad(const char *text, enum custom_kind kind, unsigned column, const char *part)
{
	struct custom_function f;
	struct custom_error e;

	CHECK_EQ(custom_function_parse(text, kind, &f, &e), -EINVAL);
	CHECK_EQ(e.column, column);
	CHECK(strstr(e.what, part));
	if (!strstr(e.what, part))
		fprintf(stderr, "%s: %s\n", text, e.what);
}

static void test_functions(void)
{
	struct custom_function f = good("zmalloc(size=arg1)->ret", CUSTOM_ALLOC);

	CHECK_STR(f.name, "zmalloc");
	CHECK_EQ(f.size[0].nr, 1);
	CHECK_EQ(f.size[1].nr, 0);
	CHECK_EQ(f.scale, 1);
	CHECK_EQ(f.out.nr, 0);
	f = good(" pool_calloc ( group = arg1 , size = arg2 * arg3:32 * 8 , align=arg4 ) -> *arg5 ", CUSTOM_ALLOC);
	CHECK_STR(f.name, "pool_calloc");
	CHECK(f.group.nr == 1 && f.size[0].nr == 2 && f.size[1].nr == 3 && f.size[1].is_32 && f.scale == 8 && f.align.nr == 4 && f.out.nr == 5);
	f = good("slab_get(size=64)", CUSTOM_ALLOC);
	CHECK(!f.size[0].nr && f.scale == 64);
	f = good("_ZN4Pool5allocEm(size=arg2)", CUSTOM_ALLOC);
	CHECK_STR(f.name, "_ZN4Pool5allocEm");
	f = good("zfree(ptr=arg1)", CUSTOM_FREE);
	CHECK(f.ptr.nr == 1 && !f.ptr.deref);
	f = good("freep(ptr=*arg1)", CUSTOM_FREE);
	CHECK(f.ptr.nr == 1 && f.ptr.deref);
	f = good("zrealloc(old=arg1,size=arg2)->ret", CUSTOM_REALLOC);
	CHECK(f.old.nr == 1 && f.size[0].nr == 2);
	f = good("pool_create(parent=arg2)->*arg1", CUSTOM_NEW_GROUP);
	CHECK(f.parent.nr == 2 && f.out.nr == 1 && !f.out.deref);
	good("pool_new()", CUSTOM_NEW_GROUP);
	CHECK(good("pool_destroy(group=arg1)", CUSTOM_FREE_GROUP).group.nr == 1);
}

static void test_bad_functions(void)
{
	bad("", CUSTOM_ALLOC, 1, "name of a function");
	bad("(size=arg1)", CUSTOM_ALLOC, 1, "name of a function");
	bad("zmalloc", CUSTOM_ALLOC, 8, "'('");
	bad("zmalloc()", CUSTOM_ALLOC, 9, "needs size");
	bad("zmalloc(size)", CUSTOM_ALLOC, 13, "'='");
	bad("zmalloc(size=)", CUSTOM_ALLOC, 14, "arg1 to arg6");
	bad("zmalloc(size=arg0)", CUSTOM_ALLOC, 14, "arg0");
	bad("zmalloc(size=arg7)", CUSTOM_ALLOC, 14, "in registers");
	bad("zmalloc(size=arg11)", CUSTOM_ALLOC, 14, "in registers");
	bad("zmalloc(size=arg1*arg2*arg3)", CUSTOM_ALLOC, 24, "two arguments");
	bad("zmalloc(size=0*arg1)", CUSTOM_ALLOC, 14, "1 or more");
	bad("zmalloc(size=99999999999999999999)", CUSTOM_ALLOC, 14, "too large");
	bad("zmalloc(size=4294967296*4294967296)", CUSTOM_ALLOC, 25, "64 bits");
	bad("zmalloc(size=arg1", CUSTOM_ALLOC, 18, "')'");
	bad("zmalloc(size=arg1)->", CUSTOM_ALLOC, 21, "behind ->");
	bad("zmalloc(size=arg1)->arg1", CUSTOM_ALLOC, 21, "behind ->");
	bad("zmalloc(size=arg1)->ret x", CUSTOM_ALLOC, 25, "end");
	bad("zmalloc(size=arg1) x", CUSTOM_ALLOC, 20, "->ret");
	bad("zmalloc(size=arg1:8)", CUSTOM_ALLOC, 19, "32");
	bad("zmalloc(size=arg1,size=arg2)", CUSTOM_ALLOC, 19, "twice");
	bad("zmalloc(ptr=arg1)", CUSTOM_ALLOC, 9, "alloc takes size");
	bad("zfree(size=arg1)", CUSTOM_FREE, 7, "free takes ptr");
	bad("zfree(ptr=arg1)->ret", CUSTOM_FREE, 16, "gives nothing");
	bad("zrealloc(size=arg2)", CUSTOM_REALLOC, 19, "old and size");
	bad("pool_destroy()", CUSTOM_FREE_GROUP, 14, "needs group");
}

static const char profile[] = "# pools\n"
			      "allocator pools\r\n"
			      "library libpool.so*   # wherever\n"
			      "\n"
			      "  alloc pool_alloc(group=arg1, size=arg2)->ret\n"
			      "free-group pool_destroy(group=arg1)\n"
			      "allocator z\n"
			      "alloc zmalloc(size=arg1)\n"
			      "free zfree(ptr=arg1)";

static void test_profile(void)
{
	static struct custom_specs specs;
	struct custom_error e;

	CHECK_EQ(custom_profile_parse(profile, &specs, &e), 0);
	CHECK_EQ(specs.nr, 2);
	CHECK_STR(specs.list[0].name, "pools");
	CHECK_STR(specs.list[0].library, "libpool.so*");
	CHECK_EQ(specs.list[0].nr_functions, 2);
	CHECK_EQ(specs.list[0].functions[1].kind, CUSTOM_FREE_GROUP);
	CHECK_STR(specs.list[1].name, "z");
	CHECK_STR(specs.list[1].functions[1].name, "zfree");
}

static void bad_profile(const char *text, unsigned line, unsigned column, const char *part)
{
	static struct custom_specs specs;
	struct custom_error e;

	specs.nr = 0;
	CHECK_EQ(custom_profile_parse(text, &specs, &e), -EINVAL);
	CHECK_EQ(e.line, line);
	CHECK_EQ(e.column, column);
	CHECK(strstr(e.what, part));
	if (!strstr(e.what, part))
		fprintf(stderr, "%s: %s\n", text, e.what);
}

static void test_bad_profiles(void)
{
	char many[8192] = "allocator a\n";

	bad_profile("", 0, 1, "no allocator");
	bad_profile("# nothing\n", 1, 1, "no allocator");
	bad_profile("allocator a\n", 1, 1, "no function of a");
	bad_profile("alloc f(size=arg1)\n", 1, 1, "allocator NAME");
	bad_profile("allocator\n", 1, 10, "allocator's name");
	bad_profile("allocator a b\n", 1, 11, "letters");
	bad_profile("allocator a\nallocator a\n", 2, 11, "twice");
	bad_profile("allocator a\nmalloc f(size=arg1)\n", 2, 1, "a line begins with");
	bad_profile("allocator a\nalloc f(size=arg1)\n  free f(ptr=arg1)\n", 3, 8, "f is described twice");
	bad_profile("allocator a\n\nfree f(ptr=argh)\n", 3, 12, "in registers");
	bad_profile("allocator a\nlibrary\n", 2, 8, "file's name");
	for (int i = 0; i < CUSTOM_FUNCTIONS_MAX + 1; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "free f%d(ptr=arg1)\n", i);
	bad_profile(many, CUSTOM_FUNCTIONS_MAX + 2, 6, "at most 32");
}

/* Whatever stands there: no crash, and an error that lies in the text. */
static void test_hostile(void)
{
	static const char alphabet[] = "arg1()=*,->:# \n\tsize ptr free alloc allocator a\xff\x01";
	static struct custom_specs specs;
	
	char text[300], name[400];
	struct custom_function f;
	struct custom_error e;

	for (int round = 0; round < 20000; round++) {
		size_t nbytes = next_random(sizeof(text) - 1);

		for (size_t i = 0; i < nbytes; i++)
			text[i] = alphabet[next_random(sizeof(alphabet) - 1)];
		text[nbytes] = 0;
		if (custom_function_parse(text, (enum custom_kind)(round % CUSTOM_KIND_NR), &f, &e))
			CHECK(e.column && e.column <= nbytes + 1 && *e.what);
		/* A good profile with one byte changed. */
		memcpy(text, profile, sizeof(profile) < sizeof(text) ? sizeof(profile) : sizeof(text));
		text[sizeof(text) - 1] = 0;
		text[next_random(strlen(text))] = (char)(1 + next_random(255));
		specs.nr = 0;
		if (custom_profile_parse(text, &specs, &e))
			CHECK(e.column && *e.what);
	}
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	CHECK_EQ(custom_function_parse(name, CUSTOM_ALLOC, &f, &e), -EINVAL);
	CHECK(strstr(e.what, "at most 127"));
}

int main(void)
{
	test_functions();
	test_bad_functions();
	test_profile();
	test_bad_profiles();
	test_hostile();
	return check_done();
}
