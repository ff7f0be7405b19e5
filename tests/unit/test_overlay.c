/* SPDX-License-Identifier: BSD-2-Clause */
/* test_overlay.c - layers of overlays out of mountinfo: plain, escaped, below another mount, in the newer spelling. */
#include <errno.h>
#include <linux/limits.h>

#include "check.h"
#include "target/overlay.h"

static const char *layer(const char *mountinfo, const char *path, unsigned n)
{
	static char found[PATH_MAX];

	return overlay_layer(mountinfo, path, n, found, sizeof(found)) ? "none" : found;
}

static void test_container(void)
{
	static const char info[] = "612 540 0:51 / / rw,relatime - overlay overlay rw,lowerdir=/l/2:/l/1,upperdir=/u/3,workdir=/w\n"
				   "613 612 0:53 / /proc rw,nosuid - proc proc rw\n"
				   "614 612 254:0 /data /var/data rw - ext4 /dev/vda rw\n";

	CHECK_STR(layer(info, "/lib/libc.so.6", 0), "/l/2/lib/libc.so.6");
	CHECK_STR(layer(info, "/lib/libc.so.6", 1), "/l/1/lib/libc.so.6");
	CHECK_STR(layer(info, "/lib/libc.so.6", 2), "/u/3/lib/libc.so.6");
	CHECK_STR(layer(info, "/lib/libc.so.6", 3), "none");
	CHECK_STR(layer(info, "/var/data/libc.so.6", 0), "none"); /* on another mount */
	CHECK_STR(layer(info, "/var/database", 0), "/l/2/var/database");
	CHECK_STR(layer(info, "", 0), "none");
	CHECK_STR(layer("", "/lib/libc.so.6", 0), "none");
}

static void test_escapes(void)
{
	static const char info[] = "1 0 0:51 / /my\\040dir rw shared:1 master:2 - overlay x rw,lowerdir=/a\\054b:/c\\134:d:/e\n";

	CHECK_STR(layer(info, "/my dir/f", 0), "/a,b/f");
	CHECK_STR(layer(info, "/my dir/f", 1), "/c:d/f");
	CHECK_STR(layer(info, "/my dir/f", 2), "/e/f");
	CHECK_STR(layer(info, "/my dir/f", 3), "none");
}

static void test_one_option_a_layer(void)
{
	static const char info[] = "1 0 0:51 /sub /m rw - overlay x rw,lowerdir+=/a,lowerdir+=/b,datadir+=/d,upperdir=/u\n";

	CHECK_STR(layer(info, "/m/f", 0), "/a/sub/f");
	CHECK_STR(layer(info, "/m/f", 1), "/b/sub/f");
	CHECK_STR(layer(info, "/m/f", 2), "/d/sub/f");
	CHECK_STR(layer(info, "/m/f", 3), "/u/sub/f");
}

/* A mount over another at one point hides it. */
static void test_hidden(void)
{
	static const char info[] = "1 0 0:51 / / rw - overlay x rw,lowerdir=/a\n2 1 0:52 / / rw - tmpfs tmpfs rw\n";

	CHECK_STR(layer(info, "/f", 0), "none");
}

/* Cut off at each byte: no crash, and nothing read behind its end. */
static void test_damaged(void)
{
	static const char info[] = "612 540 0:51 / / rw - overlay overlay rw,lowerdir=/l\\0402:/l/1,upperdir=/u/3\n";
	char cut[sizeof(info)];

	for (size_t n = 0; n < sizeof(info); n++) {
		memcpy(cut, info, n);
		cut[n] = '\0';
		CHECK(strlen(layer(cut, "/lib/libc.so.6", 0)) < PATH_MAX);
	}
}

int main(void)
{
	char small[8];

	test_container();
	test_escapes();
	test_one_option_a_layer();
	test_hidden();
	test_damaged();
	CHECK_EQ(overlay_layer("1 0 0:51 / / rw - overlay x rw,lowerdir=/layer\n", "/file", 0, small, sizeof(small)), -ENAMETOOLONG);
	return check_done();
}
