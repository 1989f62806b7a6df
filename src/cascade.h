/*
 * cascade.h
 *		Evaluates changes along the graph: pending changes in, new cells out.
 *
 * A cascade works in memory on the cells that a set of changes concerns and
 * never writes; the fold writes what has changed, a reader shows it.
 */
#ifndef KPI_CASCADE_H
#define KPI_CASCADE_H

#include "store_cells.h"

typedef struct KpiCascade KpiCascade;

/* allocated in a child of the current memory context; the store must stay open */
extern KpiCascade *kpi_cascade_begin(KpiStore *store);
/* the same on a graph other than the one in force */
extern KpiCascade *kpi_cascade_begin_on(KpiStore *store, KpiGraph *graph);
/* takes note of one change */
extern void kpi_cascade_add(KpiCascade *cascade, const KpiPending *change);
/* evaluates all cells that the changes concern */
extern void kpi_cascade_run(KpiCascade *cascade);
/* how many cells were evaluated */
extern int64 kpi_cascade_evaluated(const KpiCascade *cascade);
/* was everything computed from the facts, without regard to the cells there are? */
extern bool kpi_cascade_is_complete(const KpiCascade *cascade);

/*
 * For a reader, instead of kpi_cascade_run and only if not complete: lists
 * what may change, without evaluating anything (demand.c).  After that the
 * store the cascade began with may be closed.
 */
extern void kpi_cascade_spread(KpiCascade *cascade);
extern bool kpi_cascade_lists(const KpiCascade *cascade, int64 kpi_id, KpiPeriod period);
typedef void (*KpiListedVisitor) (void *context, int64 kpi_id, KpiPeriod period);
extern void kpi_cascade_each_listed(KpiCascade *cascade, KpiListedVisitor visit, void *context);
/*
 * A listed cell as it now is (exists may be false), or NULL for others.  The
 * store must have a snapshot that sees the same rows.
 */
extern const KpiCell *kpi_cascade_demand(KpiCascade *cascade, KpiStore *store, int64 kpi_id,
										 KpiPeriod period);
/* the same, but only if it has been evaluated already; else NULL */
extern const KpiCell *kpi_cascade_evaluated_cell(const KpiCascade *cascade, int64 kpi_id,
												 KpiPeriod period);
/* evaluates all that is listed */
extern void kpi_cascade_demand_all(KpiCascade *cascade, KpiStore *store);

/*
 * Calls visit for every cell that changed, ordered by KPI and period: old as
 * stored (exists false for none), now as evaluated (exists false: goes away).
 * A complete cascade visits every cell there should be, with old as nothing.
 */
typedef void (*KpiChangeVisitor) (void *context, int64 kpi_id, KpiPeriod period,
								  const KpiCell *old, const KpiCell *now);
extern void kpi_cascade_each_change(KpiCascade *cascade, KpiChangeVisitor visit, void *context);
/* calls visit for every cell of a base period whose facts were read from the table */
typedef void (*KpiRereadVisitor) (void *context, int64 kpi_id, KpiPeriod period);
extern void kpi_cascade_each_reread(KpiCascade *cascade, KpiRereadVisitor visit, void *context);
/* the ids of KPIs that are gone and whose cells have to go, as a list of int64 pointers */
extern List *kpi_cascade_lost_kpis(KpiCascade *cascade);
/* is anything known: a tally, an actual or a score? */
extern bool kpi_cell_has_data(const KpiCell *cell);
/* are the figures of two cells the same, those kept for later differences included? */
extern bool kpi_cell_equal(const KpiCell *a, const KpiCell *b);

#endif							/* KPI_CASCADE_H */
