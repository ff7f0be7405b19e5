// SPDX-License-Identifier: BSD-2-Clause
// cxx_calls ROUNDS [no-throw]: all forms of operator new and delete, and one new that throws (mimalloc as Debian builds it
// ends the program there). Waits for a line on stdin first.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <unistd.h>
#include <vector>

struct alignas(64) Wide {
	char bytes[192];
};

static void *volatile sink;

template <typename T> static T *keep(T *p)
{
	sink = p;
	return p;
}

static void all_forms(unsigned i)
{
	std::size_t n = 1 + i % 3000;
	auto a64 = std::align_val_t(64);

	::operator delete(keep(::operator new(n)));
	::operator delete(keep(::operator new(n)), n);
	::operator delete[](keep(::operator new[](n)));
	::operator delete[](keep(::operator new[](n)), n);
	::operator delete(keep(::operator new(n, std::nothrow)), std::nothrow);
	::operator delete[](keep(::operator new[](n, std::nothrow)), std::nothrow);
	::operator delete(keep(::operator new(n, a64)), a64);
	::operator delete(keep(::operator new(n, a64)), n, a64);
	::operator delete[](keep(::operator new[](n, a64)), a64);
	::operator delete[](keep(::operator new[](n, a64)), n, a64);
	::operator delete(keep(::operator new(n, a64, std::nothrow)), a64, std::nothrow);
	::operator delete[](keep(::operator new[](n, a64, std::nothrow)), a64, std::nothrow);
	delete keep(new Wide);
	delete[] keep(new Wide[3]);
	free(keep(static_cast<char *>(malloc(n))));
}

static bool throws()
{
	try {
		keep(::operator new(std::size_t(1) << 62));
	} catch (const std::bad_alloc &) {
		return keep(::operator new(std::size_t(1) << 62, std::nothrow)) == nullptr;
	}
	return false;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? unsigned(atoi(argv[1])) : 2000;
	char line[8];

	if (read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 1;
	for (unsigned i = 0; i < rounds; i++) {
		std::vector<std::string> words;

		all_forms(i);
		for (unsigned k = 0; k < 10; k++)
			words.push_back(std::string(20 + k * i % 200, 'x'));
		auto shared = std::make_shared<std::string>(words.back());
		if (i % 100 == 0 && argc < 3 && !throws())
			return 1;
	}
	return 0;
}
