/*
 * closed.h
 *		What is closed, and whether a change would change it.
 */
#ifndef KPI_CLOSED_H
#define KPI_CLOSED_H

#include "store_closes.h"

/* closed.c: what a close covers, and facts */
/* may a change concern any of these closes?  Takes no look at any table. */
extern bool kpi_closed_may_concern(const KpiClose *closes, int n, const KpiPending *row);
/* does the period lie inside the closed one? */
extern bool kpi_closed_encloses(const KpiClose *close, KpiPeriod period);

/* the closes in force, and the tables, as they are now */
typedef struct KpiClosedView
{
	MemoryContext context;
	MemoryContext caller;
	Snapshot	snapshot;
	KpiStore   *store;
	KpiGraph   *graph;			/* NULL until somebody asks the store for it */
	KpiClose   *closes;
	int			n_closes;
} KpiClosedView;
/* what has to be locked is locked; in between the view's context is the current one */
extern void kpi_closed_begin(KpiClosedView *view);
extern void kpi_closed_end(KpiClosedView *view);
/* the close that keeps a cell as it is, or NULL; needs the graph */
extern const KpiClose *kpi_closed_by(const KpiClosedView *view, int kpi, KpiPeriod period);
/* how to open the period again */
extern char *kpi_closed_hint(KpiClosedView *view, const KpiClose *close);

/* refuses facts that are closed, or count in a cell that is */
extern void kpi_closed_check_facts(const KpiPending *rows, int n);

/* reported.c: all other changes */
/*
 * Refuses what is pending if it would change a closed cell.  placements: those
 * of the changes that are of units' places (KpiPending).  is_dated: the changes
 * could begin on another day, and the hint says so.
 */
extern void kpi_reported_check(List *placements, bool is_dated);

#endif							/* KPI_CLOSED_H */
