/* SPDX-License-Identifier: BSD-2-Clause */
/* Runtimes told by their files: names, versions behind them, and names that only begin alike. */
#include "check.h"
#include "runtime/unseen.h"

int main(void)
{
	CHECK_STR(unseen_runtime("/usr/lib/jvm/java-17/lib/server/libjvm.so"), "Java's virtual machine");
	CHECK_STR(unseen_runtime("/usr/lib/x86_64-linux-gnu/libnode.so.108"), "V8");
	CHECK_STR(unseen_runtime("/usr/bin/node"), "V8");
	CHECK_STR(unseen_runtime("libcoreclr.so"), ".NET");
	CHECK(unseen_runtime("/usr/lib/ghc/rts/libHSrts_thr-ghc9.0.2.so") != NULL);
	CHECK(!unseen_runtime("/usr/lib/ghc/base/libHSbase-4.15.so"));
	CHECK(!unseen_runtime("/usr/bin/node-gyp"));
	CHECK(!unseen_runtime("/usr/lib/libjvm.so.debug"));
	CHECK(!unseen_runtime("/usr/lib/libnode.so2"));
	CHECK(!unseen_runtime("/node/bin/x"));
	CHECK(!unseen_runtime(""));
	CHECK(!unseen_runtime("[heap]"));
	return check_done();
}
