/*
 * tally.h
 *		kpi_tally: an exact, mergeable summary of observations.
 *
 * An observation is a value v with a weight w.  A tally holds n, the sums of
 * v, w and v*w, the smallest and largest v, and whether those extremes are
 * known (a difference of tallies cannot know them).  n is a numeric, because
 * scaling a tally scales n too.
 *
 * Two forms: the working struct below, used while computing, and the frozen,
 * versioned varlena on disk and on the wire (layout in tally.c).
 *
 * Pure: no SQL, no catalog access.
 */
#ifndef KPI_TALLY_H
#define KPI_TALLY_H

#include "postgres.h"
#include "number.h"

/* The first two bytes of the disk and wire forms; explained in tally.c. */
#define KPI_TALLY_VERSION			1

#define KPI_TALLY_EXTREMES_UNKNOWN	0x01
#define KPI_TALLY_HAS_EXTREMES		0x02
#define KPI_TALLY_WEIGHT_IS_N		0x04
#define KPI_TALLY_PRODUCT_IS_VALUE	0x08
#define KPI_TALLY_ONE_EXTREME		0x10
#define KPI_TALLY_ALL_FLAGS			0x1F

typedef struct KpiTally
{
	Numeric		n;				/* number of observations, scaled with the tally */
	Numeric		sum_value;
	Numeric		sum_weight;
	Numeric		sum_product;	/* of value * weight */
	Numeric		minimum;		/* NULL where unknown or where nothing was observed */
	Numeric		maximum;
	bool		extremes_unknown;
} KpiTally;

/* the empty tally: n and sums 0, no extremes */
extern void kpi_tally_init(KpiTally *tally);
/* frees the numerics a working tally owns, not the struct */
extern void kpi_tally_free(KpiTally *tally);
/* copies from to into, allocating in CurrentMemoryContext */
extern void kpi_tally_copy(KpiTally *into, const KpiTally *from);
/* adds one observation; frees what it replaces */
extern void kpi_tally_observe(KpiTally *tally, Numeric value, Numeric weight);
/* into += from; extremes become unknown if either's are; frees what it replaces */
extern void kpi_tally_merge(KpiTally *into, const KpiTally *from);
/* into -= from; afterwards the extremes of into are unknown; frees what it replaces */
extern void kpi_tally_subtract(KpiTally *into, const KpiTally *from);
/* multiplies n and the sums; extremes stay as they are; frees what it replaces */
extern void kpi_tally_scale(KpiTally *tally, Numeric factor);
/* same figures and same flag */
extern bool kpi_tally_equal(const KpiTally *a, const KpiTally *b);

/* some total order in which only equal tallies compare as 0: <0, 0, >0 */
extern int	kpi_tally_compare(const KpiTally *a, const KpiTally *b);

/* the text form in a palloc'd string, and back: false on malformed input, no error */
extern char *kpi_tally_to_text(const KpiTally *tally);
extern bool kpi_tally_from_text(const char *text, KpiTally *tally);

/* the disk form (a palloc'd varlena), and back; reading allocates in CurrentMemoryContext */
extern struct varlena *kpi_tally_pack(const KpiTally *tally);
extern void kpi_tally_unpack(const struct varlena *packed, KpiTally *tally);

#endif							/* KPI_TALLY_H */
