/* SPDX-License-Identifier: BSD-2-Clause */
/* live_view.c - see live_view.h: the thread, the terminal, and the names of what it shows. */
#include "record/live_view.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "message.h"
#include "symbols/symbols.h"
#include "utf8.h"

#define OTHER_SCREEN "\033[?1049h\033[?25l"
#define FIRST_SCREEN "\033[?25h\033[?1049l"
#define TEXT_NBYTES 512
#define KEPT_TEXTS 4096 /* stacks that have been named */

struct live_view {
	const struct embed *embed;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool must_end;
	struct live_moment shown; /* under the lock, as are the modules */
	bool has_new;
	char *modules[LIVE_MODULES_MAX];
	unsigned nr_modules;
	/* The thread's own: */
	struct symbols *symbols;
	struct live_moment at_hand;
	char *texts[KEPT_TEXTS]; /* by stack number, modulo */
	uint32_t text_of[KEPT_TEXTS];
	bool colour;
};

bool live_view_possible(const char **why_ret)
{
	const char *term = getenv("TERM");

	*why_ret = !isatty(STDERR_FILENO) ? "stderr is none" : !term || !*term || !strcmp(term, "dumb") ? "this one cannot move its cursor (TERM)" : "";
	return !**why_ret;
}

static const char *module_name(struct live_view *v, unsigned i)
{
	const char *name = NULL;

	pthread_mutex_lock(&v->lock);
	if (i < v->nr_modules)
		name = v->modules[i];
	pthread_mutex_unlock(&v->lock);
	return name ? name : "- ?";
}

/* "add < insert < main": the file's name and the offset where code has no name. */
static void name_stack(struct live_view *v, const struct live_row *row, char text[TEXT_NBYTES])
{
	size_t at = 0;

	/* The innermost frame is the allocator's function itself. */
	for (unsigned i = row->nr_frames > 1 ? 1 : 0; i < row->nr_frames && at < TEXT_NBYTES - 1; i++) {
		const char *module = module_name(v, row->frames[i].module), *slash = strrchr(module, '/');
		const struct tape_name *names;
		unsigned nr = v->symbols ? symbols_find(v->symbols, module, row->frames[i].place, &names) : 0;

		for (unsigned k = 0; k < nr && at < TEXT_NBYTES - 1; k++)
			at += (size_t)snprintf(text + at, TEXT_NBYTES - at, "%s%s", at ? " < " : "", names[k].function);
		if (!nr)
			at += (size_t)snprintf(text + at, TEXT_NBYTES - at, "%s%s+0x%llx", at ? " < " : "", slash ? slash + 1 : module,
					       (unsigned long long)row->frames[i].place);
	}
	if (!row->nr_frames)
		snprintf(text, TEXT_NBYTES, "[no stack]");
}

static const char *stack_text(void *arg, const struct live_row *row)
{
	struct live_view *v = arg;
	unsigned i = row->sums.stack % KEPT_TEXTS;
	char raw[TEXT_NBYTES] = "", *text;

	if (v->texts[i] && v->text_of[i] == row->sums.stack)
		return v->texts[i];
	name_stack(v, row, raw);
	text = malloc(2 * strlen(raw) + 1);
	if (!text)
		return "";
	utf8_clean(raw, text);
	free(v->texts[i]);
	v->texts[i] = text;
	v->text_of[i] = row->sums.stack;
	return text;
}

/* As one write, so that nothing flickers; what was there before is wiped line by line. */
static void draw(struct live_view *v)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	char *text = NULL, *line, *next;
	size_t nbytes = 0;
	FILE *out, *screen;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	out = open_memstream(&text, &nbytes);
	if (!out)
		return;
	live_screen_print(&v->at_hand, size.ws_row, size.ws_col, v->colour, stack_text, v, out);
	if (fclose(out))
		return free(text);
	screen = fdopen(dup(STDERR_FILENO), "w");
	if (screen) {
		fputs("\033[H", screen);
		for (line = text; line; line = next) {
			next = strchr(line, '\n');
			if (next)
				*next++ = '\0';
			fprintf(screen, "%s\033[K%s", line, next ? "\r\n" : "");
		}
		fputs("\033[J", screen);
		fclose(screen);
	}
	free(text);
}

static void *run(void *arg)
{
	struct live_view *v = arg;

	v->symbols = embed_symbols(v->embed);
	pthread_mutex_lock(&v->lock);
	while (!v->must_end) {
		if (!v->has_new) {
			pthread_cond_wait(&v->changed, &v->lock);
			continue;
		}
		v->at_hand = v->shown;
		v->has_new = false;
		pthread_mutex_unlock(&v->lock);
		draw(v);
		pthread_mutex_lock(&v->lock);
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

static void put_escape(const char *escape)
{
	if (write(STDERR_FILENO, escape, strlen(escape)) < 0)
		return;
}

struct live_view *live_view_open(const struct embed *embed)
{
	struct live_view *v = calloc(1, sizeof(*v));
	sigset_t all, before;
	int err;

	if (!v)
		return NULL;
	v->embed = embed;
	v->colour = message_wants_colour(STDERR_FILENO);
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->changed, NULL);
	sigfillset(&all); /* signals are the recorder's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&v->thread, NULL, run, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		free(v);
		return NULL;
	}
	message_hold(true);
	put_escape(OTHER_SCREEN);
	return v;
}

uint16_t live_view_module(struct live_view *v, const char *module)
{
	unsigned i;

	pthread_mutex_lock(&v->lock);
	for (i = 0; i < v->nr_modules && strcmp(v->modules[i], module); i++)
		;
	if (i == v->nr_modules && i < LIVE_MODULES_MAX) {
		v->modules[i] = strdup(module);
		v->nr_modules += v->modules[i] != NULL;
	}
	if (i >= v->nr_modules)
		i = LIVE_MODULES_MAX;
	pthread_mutex_unlock(&v->lock);
	return (uint16_t)i;
}

void live_view_show(struct live_view *v, const struct live_moment *m)
{
	pthread_mutex_lock(&v->lock);
	v->shown = *m;
	v->has_new = true;
	pthread_cond_signal(&v->changed);
	pthread_mutex_unlock(&v->lock);
}

void live_view_close(struct live_view *v)
{
	if (!v)
		return;
	pthread_mutex_lock(&v->lock);
	v->must_end = true;
	pthread_cond_signal(&v->changed);
	pthread_mutex_unlock(&v->lock);
	pthread_join(v->thread, NULL);
	put_escape(FIRST_SCREEN);
	message_hold(false);
	symbols_free(v->symbols);
	for (unsigned i = 0; i < KEPT_TEXTS; i++)
		free(v->texts[i]);
	for (unsigned i = 0; i < v->nr_modules; i++)
		free(v->modules[i]);
	pthread_cond_destroy(&v->changed);
	pthread_mutex_destroy(&v->lock);
	free(v);
}
