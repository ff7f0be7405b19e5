/* SPDX-License-Identifier: BSD-2-Clause */
/* A line from left to right; the first thing that does not fit is told with its place. */
#include "custom_spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct cursor {
	const char *start, *at, *end; /* of the line */
	struct custom_error *error;
};

__attribute__((format(printf, 3, 4))) static int expected(struct cursor *c, const char *at, const char *fmt, ...)
{
	va_list ap;

	c->error->column = (unsigned)(at - c->start) + 1;
	va_start(ap, fmt);
	vsnprintf(c->error->what, sizeof(c->error->what), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end && is_blank(*c->at))
		c->at++;
}

/* The next character, blanks in front of it left out; 0 at the end. */
static char peek(struct cursor *c)
{
	skip_blanks(c);
	return c->at < c->end ? *c->at : 0;
}

static bool take(struct cursor *c, char ch)
{
	if (peek(c) != ch)
		return false;
	c->at++;
	return true;
}

static bool is_word(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-';
}

/* A run of word characters; its length. */
static size_t take_word(struct cursor *c, const char **word_ret)
{
	skip_blanks(c);
	*word_ret = c->at;
	while (c->at < c->end && is_word(*c->at))
		c->at++;
	return (size_t)(c->at - *word_ret);
}

static bool word_is(const char *word, size_t nbytes, const char *want)
{
	return strlen(want) == nbytes && !memcmp(word, want, nbytes);
}

/* ---- values ---- */

/* arg1 to arg6, *arg1, arg1:32. */
static int parse_arg(struct cursor *c, struct custom_arg *arg)
{
	const char *word, *begin = (skip_blanks(c), c->at);
	size_t nbytes;

	*arg = (struct custom_arg){ .deref = take(c, '*') };
	nbytes = take_word(c, &word);
	if (nbytes < 4 || memcmp(word, "arg", 3) != 0)
		return expected(c, begin, "arg1 to arg%d was expected here", CUSTOM_ARGS_MAX);
	if (nbytes != 4 || word[3] < '1' || word[3] > '0' + CUSTOM_ARGS_MAX)
		return expected(c, begin, "only arg1 to arg%d are in registers, '%.*s' is none of them", CUSTOM_ARGS_MAX, (int)(nbytes < 20 ? nbytes : 20),
				word);
	arg->nr = (uint8_t)(word[3] - '0');
	if (!take(c, ':'))
		return 0;
	begin = c->at;
	nbytes = take_word(c, &word);
	if (!word_is(word, nbytes, "32"))
		return expected(c, begin, "behind ':' only 32 may stand, for an argument of 32 bits");
	arg->is_32 = true;
	return 0;
}

static int parse_factor(struct cursor *c, struct custom_function *f)
{
	uint64_t n = 0, product;
	const char *begin;

	if (peek(c) < '0' || peek(c) > '9') {
		unsigned i = f->size[0].nr ? 1 : 0;

		if (f->size[i].nr)
			return expected(c, c->at, "a size is the product of two arguments at most");
		return parse_arg(c, &f->size[i]);
	}
	for (begin = c->at; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*c->at - '0'), &n))
			return expected(c, begin, "this number is too large");
	if (!n || __builtin_mul_overflow(f->scale, n, &product))
		return expected(c, begin, "a factor of a size is 1 or more, and their product fits 64 bits");
	f->scale = product;
	return 0;
}

static int parse_size(struct cursor *c, struct custom_function *f)
{
	int err;

	do
		err = parse_factor(c, f);
	while (!err && take(c, '*'));
	return err;
}

/* ---- functions ---- */

enum field { F_SIZE, F_PTR, F_OLD, F_ALIGN, F_GROUP, F_PARENT, F_NR };

static const char *const field_names[F_NR] = { "size", "ptr", "old", "align", "group", "parent" };

#define BIT(field) (1u << (field))

static const struct kind_rule {
	const char *name;
	unsigned needed, allowed; /* fields */
	const char *takes;
	bool gives;
} rules[CUSTOM_KIND_NR] = {
	[CUSTOM_ALLOC] = { "alloc", BIT(F_SIZE), BIT(F_SIZE) | BIT(F_ALIGN) | BIT(F_GROUP), "size (and align, group)", true },
	[CUSTOM_REALLOC] = { "realloc", BIT(F_SIZE) | BIT(F_OLD), BIT(F_SIZE) | BIT(F_OLD) | BIT(F_ALIGN) | BIT(F_GROUP),
			     "old and size (and align, group)", true },
	[CUSTOM_FREE] = { "free", BIT(F_PTR), BIT(F_PTR), "ptr", false },
	[CUSTOM_NEW_GROUP] = { "new-group", 0, BIT(F_PARENT), "parent, or nothing", true },
	[CUSTOM_CLEAR_GROUP] = { "clear-group", BIT(F_GROUP), BIT(F_GROUP), "group", false },
	[CUSTOM_FREE_GROUP] = { "free-group", BIT(F_GROUP), BIT(F_GROUP), "group", false },
};

