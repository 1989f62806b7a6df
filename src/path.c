/*
 * path.c
 *		kpi_path: layout, parse, compare, take apart and put together.
 *
 * The layout and the reason for it stand in path.h.  Everything here works on
 * bytes.  That is right in every encoding a server may have: their multibyte
 * characters hold no ASCII bytes, so a byte below 0x80 is always a character
 * of its own.
 */
#include "postgres.h"

#include "path.h"

#define SEPARATOR	'\0'
#define LOWEST_LABEL_BYTE	'-'

static bool
is_label_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || c == LOWEST_LABEL_BYTE ||
		c >= 0x80;
}

KpiPath *
kpi_path_from_bytes(const char *bytes, int size)
{
	KpiPath    *path = (KpiPath *) palloc(VARHDRSZ + size);

	SET_VARSIZE(path, VARHDRSZ + size);
	memcpy(VARDATA(path), bytes, size);
	return path;
}

char *
kpi_path_label_problem(const char *bytes, int length)
{
	if (length == 0)
		return pstrdup("is empty");
	for (int i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) bytes[i];

		if (is_label_byte(c))
			continue;
		if (c < ' ' || c == 0x7F)
			return psprintf("contains the control character 0x%02x", c);
		return psprintf("contains the character \"%c\"", c);
	}
	if (length > KPI_PATH_MAX_LABEL_BYTES)
		return psprintf("is longer than %d bytes", KPI_PATH_MAX_LABEL_BYTES);
	return NULL;
}

/* end of the label that starts at bytes, the next separator or the end */
static const char *
label_end(const char *bytes, const char *end, char separator)
{
	const char *found = memchr(bytes, separator, end - bytes);

	return found ? found : end;
}

/*
 * Checks labels joined by separator; returns null, or a sentence that says
 * what is wrong.
 */
static char *
labels_problem(const char *bytes, int size, char separator)
{
	const char *end = bytes + size;

	if (size == 0)
		return pstrdup("The path is empty.");

	for (int n = 1;; n++)
	{
		const char *stop = label_end(bytes, end, separator);
		char	   *problem;

		if (n > KPI_PATH_MAX_DEPTH)
			return psprintf("The path has more than %d labels.", KPI_PATH_MAX_DEPTH);
		problem = kpi_path_label_problem(bytes, stop - bytes);
		if (problem)
			return psprintf("Label %d %s.", n, problem);
		if (stop == end)
			return NULL;
		bytes = stop + 1;
	}
}

KpiPath *
kpi_path_from_text(const char *text, int length, char **problem)
{
	KpiPath    *path;
	char	   *bytes;

	*problem = labels_problem(text, length, '.');
	if (*problem)
		return NULL;

	path = kpi_path_from_bytes(text, length);
	bytes = VARDATA(path);
	for (int i = 0; i < length; i++)
		if (bytes[i] == '.')
			bytes[i] = SEPARATOR;
	return path;
}

char *
kpi_path_to_text(const KpiPath *path)
{
	int			size = KPI_PATH_SIZE(path);
	char	   *text = palloc(size + 1);

	for (int i = 0; i < size; i++)
		text[i] = KPI_PATH_BYTES(path)[i] == SEPARATOR ? '.' : KPI_PATH_BYTES(path)[i];
	text[size] = '\0';
	return text;
}

bool
kpi_path_is_valid(const char *bytes, int size)
{
	char	   *problem = labels_problem(bytes, size, SEPARATOR);

	if (problem == NULL)
		return true;
	pfree(problem);
	return false;
}

int
kpi_path_compare(const KpiPath *a, const KpiPath *b)
{
	int			a_size = KPI_PATH_SIZE(a);
	int			b_size = KPI_PATH_SIZE(b);
	int			order = memcmp(KPI_PATH_BYTES(a), KPI_PATH_BYTES(b), Min(a_size, b_size));

	if (order != 0)
		return order;
	return (a_size > b_size) - (a_size < b_size);
}

bool
kpi_path_contains(const KpiPath *ancestor, const KpiPath *path)
{
	int			size = KPI_PATH_SIZE(ancestor);
	int			path_size = KPI_PATH_SIZE(path);

	return size <= path_size &&
		memcmp(KPI_PATH_BYTES(ancestor), KPI_PATH_BYTES(path), size) == 0 &&
		(size == path_size || KPI_PATH_BYTES(path)[size] == SEPARATOR);
}

int
kpi_path_depth(const KpiPath *path)
{
	const char *bytes = KPI_PATH_BYTES(path);
	int			size = KPI_PATH_SIZE(path);
	int			depth = 1;

	for (int i = 0; i < size; i++)
		if (bytes[i] == SEPARATOR)
			depth++;
	return depth;
}

KpiPath *
kpi_path_subpath(const KpiPath *path, int first, int last)
{
	const char *start = KPI_PATH_BYTES(path);
	const char *end = start + KPI_PATH_SIZE(path);
	const char *stop;
	int			depth = kpi_path_depth(path);

	if (first < 0)
		first += depth + 1;
	if (last < 0)
		last += depth + 1;
	if (first < 1 || last > depth || first > last)
		return NULL;

	for (int n = 1; n < first; n++)
		start = label_end(start, end, SEPARATOR) + 1;
	stop = label_end(start, end, SEPARATOR);
	for (int n = first; n < last; n++)
		stop = label_end(stop + 1, end, SEPARATOR);
	return kpi_path_from_bytes(start, stop - start);
}

KpiPath *
kpi_path_parent(const KpiPath *path)
{
	const char *bytes = KPI_PATH_BYTES(path);

	for (int size = KPI_PATH_SIZE(path) - 1; size > 0; size--)
		if (bytes[size] == SEPARATOR)
			return kpi_path_from_bytes(bytes, size);
	return NULL;
}

int
kpi_path_common_size(const char *a, int a_size, const char *b, int b_size)
{
	int			shorter = Min(a_size, b_size);
	int			common = 0;

	for (int i = 0; i < shorter; i++)
	{
		if (a[i] != b[i])
			return common;
		if (a[i] == SEPARATOR)
			common = i;
	}
	/* one is a prefix of the other: whole only if the longer one's label ends here */
	if (a_size == b_size || (a_size > b_size ? a : b)[shorter] == SEPARATOR)
		return shorter;
	return common;
}

KpiPath *
kpi_path_join(const KpiPath *a, const KpiPath *b)
{
	int			a_size = KPI_PATH_SIZE(a);
	int			b_size = KPI_PATH_SIZE(b);
	KpiPath    *path;

	if (kpi_path_depth(a) + kpi_path_depth(b) > KPI_PATH_MAX_DEPTH)
		return NULL;

	path = (KpiPath *) palloc(VARHDRSZ + a_size + 1 + b_size);
	SET_VARSIZE(path, VARHDRSZ + a_size + 1 + b_size);
	memcpy(VARDATA(path), KPI_PATH_BYTES(a), a_size);
	VARDATA(path)[a_size] = SEPARATOR;
	memcpy(VARDATA(path) + a_size + 1, KPI_PATH_BYTES(b), b_size);
	return path;
}

KpiPath *
kpi_path_subtree_end(const KpiPath *path)
{
	int			size = KPI_PATH_SIZE(path);
	KpiPath    *bound = (KpiPath *) palloc(VARHDRSZ + size + 1);

	SET_VARSIZE(bound, VARHDRSZ + size + 1);
	memcpy(VARDATA(bound), KPI_PATH_BYTES(path), size);
	VARDATA(bound)[size] = LOWEST_LABEL_BYTE;
	return bound;
}
