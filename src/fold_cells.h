/*
 * fold_cells.h
 *		Writing what a fold's cascade found.
 */
#ifndef KPI_FOLD_CELLS_H
#define KPI_FOLD_CELLS_H

#include "cascade.h"
#include "utils/timestamp.h"

/*
 * Writes the cells that changed, and what became of their status; returns how
 * many cells.  fold: its number; begun: when it began.
 */
extern int64 kpi_fold_write_cells(KpiStore *store, KpiCascade *cascade, int64 fold,
								  TimestampTz begun, bool restored);

#endif							/* KPI_FOLD_CELLS_H */
