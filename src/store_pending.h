/*
 * store_pending.h
 *		Pending changes, and the cursor that tells which are in the cells.
 */
#ifndef KPI_STORE_PENDING_H
#define KPI_STORE_PENDING_H

#include "store.h"
#include "storage/itemptr.h"

/* what a pending row says; the letters of kpi.pending.kind */
typedef enum KpiPendingKind
{
	KPI_PENDING_ADDED = 'f',
	KPI_PENDING_REMOVED = 'r',
	KPI_PENDING_TARGET = 't',
	KPI_PENDING_KPI = 'k',
	KPI_PENDING_LINK = 'i',
	KPI_PENDING_GROWTH_LINK = 'g',
	KPI_PENDING_PLACEMENT = 'p',
	KPI_PENDING_VALIDITY = 'v',
	KPI_PENDING_MEASURE = 'm',
	KPI_PENDING_EVERYTHING = 'a'
} KpiPendingKind;

typedef struct KpiPending
{
	KpiPendingKind kind;
	int64		kpi_id;			/* ids are 0 and since is DATEVAL_NOBEGIN where null */
	KpiPeriod	period;
	bool		has_delta;
	KpiTally	delta;
	int64		unit_id;
	int64		measure_id;
	DateADT		since;
} KpiPending;

/* the row of kpi.fold_state */
typedef struct KpiFoldState
{
	bool		exists;
	ItemPointerData tid;
	uint64		xmin;
	uint64		xmax;
	int			n_in_progress;
	uint64	   *in_progress;	/* ascending */
	uint64		own;
	int64		upto;
	uint64		purged;
	int64		folds;
	int64		cells_evaluated;
	int64		cells_written;
	int64		folded_at;		/* TimestampTz */
	int64		took;			/* microseconds */
	/* store_cells.c says what these are for */
	int			generation;
	int			generations;
	uint64		era_began;
	int			era_folds;
	int			eras;
	int			former_generation;	/* not stored: before this fold */
	/* two stretches of time that rates are measured over; times are 0 where null */
	int64		window_began;
	int64		window_folds;
	int64		window_cells;
	int64		earlier_began;
	int64		earlier_folds;
	int64		earlier_cells;
	bool		restored;		/* are cells from folds that kept no statuses? */
} KpiFoldState;

extern void kpi_store_read_state(KpiStore *store, KpiFoldState *state);
extern void kpi_store_write_state(KpiStore *store, const KpiFoldState *state);
/* the pending changes that are not in the cells, in no particular order; a list of KpiPending */
extern List *kpi_store_pending(KpiStore *store, const KpiFoldState *state);
/*
 * How many there are, up to a limit (0: none), and since when the oldest of
 * those counted waits (TimestampTz; 0 where there is none).
 */
extern int64 kpi_store_count_pending(KpiStore *store, const KpiFoldState *state, int64 limit,
									 int64 *oldest);
/* what a fold takes of them */
typedef struct KpiPendingPart
{
	List	   *rows;			/* KpiPending */
	int64		own_upto;		/* the highest seq among the rows of transaction own; 0: none */
	bool		own_everything; /* is a change of everything among the own rows? */
	uint64		cut;			/* rows of transactions from this one on are left; 0: none are */
} KpiPendingPart;
extern void kpi_store_take_pending(KpiStore *store, const KpiFoldState *state, uint64 own,
								   int64 limit, KpiPendingPart *part);
/*
 * About how many there are, up to a limit: counted in the index, without a look
 * at the rows, so those of rolled back and of running transactions count.
 */
extern int64 kpi_store_estimate_pending(KpiStore *store, const KpiFoldState *state, int64 limit);
/* about how many rows kpi.pending could hold at most, by its size */
extern int64 kpi_store_pending_bound(KpiStore *store);
extern void kpi_store_purge(KpiStore *store, uint64 from, uint64 before);
/* appends pending rows of the current transaction */
extern void kpi_store_append(const KpiPending *rows, int n);
/* the 64-bit form of a transaction id of the recent past */
extern uint64 kpi_store_full_xid(TransactionId xid);

#endif							/* KPI_STORE_PENDING_H */