static struct custom_arg *field_of(struct custom_function *f, enum field field)
{
	switch (field) {
	case F_PTR: return &f->ptr;
	case F_OLD: return &f->old;
	case F_ALIGN: return &f->align;
	case F_GROUP: return &f->group;
	default: return &f->parent;
	}
}

static int parse_field(struct cursor *c, struct custom_function *f, unsigned *seen)
{
	const struct kind_rule *rule = &rules[f->kind];
	const char *word, *begin = (skip_blanks(c), c->at);
	size_t nbytes = take_word(c, &word);
	int field = 0;

	while (field < F_NR && !word_is(word, nbytes, field_names[field]))
		field++;
	if (field == F_NR || !(rule->allowed & BIT(field)))
		return expected(c, begin, "%s takes %s, each as NAME=argN", rule->name, rule->takes);
	if (*seen & BIT(field))
		return expected(c, begin, "%s stands twice", field_names[field]);
	*seen |= BIT(field);
	if (!take(c, '='))
		return expected(c, c->at, "'=' was expected behind %s", field_names[field]);
	return field == F_SIZE ? parse_size(c, f) : parse_arg(c, field_of(f, field));
}

static int parse_fields(struct cursor *c, struct custom_function *f)
{
	const struct kind_rule *rule = &rules[f->kind];
	unsigned seen = 0;
	int err = 0;

	if (!take(c, '('))
		return expected(c, c->at, "'(' was expected behind the function's name");
	if (peek(c) != ')')
		do
			err = parse_field(c, f, &seen);
		while (!err && take(c, ','));
	if (err)
		return err;
	if (!take(c, ')'))
		return expected(c, c->at, "',' or ')' was expected here");
	if (rule->needed & ~seen)
		return expected(c, c->at - 1, "%s needs %s", rule->name, rule->takes);
	return 0;
}

/* ->ret, ->*argN, or nothing. */
static int parse_result(struct cursor *c, struct custom_function *f)
{
	const char *begin = (skip_blanks(c), c->at), *word;
	size_t nbytes;
	int err;

	if (c->at == c->end)
		return 0;
	if (c->end - c->at < 2 || memcmp(c->at, "->", 2) != 0)
		return expected(c, begin, rules[f->kind].gives ? "->ret or ->*argN was expected here, or the end" : "the end was expected here");
	if (!rules[f->kind].gives)
		return expected(c, begin, "%s gives nothing", rules[f->kind].name);
	c->at += 2;
	if (peek(c) == '*') {
		err = parse_arg(c, &f->out);
		f->out.deref = false;
		if (!err && f->out.is_32)
			err = expected(c, begin, "an address has 64 bits");
	} else {
		begin = c->at;
		nbytes = take_word(c, &word);
		err = word_is(word, nbytes, "ret") ? 0 : expected(c, begin, "ret or *argN was expected behind ->");
	}
	if (!err && peek(c))
		err = expected(c, c->at, "the end was expected here");
	return err;
}

static int parse_function(struct cursor *c, struct custom_function *f)
{
	const char *begin = (skip_blanks(c), c->at);
	int err;

	f->scale = 1;
	while (c->at < c->end && *c->at != '(' && *c->at > ' ')
		c->at++;
	if (c->at == begin)
		return expected(c, begin, "the name of a function was expected here, as in zmalloc(size=arg1)->ret");
	if ((size_t)(c->at - begin) >= sizeof(f->name))
		return expected(c, begin, "a function's name has at most %zu bytes", sizeof(f->name) - 1);
	memcpy(f->name, begin, (size_t)(c->at - begin));
	err = parse_fields(c, f);
	return err ? err : parse_result(c, f);
}

int custom_function_parse(const char *text, enum custom_kind kind, struct custom_function *f_ret, struct custom_error *error_ret)
{
	struct cursor c = { text, text, text + strlen(text), error_ret };

	*error_ret = (struct custom_error){ 0 };
	*f_ret = (struct custom_function){ .kind = kind };
	return parse_function(&c, f_ret);
}

/* ---- allocators ---- */

bool custom_name_is_good(const char *name)
{
	size_t nbytes = strlen(name);

	for (const char *at = name; *at; at++)
		if (!is_word(*at) && *at != '.' && *at != '+')
			return false;
	return nbytes && nbytes < sizeof(((struct custom_spec *)0)->name);
}

static struct custom_spec *find_spec(struct custom_specs *specs, const char *name)
{
	for (unsigned i = 0; i < specs->nr; i++)
		if (!strcmp(specs->list[i].name, name))
			return &specs->list[i];
	return NULL;
}

