/* SPDX-License-Identifier: BSD-2-Clause */
/* What all profiles share: finding symbols, describing probes, making events. */
#include "runtime/runtime.h"

#include <errno.h>
#include <gelf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sites/code.h"

static const struct runtime_profile *const profiles[] = { &runtime_ghc, &runtime_go };

#define PROFILES_NR (sizeof(profiles) / sizeof(profiles[0]))

const struct runtime_profile *runtime_find(const struct object *obj, const char *name)
{
	for (size_t i = 0; i < PROFILES_NR; i++)
		if (name ? !strcmp(profiles[i]->name, name) : profiles[i]->recognise(obj))
			return profiles[i];
	return NULL;
}

int runtime_open(const struct runtime_profile *profile, const struct object *obj, unsigned levels, const struct runtime_sink *sink,
		 struct runtime **rt_ret)
{
	struct runtime *rt = calloc(1, sizeof(*rt));

	*rt_ret = rt;
	if (!rt)
		return -ENOMEM;
	rt->profile = profile;
	rt->obj = obj;
	rt->bias = object_bias(obj);
	rt->levels = levels;
	rt->nr_max = HT_CAPTURES_LANGUAGE;
	rt->sink = *sink;
	return profile->open(rt);
}

int runtime_begin(struct runtime *rt, const struct process *p, const struct ht_ev_head *at)
{
	struct ht_ev_capture now = { .h = *at };

	if (!rt->profile->begin)
		return runtime_fail(rt, 0, "what the runtime held before is not read");
	return rt->profile->begin(rt, p, &now);
}

int runtime_take(struct runtime *rt, const struct ht_ev_capture *e)
{
	return e->h.site - rt->first < rt->nr_probes ? rt->profile->take(rt, e) : 0;
}

void runtime_free(struct runtime *rt)
{
	if (!rt)
		return;
	rt->profile->close(rt);
	free(rt);
}

int runtime_fail(struct runtime *rt, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rt->why, sizeof(rt->why), fmt, ap);
	va_end(ap);
	return err;
}

/* ---- symbols ---- */

static void note_symbol(struct runtime_symbol *symbols, size_t nr, const char *name, uint64_t vaddr)
{
	for (size_t i = 0; i < nr; i++) {
		struct runtime_symbol *s = &symbols[i];

		if (strcmp(s->name, name) != 0 || s->vaddr == vaddr)
			continue;
		if (!s->vaddr)
			s->vaddr = vaddr;
		else
			for (size_t k = 0; k < sizeof(s->more) / sizeof(s->more[0]); k++)
				if (!s->more[k] || s->more[k] == vaddr) {
					s->more[k] = vaddr;
					break;
				}
	}
}

bool runtime_symbols(const struct object *obj, struct runtime_symbol *symbols, size_t nr)
{
	Elf *elf = object_elf(obj);
	Elf_Scn *section = NULL;
	bool found = false;

	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr head;
		Elf_Data *data;
		GElf_Sym sym;

		if (!gelf_getshdr(section, &head) || head.sh_type != SHT_SYMTAB || !(data = elf_getdata(section, NULL)))
			continue;
		found = true;
		for (int i = 0; gelf_getsym(data, i, &sym); i++) {
			unsigned type = GELF_ST_TYPE(sym.st_info);
			const char *name = elf_strptr(elf, head.sh_link, sym.st_name);

			if (name && sym.st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE))
				note_symbol(symbols, nr, name, sym.st_value);
		}
	}
	return found;
}

/* ---- probes ---- */

/* What a breakpoint on the instruction costs. */
static uint8_t trap_at(const struct object *obj, uint64_t vaddr)
{
	struct code_reader *reader = code_reader_new();
	struct code_insn insn = { 0 };
	size_t nbytes;
	const uint8_t *bytes = object_code(obj, vaddr, &nbytes);

	if (reader && bytes)
		code_decode(reader, bytes, nbytes, vaddr, &insn);
	code_reader_free(reader);
	return insn.emulated ? HT_TRAP_EMULATED : HT_TRAP_STEPPED;
}

