/* SPDX-License-Identifier: BSD-2-Clause */
/* test_demangle.c - linkers' names of C++, Rust and D, and names that are none of these. */
#include <stdlib.h>

#include "check.h"
#include "symbols/demangle.h"

static void test_demangle(void)
{
	static const char *const pairs[][2] = {
		{ "_ZN2ns3FooIiE3barEv", "ns::Foo<int>::bar()" },
		{ "_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector<int, std::allocator<int> >::push_back(int&&)" },
		{ "_Znwm", "operator new(unsigned long)" },
		{ "_ZN3foo3barEv.cold", "foo::bar() [clone .cold]" },
		{ "_ZN4core3fmt5Write9write_str17h0123456789abcdefE", "core::fmt::Write::write_str" },
		{ "_ZN63_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..clone..Clone$GT$5clone17h0123456789abcdefE",
		  "<alloc::vec::Vec<T> as core::clone::Clone>::clone" },
		{ "_RNvC7mycrate3foo", "mycrate::foo" },
		{ "_RNvMs_NtCs1234_7mycrate3barNtB4_3Foo3new", "<mycrate::bar::Foo>::new" },
		{ "_D4test3fooFiZi", "test.foo(int)" },
		{ "_D3std5stdio4File5closeMFNeZv", "std.stdio.File.close()" },
		{ "_Dmain", "D main" },
		{ "bytestringzm0zi10zi12zi1_DataziByteString_zdwreplicate_info", "Data.ByteString.$wreplicate" },
		{ "Main_main1_info", "Main.main1" },
		{ "base_GHCziIOziHandleziFD_stdout_info", "GHC.IO.Handle.FD.stdout" },
		{ "base_GHCziList_zdwznzn_info", "GHC.List.$w!!" },
		{ "stg_ap_v_info", NULL },
		{ "Widget_class_info", NULL },
		{ "ghczmprim_GHCziTuple_Z2T_con_info", NULL },
		{ "base_GHCziBase_zy_info", NULL },
		{ "z_info", NULL },
		{ "___info", NULL },
		{ "main", NULL },
		{ "", NULL },
		{ "_", NULL },
		{ "_Z", NULL },
		{ "runtime.mallocgc", NULL },
		{ "_start", NULL },
		{ "_ZN", NULL },
	};
	char *long_name = malloc(100001);

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char *got = demangle(pairs[i][0]);

		if (pairs[i][1])
			CHECK_STR(got, pairs[i][1]);
		else
			CHECK(got == NULL);
		free(got);
	}
	memset(long_name, 'N', 100000);
	memcpy(long_name, "_Z", 2);
	long_name[100000] = 0;
	CHECK(demangle(long_name) == NULL);
	free(long_name);
}

int main(void)
{
	test_demangle();
	return check_done();
}
