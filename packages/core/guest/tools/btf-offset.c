// SPDX-License-Identifier: Apache-2.0
/*
 * btf-offset STRUCT MEMBER [FILE]: the byte offset of a member, from the running kernel's type information.
 * Format: https://docs.kernel.org/bpf/btf.html
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INT = 1, ARRAY = 3, STRUCT = 4, UNION = 5, ENUM = 6, FUNC_PROTO = 13, VAR = 14, DATASEC = 15, DECL_TAG = 17, ENUM64 = 19 };

struct header { uint16_t magic; uint8_t version, flags; uint32_t length, type_off, type_len, str_off, str_len; };
struct type { uint32_t name_off, info, size; };
struct member { uint32_t name_off, type, offset; };

static const uint8_t *types, *types_end;
static const char *strings;
static uint32_t strings_len, count;
static const struct type **index_of;

static void fail(const char *why, const char *what)
{
	fprintf(stderr, "btf-offset: %s%s\n", why, what);
	exit(1);
}

static const char *name(uint32_t offset) { return offset < strings_len ? strings + offset : ""; }
static uint32_t kind(const struct type *t) { return t->info >> 24 & 31; }
static uint32_t length(const struct type *t) { return t->info & 0xffff; }

static size_t extra(const struct type *t)
{
	switch (kind(t)) {
	case INT: case VAR: case DECL_TAG: return 4;
	case ARRAY: return 12;
	case STRUCT: case UNION: case DATASEC: case ENUM64: return 12 * (size_t)length(t);
	case ENUM: case FUNC_PROTO: return 8 * (size_t)length(t);
	default: return 0;
	}
}

/* In bits; -1 when it is not there. Members without a name are looked into. */
static int64_t find(const struct type *t, const char *wanted, int depth)
{
	const struct member *m = (const void *)(t + 1);

	for (uint32_t i = 0; i < length(t); i++, m++) {
		/* With kind_flag set, the upper 8 bits are a bit field's size. */
		int64_t offset = t->info >> 31 ? m->offset & 0xffffff : m->offset;

		if (!strcmp(name(m->name_off), wanted))
			return offset;
		if (*name(m->name_off) || m->type == 0 || m->type > count || depth > 8)
			continue;
		const struct type *inner = index_of[m->type - 1];
		if (kind(inner) != STRUCT && kind(inner) != UNION)
			continue;
		int64_t below = find(inner, wanted, depth + 1);
		if (below >= 0)
			return offset + below;
	}
	return -1;
}

int main(int argc, char **argv)
{
	static uint8_t data[32 << 20];
	const char *path = argc > 3 ? argv[3] : "/sys/kernel/btf/vmlinux";

	if (argc < 3)
		fail("usage: btf-offset STRUCT MEMBER [FILE]", "");
	FILE *file = fopen(path, "rb");
	if (!file)
		fail("cannot open ", path);
	size_t size = fread(data, 1, sizeof data - 1, file);
	fclose(file);

	const struct header *h = (const void *)data;
	if (size < sizeof *h || h->magic != 0xeb9f || (uint64_t)h->length + h->type_off + h->type_len > size ||
	    (uint64_t)h->length + h->str_off + h->str_len > size)
		fail("not BTF of this byte order: ", path);
	types = data + h->length + h->type_off;
	types_end = types + h->type_len;
	strings = (const char *)data + h->length + h->str_off;
	strings_len = h->str_len;
	index_of = calloc(h->type_len / sizeof(struct type) + 1, sizeof *index_of);
	if (!index_of)
		fail("out of memory", "");
	for (const uint8_t *at = types; at + sizeof(struct type) <= types_end; at += sizeof(struct type) + extra((const void *)at))
		index_of[count++] = (const void *)at;

	for (uint32_t i = 0; i < count; i++) {
		if (kind(index_of[i]) != STRUCT || strcmp(name(index_of[i]->name_off), argv[1]))
			continue;
		int64_t bits = find(index_of[i], argv[2], 0);
		if (bits < 0 || bits % 8)
			fail("no such member: ", argv[2]);
		printf("%lld\n", (long long)(bits / 8));
		return 0;
	}
	fail("no such struct: ", argv[1]);
}
