/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual calls, exceptions thrown through frames, destructors on the way, threads. stack_cases_cxx ROUNDS */
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include "stack_truth.h"

static volatile int sink;

struct Shape {
	virtual int area(int n) = 0;
	virtual ~Shape() = default;
};

struct Square final : Shape {
	KNOWN int area(int n) override;
};

struct Circle final : Shape {
	KNOWN int area(int n) override;
};

KNOWN static void leaf(size_t n)
{
	free(truth_malloc(n));
	sink = sink + 1;
}

KNOWN int Square::area(int n)
{
	leaf(static_cast<size_t>(n) + 10);
	return sink;
}

KNOWN int Circle::area(int n)
{
	leaf(static_cast<size_t>(n) + 20);
	return sink + 1;
}

struct Guard {
	int n;
	KNOWN explicit Guard(int k);
	KNOWN ~Guard();
};

KNOWN Guard::Guard(int k) : n(k) { leaf(31); }
KNOWN Guard::~Guard() { leaf(static_cast<size_t>(n) + 1); }

KNOWN static int thrower(int depth)
{
	Guard guard(depth);

	if (depth)
		return thrower(depth - 1) + guard.n;
	throw std::runtime_error("as asked");
}

KNOWN static int catcher(int depth)
{
	try {
		return thrower(depth);
	} catch (const std::exception &e) {
		leaf(77);
		return e.what()[0];
	}
}

KNOWN static void shapes(int round)
{
	Square square;
	Circle circle;
	Shape *all[] = { &square, &circle };

	for (int i = 0; i < 4; i++)
		sink = sink + all[(i + round) & 1]->area(i);
}

KNOWN static void body(int round)
{
	shapes(round);
	sink = sink + catcher(round % 5);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 10;

	truth_code(__start_known_text, __stop_known_text);
	for (int i = 0; i < rounds; i++) {
		body(i);
		if (i % 8 == 0)
			std::thread(body, i).join();
	}
	return 0;
}