#define ENTRY_INSNS_MAX 8

uint64_t runtime_entry(const struct object *obj, uint64_t vaddr, uint32_t regs)
{
	struct code_reader *reader = code_reader_new();
	uint64_t at = vaddr, found = vaddr;

	for (unsigned n = 0; reader && n < ENTRY_INSNS_MAX; n++) {
		struct code_insn insn;
		size_t nbytes;
		const uint8_t *bytes = object_code(obj, at, &nbytes);

		if (!bytes || !code_decode(reader, bytes, nbytes, at, &insn))
			break;
		if (insn.emulated && insn.fit) {
			found = at;
			break;
		}
		if (insn.flow != CODE_NEXT || insn.writes & regs || insn.stores)
			break;
		at += insn.nbytes;
	}
	code_reader_free(reader);
	return found;
}

struct runtime_probe *runtime_probe(struct runtime *rt, const char *function, uint64_t vaddr, bool is_return)
{
	struct runtime_probe *p = &rt->probes[rt->nr_probes];

	if (rt->nr_probes == rt->nr_max)
		return NULL;
	*p = (struct runtime_probe){ .function = function, .vaddr = vaddr, .is_return = is_return };
	p->capture.trap = is_return ? HT_TRAP_RETURN : trap_at(rt->obj, vaddr);
	rt->nr_probes++;
	return p;
}

static void capture_load(struct ht_capture *c, struct ht_load load)
{
	if (c->nr < HT_CAPTURE_WORDS)
		c->loads[c->nr++] = load;
}

void capture_reg(struct ht_capture *c, unsigned reg)
{
	capture_load(c, (struct ht_load){ .base = (uint8_t)(HT_BASE_REG + reg) });
}

void capture_read(struct ht_capture *c, enum ht_load_base base, unsigned nr, uint64_t add, uint8_t width)
{
	capture_load(c, (struct ht_load){ .base = (uint8_t)(base + nr), .add = add, .width = width });
}

void capture_tally(struct ht_capture *c, unsigned tally)
{
	capture_load(c, (struct ht_load){ .op = HT_LOAD_TALLY, .add = tally });
}

uint64_t runtime_field(const uint8_t *bytes, uint64_t offset, size_t nbytes)
{
	uint64_t v = 0;

	memcpy(&v, bytes + offset, nbytes);
	return v;
}

/* ---- events ---- */

static int put(struct runtime *rt, const struct ht_ev_capture *e, struct tape_event ev, const char *name)
{
	int err = rt->sink.put(rt->sink.arg, &e->h, &ev, name);

	return err < 0 ? err : 0;
}

int runtime_span(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr, uint64_t nbytes, const char *use)
{
	return put(rt, e, (struct tape_event){ .kind = TAPE_SPAN, .addr = addr, .size = nbytes }, use);
}

int runtime_span_free(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr, uint64_t nbytes, const char *use)
{
	return put(rt, e, (struct tape_event){ .kind = TAPE_SPAN_FREE, .addr = addr, .size = nbytes }, use);
}

int runtime_figure(struct runtime *rt, const struct ht_ev_capture *e, const char *name, uint64_t value)
{
	return put(rt, e, (struct tape_event){ .kind = TAPE_FIGURE, .size = value }, name);
}

int runtime_born(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr, uint64_t nbytes, uint32_t stack)
{
	struct tape_event ev = { .kind = TAPE_MALLOC, .addr = addr, .size = nbytes, .stack = stack };

	return rt->sink.put(rt->sink.arg, &e->h, &ev, NULL);
}

int runtime_collected(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr)
{
	return put(rt, e, (struct tape_event){ .kind = TAPE_FREE, .addr = addr, .flags = TAPE_COLLECTED }, NULL);
}
