/*
 * A device tree (dtb) as its source text, for vmm inspect. See inspect_impl.h.
 * Source: Devicetree Specification 0.4, 5 (flattened format) and 6 (source format).
 *
 * What the file can say           limit                      enforced in       test
 * offsets and sizes of any kind   fdt_check_full()           inspect_tree()    inspect_trees_of_any_kind
 * a tree of any size              TREE_BYTES_MAX             inspect_tree()    inspect_trees_of_any_kind
 * nodes in nodes without end      DEPTH_MAX                  print_nodes()     inspect_trees_of_any_kind
 * text with control characters    shown as bytes             is_texts()        inspect_trees_of_any_kind
 * names of any bytes              inspect_printable()        print_nodes()     inspect_trees_of_any_kind
 */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>

#include "firmware/inspect_impl.h"

enum {
	TREE_BYTES_MAX = 2 << 20,
	DEPTH_MAX = 64,
	NAME_BYTES = 128,
};

/* One or more texts, each with its NUL, all printable and none empty. */
static bool is_texts(const uint8_t *value, int len)
{
	bool is_inside = false;

	if (len == 0 || value[len - 1])
		return false;
	for (int i = 0; i < len; i++) {
		if (!value[i] && !is_inside)
			return false;
		if (value[i] && (value[i] < ' ' || value[i] > '~'))
			return false;
		is_inside = value[i];
	}
	return true;
}

static void print_texts(FILE *file, const char *value, int len)
{
	const char *comma = " ";

	for (const char *text = value; text < value + len; text += strlen(text) + 1) {
		fprintf(file, "%s\"", comma);
		for (const char *c = text; *c; c++)
			fprintf(file, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
		putc('"', file);
		comma = ", ";
	}
}

static void print_value(FILE *file, const uint8_t *value, int len)
{
	if (!len)
		return;
	fputs(" =", file);
	if (is_texts(value, len)) {
		print_texts(file, (const char *)value, len);
	} else if (len % 4 == 0) {
		fputs(" <", file);
		for (int i = 0; i < len; i += 4)
			fprintf(file, "%s0x%x", i ? " " : "",
				(unsigned)fdt32_ld((const fdt32_t *)(value + i)));
		putc('>', file);
	} else {
		fputs(" [", file);
		for (int i = 0; i < len; i++)
			fprintf(file, "%s%02x", i ? " " : "", value[i]);
		putc(']', file);
	}
}

static void indent(FILE *file, int depth)
{
	while (depth-- > 0)
		fputs("    ", file);
}

static void print_properties(FILE *file, const void *tree, int node, int depth)
{
	int property;

	fdt_for_each_property_offset(property, tree, node)
	{
		const char *name = NULL;
		int len;
		const void *value = fdt_getprop_by_offset(tree, property, &name, &len);
		char shown[NAME_BYTES];

		if (!value || !name || len < 0)
			continue;
		inspect_printable(shown, sizeof(shown), name, strlen(name));
		indent(file, depth);
		fputs(shown, file);
		print_value(file, value, len);
		fputs(";\n", file);
	}
}

static void print_nodes(FILE *file, const void *tree)
{
	int depth = 0, open = 0;

	for (int node = fdt_next_node(tree, -1, &depth); node >= 0 && depth >= 0;
		node = fdt_next_node(tree, node, &depth)) {
		const char *name = fdt_get_name(tree, node, NULL);
		char shown[NAME_BYTES];

		/* The first is at depth 1. */
		while (open >= depth) {
			indent(file, --open);
			fputs("};\n", file);
		}
		if (depth > DEPTH_MAX)
			break;
		inspect_printable(shown, sizeof(shown), name ? name : "", name ? strlen(name) : 0);
		indent(file, depth - 1);
		fprintf(file, "%s {\n", depth == 1 ? "/" : shown);
		open = depth;
		print_properties(file, tree, node, depth);
	}
	while (open > 0) {
		indent(file, --open);
		fputs("};\n", file);
	}
}

static void print_source(FILE *file, const void *tree)
{
	fputs("/dts-v1/;\n", file);
	for (int i = 0; i < fdt_num_mem_rsv(tree); i++) {
		uint64_t address, size;

		if (fdt_get_mem_rsv(tree, i, &address, &size) == 0)
			fprintf(file, "/memreserve/ 0x%llx 0x%llx;\n", (unsigned long long)address,
				(unsigned long long)size);
	}
	print_nodes(file, tree);
}

static void show_source(struct inspect_out *out, const void *tree)
{
	char *text = NULL;
	size_t len;
	FILE *file;

	if (!out->json) {
		print_source(out->file, tree);
		return;
	}
	file = open_memstream(&text, &len);
	if (!file)
		return;
	print_source(file, tree);
	if (fclose(file) == 0)
		inspect_text(out, "source", text);
	free(text);
}

bool inspect_tree(struct inspect_out *out, const struct source *source)
{
	uint64_t bytes = source->size;
	void *tree;
	bool is_whole;

	if (bytes > TREE_BYTES_MAX || bytes < sizeof(struct fdt_header))
		return false;
	tree = malloc(bytes);
	is_whole = tree && source_read(source, 0, tree, bytes) && fdt_magic(tree) == FDT_MAGIC;
	if (!is_whole) {
		free(tree);
		return false;
	}
	is_whole = fdt_check_full(tree, bytes) == 0;
	inspect_line(out, "tree", "%s", is_whole ? "a device tree, whole" : "cut or damaged");
	if (is_whole)
		show_source(out, tree);
	free(tree);
	return is_whole;
}
