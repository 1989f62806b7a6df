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

/* the disk form (a palloc'd varlena), and back; reading allocates in CurrentMemoryContext */
extern struct varlena *kpi_tally_pack(const KpiTally *tally);
extern void kpi_tally_unpack(const struct varlena *packed, KpiTally *tally);

#endif							/* KPI_TALLY_H */
