/*
 * store_status.h
 *		Changes of status, as one fold finds them.
 */
#ifndef KPI_STORE_STATUS_H
#define KPI_STORE_STATUS_H

#include "store_cells.h"
#include "utils/timestamp.h"

#define KPI_STATUS_SEQUENCE	"status_change_status_change_id_seq"

typedef struct KpiStatusLog
{
	KpiStore   *store;
	int64		fold;			/* its number */
	int64		at;				/* TimestampTz */
	bool		all_cells;		/* are all cells computed anew? */
	bool		off;
	bool		restored;		/* do cells come from folds that kept nothing? */
	bool		looked;			/* is greatest known? */
	int64		greatest;		/* id in the table */
	int64		last_written;	/* id; 0: none */
	HeapTuple  *tuples;			/* waiting to be inserted */
	int			n;
} KpiStatusLog;
extern void kpi_store_begin_statuses(KpiStatusLog *log, KpiStore *store, int64 fold,
									 TimestampTz at, bool all_cells, bool restored);
/* what a cell becomes (NULL or not existing: no row), before it is written; at most once each */
extern void kpi_store_note_status(KpiStatusLog *log, int64 kpi_id, KpiPeriod period,
								  const KpiCell *old, const KpiCell *now);
/* writes what was not written yet; returns the last id, or 0 where nothing has changed */
extern int64 kpi_store_end_statuses(KpiStatusLog *log);

#endif							/* KPI_STORE_STATUS_H */
