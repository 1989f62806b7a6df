/*
 * accumulator.h
 *		Tallies many observations fast: machine integers while they fit,
 *		numerics when they do not, exact always.
 *
 * Pure: no SQL, no catalog access.
 */
#ifndef KPI_ACCUMULATOR_H
#define KPI_ACCUMULATOR_H

#include "postgres.h"

#include "tally.h"

#ifdef HAVE_INT128
typedef int128 KpiWide;
#else
typedef int64 KpiWide;
#endif

typedef struct KpiAccumulator
{
	MemoryContext context;		/* of all numerics below */
	bool		has_tally;		/* is there anything in tally? */
	KpiTally	tally;			/* what was settled or did not fit below */

	/* Observations since, in units of 10000^-scale; nothing if n is 0. */
	int64		n;
	int			value_scale;
	int			weight_scale;
	KpiWide		sum_value;
	KpiWide		sum_weight;
	KpiWide		sum_product;	/* its scale is the sum of the two */
	KpiWide		minimum;
	KpiWide		maximum;
} KpiAccumulator;

/* an empty accumulator whose numerics live in context */
extern void kpi_accumulator_init(KpiAccumulator *accumulator, MemoryContext context);
/*
 * Adds one observation: pointers to numerics, detoasted or at least neither
 * compressed nor external; a null weight is 1.  Refuses what kpi_number_check
 * refuses, leaving the accumulator as it was.
 */
extern void kpi_accumulator_observe(KpiAccumulator *accumulator,
									struct varlena *value, struct varlena *weight);
/* merges a tally */
extern void kpi_accumulator_merge(KpiAccumulator *accumulator, const KpiTally *tally);
/* the tally so far; it belongs to the accumulator and may be changed in its context */
extern KpiTally *kpi_accumulator_settle(KpiAccumulator *accumulator);

#endif							/* KPI_ACCUMULATOR_H */
