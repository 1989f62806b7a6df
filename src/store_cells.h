/*
 * store_cells.h
 *		Cells, and the generations they are in.
 */
#ifndef KPI_STORE_CELLS_H
#define KPI_STORE_CELLS_H

#include "store_pending.h"

/* one row of kpi.cell; figures that do not exist are NULL */
typedef struct KpiCell
{
	bool		exists;
	ItemPointerData tid;		/* where it was read; invalid for a new one */
	int			generation;		/* as read; store_cells.c */
	int			era;
	Numeric		actual;
	Numeric		target;
	Numeric		attainment;
	Numeric		target_to_date;
	Numeric		attainment_to_date;
	Numeric		driver_score;
	Numeric		score;
	KpiStatus	status;
	Numeric		coverage;
	bool		has_tally;
	KpiTally	tally;
	bool		has_own;
	KpiTally	own;
	Numeric		coverage_sum;
	KpiPeriod	last_actual;
	bool		is_fed;			/* own facts, or data, in or beneath it */
} KpiCell;

/* one cell; false (and exists false) where there is none */
extern bool kpi_store_cell(KpiStore *store, int64 kpi_id, KpiPeriod period, KpiCell *cell);
/* calls visit for the cells of a KPI with first <= period <= last (NONE: all of them) */
typedef void (*KpiCellVisitor) (void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell);
extern void kpi_store_cells(KpiStore *store, int64 kpi_id, KpiPeriod first, KpiPeriod last,
							KpiCellVisitor visit, void *context);
/*
 * The same for those in some periods, ascending, found by one walk along the
 * index; some may be missed where there are many cells in between.
 */
extern void kpi_store_cells_among(KpiStore *store, int64 kpi_id, const KpiPeriod *periods, int n,
								  KpiCellVisitor visit, void *context);
/* the same for all cells there are, in no order */
extern void kpi_store_each_cell(KpiStore *store, KpiCellVisitor visit, void *context);
/* the distinct periods of all cells, ascending, as a list of ints */
extern List *kpi_store_periods_in_use(KpiStore *store);
/*
 * Inserts, or replaces the row at old->tid, or (now NULL or not existing)
 * deletes it.  Inserts are collected until kpi_store_flush_cells.
 */
extern void kpi_store_write_cell(KpiStore *store, int64 kpi_id, KpiPeriod period,
								 const KpiCell *old, const KpiCell *now);
extern void kpi_store_flush_cells(KpiStore *store);
/* the columns of kpi.cell as datums, for a reader that returns rows of it */
extern void kpi_store_cell_values(int64 kpi_id, KpiPeriod period, const KpiCell *cell,
								  Oid status_type, Datum *values, bool *nulls);
/* one of the figures that are numbers, by its column; raises for other columns */
extern Numeric kpi_store_cell_figure(const KpiCell *cell, int column);
/* the label of the enum kpi_status with that oid */
extern Datum kpi_store_status_datum(Oid status_type, KpiStatus status);
extern KpiStatus kpi_store_status_of_datum(Oid status_type, Datum label);
#define KPI_CELL_COLUMNS	19
#define KPI_CELL_STATUS_COLUMN	10

/*
 * The hot generation as the store's snapshot has it (-1: not known until the
 * state is read), and the one that cells are written to.
 */
extern int	kpi_store_hot_generation(KpiStore *store);
extern int	kpi_store_written_generation(KpiStore *store);
extern void kpi_store_set_generations(KpiStore *store, int hot, int written);
/* counts a fold, before it writes: which generation it writes to */
extern void kpi_store_count_era(KpiStore *store, KpiFoldState *state);
/* after it has written: leaves the generation before, if that is another */
extern void kpi_store_leave_generation(KpiStore *store, const KpiFoldState *state);

#endif							/* KPI_STORE_CELLS_H */