static struct custom_spec *new_spec(struct custom_specs *specs, const char *name)
{
	struct custom_spec *spec = &specs->list[specs->nr];

	if (specs->nr == CUSTOM_ALLOCATORS_MAX)
		return NULL;
	*spec = (struct custom_spec){ 0 };
	snprintf(spec->name, sizeof(spec->name), "%s", name);
	specs->nr++;
	return spec;
}

static int add_function(struct cursor *c, const char *at, struct custom_spec *spec, const struct custom_function *f)
{
	for (unsigned i = 0; i < spec->nr_functions; i++)
		if (!strcmp(spec->functions[i].name, f->name))
			return expected(c, at, "%s is described twice", f->name);
	if (spec->nr_functions == CUSTOM_FUNCTIONS_MAX)
		return expected(c, at, "an allocator has at most %d functions", CUSTOM_FUNCTIONS_MAX);
	spec->functions[spec->nr_functions++] = *f;
	return 0;
}

int custom_specs_add(struct custom_specs *specs, const char *allocator, const struct custom_function *f, struct custom_error *error_ret)
{
	struct cursor c = { "", "", "", error_ret };
	struct custom_spec *spec = find_spec(specs, allocator);

	*error_ret = (struct custom_error){ 0 };
	if (!spec)
		spec = new_spec(specs, allocator);
	return spec ? add_function(&c, c.at, spec, f) : expected(&c, c.at, "at most %d allocators can be described", CUSTOM_ALLOCATORS_MAX);
}

/* ---- profile files ---- */

/* What follows the word, without blanks at its ends, into buf. */
static int take_rest(struct cursor *c, const char *what, char *buf, size_t room)
{
	size_t nbytes;

	skip_blanks(c);
	nbytes = (size_t)(c->end - c->at);
	if (!nbytes)
		return expected(c, c->at, "%s was expected here", what);
	if (nbytes >= room)
		return expected(c, c->at, "%s has at most %zu bytes", what, room - 1);
	memcpy(buf, c->at, nbytes);
	buf[nbytes] = 0;
	return 0;
}

static int parse_allocator(struct cursor *c, struct custom_specs *specs, struct custom_spec **spec)
{
	char name[sizeof((*spec)->name)];
	int err = take_rest(c, "an allocator's name", name, sizeof(name));

	if (err)
		return err;
	if (!custom_name_is_good(name))
		return expected(c, c->at, "an allocator's name is made of letters, digits and . _ - +");
	if (find_spec(specs, name))
		return expected(c, c->at, "%s is described twice", name);
	*spec = new_spec(specs, name);
	return *spec ? 0 : expected(c, c->at, "at most %d allocators can be described", CUSTOM_ALLOCATORS_MAX);
}

static int parse_line(struct cursor *c, struct custom_specs *specs, struct custom_spec **spec)
{
	struct custom_function f = { 0 };
	const char *word, *begin = (skip_blanks(c), c->at);
	size_t nbytes = take_word(c, &word);
	int kind = 0, err;

	if (begin == c->end)
		return 0;
	if (word_is(word, nbytes, "allocator"))
		return parse_allocator(c, specs, spec);
	if (!*spec)
		return expected(c, begin, "the first line that is no comment says: allocator NAME");
	if (word_is(word, nbytes, "library"))
		return take_rest(c, "a file's name, with * and ? if you like,", (*spec)->library, sizeof((*spec)->library));
	while (kind < CUSTOM_KIND_NR && !word_is(word, nbytes, rules[kind].name))
		kind++;
	if (kind == CUSTOM_KIND_NR)
		return expected(c, begin, "a line begins with allocator, library, alloc, realloc, free, new-group, clear-group or free-group");
	f.kind = (enum custom_kind)kind;
	skip_blanks(c);
	begin = c->at;
	err = parse_function(c, &f);
	return err ? err : add_function(c, begin, *spec, &f);
}

int custom_profile_parse(const char *text, struct custom_specs *specs, struct custom_error *error_ret)
{
	struct cursor c = { .error = error_ret };
	struct custom_spec *spec = NULL;
	int err = 0;

	*error_ret = (struct custom_error){ 0 };
	for (unsigned line = 1; *text && !err; line++) {
		const char *end = strchrnul(text, '\n'), *comment = memchr(text, '#', (size_t)(end - text));

		c.start = c.at = text;
		c.end = comment ? comment : end;
		while (c.end > text && is_blank(c.end[-1]))
			c.end--;
		err = parse_line(&c, specs, &spec);
		error_ret->line = line;
		text = *end ? end + 1 : end;
	}
	if (!err && (!spec || !spec->nr_functions))
		err = expected(&c, c.start ? c.start : (c.start = ""), spec ? "no function of %s was described" : "no allocator is described%s",
			       spec ? spec->name : "");
	return err;
}
