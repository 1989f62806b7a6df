/*
 * path.h
 *		kpi_path: the place of a unit in its organisation, acme.sales.emea.
 *
 * Layout: a varlena whose bytes are the labels, with one zero byte between
 * two of them (the dot of the text form) and none at the end:
 *
 *		a c m e \0 s a l e s \0 e m e a
 *
 * A zero byte sorts below every byte that a label may hold ('-', 0x2D, is the
 * lowest), and memcmp knows no locale.  So comparing the bytes, the shorter
 * one first where one is a prefix of the other, is depth-first order on every
 * server: a parent comes right before its subtree, and the subtree is one
 * unbroken range.  The dot itself would not do: it sorts above '-', which
 * would put acme-old between acme and acme.sales.
 *
 * Equal paths have equal bytes, so hashing and comparing bytes is exact.  A
 * prefix that ends before a zero byte, or at the end, is an ancestor: parent,
 * subpath and common ancestor copy bytes and never look at characters.
 *
 * Pure: no SQL, no catalog access, no errors raised.  Results are palloc'd in
 * CurrentMemoryContext; arguments may have short headers.
 */
#ifndef KPI_PATH_H
#define KPI_PATH_H

#include "postgres.h"

#include "compat.h"
#include "fmgr.h"

typedef struct varlena KpiPath;

#define KPI_PATH_MAX_DEPTH			64
#define KPI_PATH_MAX_LABEL_BYTES	63

#define KPI_PATH_BYTES(path)		VARDATA_ANY(path)
#define KPI_PATH_SIZE(path)			((int) VARSIZE_ANY_EXHDR(path))

#define DatumGetKpiPath(X)			((KpiPath *) PG_DETOAST_DATUM_PACKED(X))
#define KpiPathGetDatum(X)			PointerGetDatum(X)
#define PG_GETARG_KPI_PATH(n)		DatumGetKpiPath(PG_GETARG_DATUM(n))
#define PG_RETURN_KPI_PATH(x)		return KpiPathGetDatum(x)

/*
 * The path written as text[0 .. length - 1]; null when it is malformed, with
 * *problem then a whole sentence that says why.
 */
extern KpiPath *kpi_path_from_text(const char *text, int length, char **problem);
/* the text form, zero-terminated */
extern char *kpi_path_to_text(const KpiPath *path);
/* do those bytes follow the layout above? (their encoding is not looked at) */
extern bool kpi_path_is_valid(const char *bytes, int size);

/* less than, equal to or greater than 0, in depth-first order */
extern int	kpi_path_compare(const KpiPath *a, const KpiPath *b);
/* is ancestor an ancestor of path, or equal to it? */
extern bool kpi_path_contains(const KpiPath *ancestor, const KpiPath *path);

extern int	kpi_path_depth(const KpiPath *path);
/*
 * Labels first to last, counted from 1, or from the end where negative; null
 * unless both exist and first does not come after last.
 */
extern KpiPath *kpi_path_subpath(const KpiPath *path, int first, int last);
/* null for a root */
extern KpiPath *kpi_path_parent(const KpiPath *path);
/*
 * The length of the longest prefix of a that is an ancestor of both a and b,
 * or equal to them; 0 where they have none in common.  Either may be empty.
 */
extern int	kpi_path_common_size(const char *a, int a_size, const char *b, int b_size);
/* a path from the first size bytes of a valid one, which end at a label's end */
extern KpiPath *kpi_path_from_bytes(const char *bytes, int size);

/* the labels of a, then those of b; null when they are more than KPI_PATH_MAX_DEPTH */
extern KpiPath *kpi_path_join(const KpiPath *a, const KpiPath *b);
/*
 * What keeps those bytes from being a label: null, or the rest of a sentence
 * that starts with the label's name.
 */
extern char *kpi_path_label_problem(const char *bytes, int length);

/*
 * The lowest value above path and its whole subtree: its last label with one
 * '-' more, '-' being the lowest byte of a label.  No path lies between.  For
 * a last label of KPI_PATH_MAX_LABEL_BYTES it is one byte too long to be a
 * path: a bound to compare with, not a value to keep.
 */
extern KpiPath *kpi_path_subtree_end(const KpiPath *path);

#endif							/* KPI_PATH_H */
