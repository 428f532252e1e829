/*
 * What Linux's test_verifier.c asks of bpf(2), written down instead of asked.
 *
 * The file is compiled in place, from a checkout outside of this repository, with its own main renamed; libbpf's calls are
 * ours and write one line of JSON each. Descriptors are invented, so whoever reads the journal replays it on any bpf(2).
 */
#define main selftest_main
#include "test_verifier.c"
#undef main

static FILE *journal;
static int next_fd = 1000000;
static const char *what = "";

static void text(const char *s)
{
	fputc('"', journal);
	for (; s && *s; s++) {
		if (*s == '"' || *s == '\\' || (unsigned char)*s < 32)
			fprintf(journal, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, journal);
	}
	fputc('"', journal);
}

static void hex(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	fputc('"', journal);
	for (; n; n--)
		fprintf(journal, "%02x", *p++);
	fputc('"', journal);
}

int bpf_map_create(enum bpf_map_type type, const char *name, __u32 key, __u32 value, __u32 entries,
		   const struct bpf_map_create_opts *o)
{
	(void)name;
	fprintf(journal, "{\"call\":\"map\",\"fd\":%d,\"type\":%d,\"key\":%u,\"value\":%u,\"entries\":%u,", next_fd, type,
		key, value, entries);
	fprintf(journal, "\"flags\":%u,\"inner\":%u,\"btf\":%u,\"btf_key\":%u,\"btf_value\":%u}\n",
		o ? o->map_flags : 0, o ? o->inner_map_fd : 0, o ? o->btf_fd : 0, o ? o->btf_key_type_id : 0,
		o ? o->btf_value_type_id : 0);
	return next_fd++;
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	(void)flags;
	/* Values are as wide as the map says; the reader cuts. Those of one byte are given as a whole struct, too. */
	fprintf(journal, "{\"call\":\"update\",\"fd\":%d,\"key\":", fd);
	hex(key, 4);
	fprintf(journal, ",\"value\":");
	hex(value, 4);
	fprintf(journal, "}\n");
	return 0;
}

int bpf_btf_load(const void *data, size_t size, struct bpf_btf_load_opts *o)
{
	(void)o;
	fprintf(journal, "{\"call\":\"btf\",\"fd\":%d,\"data\":", next_fd);
	hex(data, size);
	fprintf(journal, "}\n");
	return next_fd++;
}

int bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license, const struct bpf_insn *insns,
		  size_t cnt, struct bpf_prog_load_opts *o)
{
	(void)name;
	fprintf(journal, "{\"call\":\"prog\",\"fd\":%d,\"type\":%d,\"license\":", next_fd, type);
	text(license);
	fprintf(journal, ",\"flags\":%u,\"attach_type\":%u,\"btf\":%u,\"func_info\":", o ? o->prog_flags : 0,
		o ? o->expected_attach_type : 0, o ? o->prog_btf_fd : 0);
	hex(o ? o->func_info : NULL, o ? o->func_info_cnt * (size_t)o->func_info_rec_size : 0);
	fprintf(journal, ",\"attach\":");
	text(o && o->attach_btf_id ? what : "");
	fprintf(journal, ",\"insns\":");
	hex(insns, cnt * sizeof(*insns));
	fprintf(journal, "}\n");
	if (o) { /* the program of the test: "not supported" ends it without a look at what loading it would give */
		errno = ENOTSUPP;
		return -1;
	}
	return next_fd++;
}

int libbpf_find_vmlinux_btf_id(const char *name, enum bpf_attach_type type)
{
	(void)type;
	what = name;
	return 1;
}

/* Kernel functions by name: the id is a number of ours, its name stands in the journal. */
struct btf *btf__load_vmlinux_btf(void)
{
	return (struct btf *)&next_fd;
}

__s32 btf__find_by_name_kind(const struct btf *btf, const char *name, __u32 kind)
{
	(void)btf;
	(void)kind;
	fprintf(journal, "{\"call\":\"kfunc\",\"id\":%d,\"name\":", next_fd);
	text(name);
	fprintf(journal, "}\n");
	return next_fd++;
}

int libbpf_probe_bpf_map_type(enum bpf_map_type type, const void *opts)
{
	(void)type;
	(void)opts;
	return 1;
}

int libbpf_probe_bpf_prog_type(enum bpf_prog_type type, const void *opts)
{
	(void)type;
	(void)opts;
	return 1;
}

int bpf_prog_test_run_opts(int fd, struct bpf_test_run_opts *o)
{
	(void)fd;
	(void)o;
	errno = 524;
	return -1;
}

/* What is asked of a kernel around the tables: there is none. */
int bpf_btf_get_next_id(__u32 start, __u32 *next)
{
	(void)start;
	(void)next;
	errno = ENOENT;
	return -1;
}

int bpf_btf_get_fd_by_id(__u32 id)
{
	(void)id;
	return -1;
}

int bpf_obj_get_info_by_fd(int fd, void *info, __u32 *len)
{
	(void)fd;
	(void)info;
	(void)len;
	return -1;
}

struct btf *btf__load_from_kernel_by_id_split(__u32 id, struct btf *base)
{
	(void)id;
	(void)base;
	return NULL;
}

int btf__fd(const struct btf *btf)
{
	(void)btf;
	return -1;
}

void btf__set_fd(struct btf *btf, int fd)
{
	(void)btf;
	(void)fd;
}

int cap_enable_effective(__u64 caps, __u64 *old)
{
	(void)caps;
	(void)old;
	return 0;
}

int cap_disable_effective(__u64 caps, __u64 *old)
{
	(void)caps;
	(void)old;
	return 0;
}

int get_xlated_program(int fd, struct bpf_insn **insns, __u32 *cnt)
{
	(void)fd;
	(void)insns;
	(void)cnt;
	return -1;
}

int testing_prog_flags(void)
{
	return 0;
}

int main(int argc, char **argv)
{
	size_t i;

	journal = argc > 1 ? fopen(argv[1], "w") : stdout;
	if (!journal)
		return 1;
	setvbuf(journal, NULL, _IOLBF, 0);
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		int passes = 0, errors = 0;

		fprintf(journal, "{\"call\":\"test\",\"name\":");
		text(tests[i].descr);
		fprintf(journal, ",\"result\":%d,\"message\":", tests[i].result);
		text(tests[i].errstr);
		fprintf(journal, "}\n");
		what = "";
		do_test_single(&tests[i], false, &passes, &errors);
	}
	return fclose(journal);
}
