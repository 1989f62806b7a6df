/*
 * store_pending.c
 *		The way to the pending changes, and to the cursor that tells which of
 *		them are in the cells.
 *
 * The cursor:  kpi.fold_state holds the snapshot of the last fold.  A pending
 * row is not in the cells when its transaction is not visible in that
 * snapshot:
 *
 *		xid >= xmax, or xid in progress then, or xid = own and own < xmax
 *
 * and is not one of the folder's own rows that it took along (xid = own and
 * seq <= upto).  The folding transaction's own xid is never in its snapshot's
 * list of running ones, but may lie on either side of xmax: hence the third
 * condition.
 *
 * kpi.fold_state is an ordinary row that each fold replaces; beside an old
 * snapshot its dead versions stay.  The index on the number of folds, read
 * from its end, leads to the newest without passing them.
 *
 * A part of what is pending is cut off at a whole transaction: rows of
 * transactions from the cut on stay pending, and the snapshot remembered ends
 * there.  The cut never lies
 *		below the old xmax: what the old snapshot covered would be uncovered;
 *		at or below the last folder's xid, if it took rows of its own along: so would they;
 *		at or below a change of units, measures, KPIs or links: the graph is that
 *		of the whole snapshot, and cells are to match it.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "columns.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "store_cells.h"
#include "store_tables.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

/* ------------------------------------------------------------------------
 * The cursor
 * ------------------------------------------------------------------------ */

uint64
kpi_store_full_xid(TransactionId xid)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch, xid));
}

/* the stored form of pg_snapshot (xid8funcs.c), which the server does not export */
typedef struct StoredSnapshot
{
	int32		vl_len_;
	uint32		nxip;
	FullTransactionId xmin;
	FullTransactionId xmax;
	FullTransactionId xip[FLEXIBLE_ARRAY_MEMBER];
} StoredSnapshot;

enum {STATE_SNAP = 1, STATE_OWN, STATE_UPTO, STATE_PURGED, STATE_FOLDS, STATE_EVALUATED,
	STATE_WRITTEN, STATE_FOLDED_AT, STATE_TOOK, STATE_GENERATION, STATE_GENERATIONS,
	STATE_ERA_BEGAN, STATE_ERA_FOLDS, STATE_ERAS, STATE_WINDOW_BEGAN, STATE_WINDOW_FOLDS,
	STATE_WINDOW_CELLS, STATE_EARLIER_BEGAN, STATE_EARLIER_FOLDS, STATE_EARLIER_CELLS,
	STATE_RESTORED};
#define STATE_COLUMNS	STATE_RESTORED

/* 0 where null */
static TimestampTz
time_column(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = column(slot, attribute, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}

static void
set_time(Datum *values, bool *nulls, int attribute, TimestampTz time)
{
	values[attribute - 1] = TimestampTzGetDatum(time);
	nulls[attribute - 1] = time == 0;
}

static void
read_state_row(TupleTableSlot *slot, KpiFoldState *state)
{
	bool		isnull;
	StoredSnapshot *snap = (StoredSnapshot *)
		PG_DETOAST_DATUM(column(slot, STATE_SNAP, &isnull));
	Interval   *took = DatumGetIntervalP(column(slot, STATE_TOOK, &isnull));

	state->exists = true;
	state->tid = slot->tts_tid;
	state->xmin = U64FromFullTransactionId(snap->xmin);
	state->xmax = U64FromFullTransactionId(snap->xmax);
	state->n_in_progress = snap->nxip;
	state->in_progress = palloc(sizeof(uint64) * (snap->nxip + 1));
	for (uint32 i = 0; i < snap->nxip; i++)
		state->in_progress[i] = U64FromFullTransactionId(snap->xip[i]);
	state->own = U64FromFullTransactionId(
		DatumGetFullTransactionId(column(slot, STATE_OWN, &isnull)));
	state->upto = bigint_column(slot, STATE_UPTO);
	state->purged = U64FromFullTransactionId(
		DatumGetFullTransactionId(column(slot, STATE_PURGED, &isnull)));
	state->folds = bigint_column(slot, STATE_FOLDS);
	state->cells_evaluated = bigint_column(slot, STATE_EVALUATED);
	state->cells_written = bigint_column(slot, STATE_WRITTEN);
	state->folded_at = DatumGetTimestampTz(column(slot, STATE_FOLDED_AT, &isnull));
	state->took = took->time;
	state->generation = DatumGetInt32(column(slot, STATE_GENERATION, &isnull));
	state->generations = DatumGetInt32(column(slot, STATE_GENERATIONS, &isnull));
	state->era_began = U64FromFullTransactionId(
		DatumGetFullTransactionId(column(slot, STATE_ERA_BEGAN, &isnull)));
	state->era_folds = DatumGetInt32(column(slot, STATE_ERA_FOLDS, &isnull));
	state->eras = DatumGetInt32(column(slot, STATE_ERAS, &isnull));
	state->window_began = time_column(slot, STATE_WINDOW_BEGAN);
	state->window_folds = bigint_column(slot, STATE_WINDOW_FOLDS);
	state->window_cells = bigint_column(slot, STATE_WINDOW_CELLS);
	state->earlier_began = time_column(slot, STATE_EARLIER_BEGAN);
	state->earlier_folds = bigint_column(slot, STATE_EARLIER_FOLDS);
	state->earlier_cells = bigint_column(slot, STATE_EARLIER_CELLS);
	state->restored = DatumGetBool(column(slot, STATE_RESTORED, &isnull));
}

void
kpi_store_read_state(KpiStore *store, KpiFoldState *state)
{
	static const AttrNumber columns[] = {1};
	static const StrategyNumber at_least[] = {BTGreaterEqualStrategyNumber};
	Datum		none = Int64GetDatum(0);
	KpiLookup  *lookup;
	TupleTableSlot *slot;

	/* refuses objects older than the library */
	(void) kpi_store_table(store, KPI_TABLE_CELL);
	memset(state, 0, sizeof(KpiFoldState));
	lookup = kpi_store_lookup(store, KPI_TABLE_FOLD_STATE, "fold_state_folds_idx", 1, columns, at_least);
	kpi_lookup_start(lookup, &none);
	slot = kpi_lookup_last(lookup);
	if (slot != NULL)
		read_state_row(slot, state);
	kpi_store_set_generations(store, state->generation, state->generation);
}

void
kpi_store_write_state(KpiStore *store, const KpiFoldState *state)
{
	Relation	relation = kpi_store_table_for_writing(store, KPI_TABLE_FOLD_STATE);
	CatalogIndexState indexes = kpi_store_indexes(store, KPI_TABLE_FOLD_STATE);
	Size		size = offsetof(StoredSnapshot, xip) +
		sizeof(FullTransactionId) * state->n_in_progress;
	StoredSnapshot *snap = palloc0(size);
	Interval	took = {0};
	Datum		values[STATE_COLUMNS];
	bool		nulls[STATE_COLUMNS] = {0};
	HeapTuple	tuple;

	SET_VARSIZE(snap, size);
	snap->nxip = state->n_in_progress;
	snap->xmin = FullTransactionIdFromU64(state->xmin);
	snap->xmax = FullTransactionIdFromU64(state->xmax);
	for (int i = 0; i < state->n_in_progress; i++)
		snap->xip[i] = FullTransactionIdFromU64(state->in_progress[i]);
	took.time = state->took;

	values[STATE_SNAP - 1] = PointerGetDatum(snap);
	values[STATE_OWN - 1] = FullTransactionIdGetDatum(FullTransactionIdFromU64(state->own));
	values[STATE_UPTO - 1] = Int64GetDatum(state->upto);
	values[STATE_PURGED - 1] = FullTransactionIdGetDatum(FullTransactionIdFromU64(state->purged));
	values[STATE_FOLDS - 1] = Int64GetDatum(state->folds);
	values[STATE_EVALUATED - 1] = Int64GetDatum(state->cells_evaluated);
	values[STATE_WRITTEN - 1] = Int64GetDatum(state->cells_written);
	values[STATE_FOLDED_AT - 1] = TimestampTzGetDatum(state->folded_at);
	values[STATE_TOOK - 1] = IntervalPGetDatum(&took);
	values[STATE_GENERATION - 1] = Int32GetDatum(state->generation);
	values[STATE_GENERATIONS - 1] = Int32GetDatum(state->generations);
	values[STATE_ERA_BEGAN - 1] = FullTransactionIdGetDatum(FullTransactionIdFromU64(state->era_began));
	values[STATE_ERA_FOLDS - 1] = Int32GetDatum(state->era_folds);
	values[STATE_ERAS - 1] = Int32GetDatum(state->eras);
	set_time(values, nulls, STATE_WINDOW_BEGAN, state->window_began);
	values[STATE_WINDOW_FOLDS - 1] = Int64GetDatum(state->window_folds);
	values[STATE_WINDOW_CELLS - 1] = Int64GetDatum(state->window_cells);
	set_time(values, nulls, STATE_EARLIER_BEGAN, state->earlier_began);
	values[STATE_EARLIER_FOLDS - 1] = Int64GetDatum(state->earlier_folds);
	values[STATE_EARLIER_CELLS - 1] = Int64GetDatum(state->earlier_cells);
	values[STATE_RESTORED - 1] = BoolGetDatum(state->restored);
	tuple = kpi_store_form_row(relation, STATE_COLUMNS, values, nulls);
	if (state->exists)
	{
		ItemPointerData tid = state->tid;

		CatalogTupleUpdateWithInfo(relation, &tid, tuple, indexes);
	}
	else
		CatalogTupleInsertWithInfo(relation, tuple, indexes);
	heap_freetuple(tuple);
	pfree(snap);
}

/* ------------------------------------------------------------------------
 * Pending changes
 * ------------------------------------------------------------------------ */

enum {PENDING_SEQ = 1, PENDING_XID, PENDING_KIND, PENDING_KPI_ID, PENDING_PERIOD, PENDING_DELTA,
	PENDING_UNIT_ID, PENDING_MEASURE_ID, PENDING_SINCE, PENDING_NOTED_AT};
#define PENDING_COLUMNS	PENDING_NOTED_AT

static KpiPending *
read_pending(TupleTableSlot *slot)
{
	KpiPending *row = palloc0(sizeof(KpiPending));
	bool		isnull;
	Datum		value;

	row->kind = DatumGetChar(column(slot, PENDING_KIND, &isnull));
	row->kpi_id = bigint_column(slot, PENDING_KPI_ID);
	value = column(slot, PENDING_PERIOD, &isnull);
	row->period = isnull ? KPI_PERIOD_NONE : DatumGetKpiPeriod(value);
	value = column(slot, PENDING_DELTA, &isnull);
	row->has_delta = !isnull;
	if (row->has_delta)
		kpi_tally_unpack(PG_DETOAST_DATUM(value), &row->delta);
	row->unit_id = bigint_column(slot, PENDING_UNIT_ID);
	row->measure_id = bigint_column(slot, PENDING_MEASURE_ID);
	row->since = date_column(slot, PENDING_SINCE, DATEVAL_NOBEGIN);
	return row;
}

/*
 * Walks the rows that the state does not cover, by ranges of the index on
 * (xid, seq), so that rows it does cover are not even passed: first all
 * xid >= xmax in ascending order, then those that were in progress, and the
 * last folder's own; only the former can lie beyond a cut.
 */
typedef struct PendingScan
{
	const KpiFoldState *state;
	KpiLookup  *between;		/* first key <= xid < second */
	KpiLookup  *single;			/* xid = first key, seq > second */
	KpiLookup  *current;
	int			next;			/* the range that comes next */
	uint64		xid;			/* of the row found */
	int64		seq;
} PendingScan;

/* the ranges in turn: up to three since xmax, then those before it */
#define RANGES_SINCE_XMAX	3

static Datum
xid_datum(uint64 xid)
{
	return FullTransactionIdGetDatum(FullTransactionIdFromU64(xid));
}

static bool
is_since_xmax(const PendingScan *scan)
{
	return scan->next <= RANGES_SINCE_XMAX;
}

static bool
start_between(PendingScan *scan, uint64 from, uint64 before)
{
	Datum		keys[2] = {xid_datum(from), xid_datum(before)};

	if (from >= before)
		return false;
	scan->current = scan->between;
	kpi_lookup_start(scan->current, keys);
	return true;
}

static bool
start_single(PendingScan *scan, uint64 xid, int64 after_seq)
{
	Datum		keys[2] = {xid_datum(xid), Int64GetDatum(after_seq)};

	scan->current = scan->single;
	kpi_lookup_start(scan->current, keys);
	return true;
}

/* starts the range; false where it is empty */
static bool
start_range(PendingScan *scan, int range)
{
	const KpiFoldState *state = scan->state;
	bool		own_is_since = state->exists && state->own >= state->xmax;
	uint64		in_progress;

	switch (range)
	{
		case 0:
			return start_between(scan, state->exists ? state->xmax : 0,
								 own_is_since ? state->own : PG_UINT64_MAX);
		case 1:
			return own_is_since && start_single(scan, state->own, state->upto);
		case 2:
			return own_is_since && start_between(scan, state->own + 1, PG_UINT64_MAX);
	}
	range -= RANGES_SINCE_XMAX;
	if (range == state->n_in_progress)
		return state->exists && !own_is_since && start_single(scan, state->own, state->upto);
	in_progress = state->in_progress[range];
	return in_progress != state->own && start_single(scan, in_progress, PG_INT64_MIN);
}

static bool
next_range(PendingScan *scan)
{
	int			n = RANGES_SINCE_XMAX + (scan->state->exists ? scan->state->n_in_progress + 1 : 0);

	while (scan->next < n)
		if (start_range(scan, scan->next++))
			return true;
	return false;
}

static void
scan_pending(KpiStore *store, const KpiFoldState *state, PendingScan *scan)
{
	static const AttrNumber xid_twice[] = {1, 1};
	static const StrategyNumber between[] = {BTGreaterEqualStrategyNumber, BTLessStrategyNumber};
	static const AttrNumber xid_and_seq[] = {1, 2};
	static const StrategyNumber single[] = {BTEqualStrategyNumber, BTGreaterStrategyNumber};

	memset(scan, 0, sizeof(PendingScan));
	scan->state = state;
	scan->between = kpi_store_lookup(store, KPI_TABLE_PENDING, "pending_xid_idx", 2, xid_twice, between);
	if (state->exists)
		scan->single = kpi_store_lookup(store, KPI_TABLE_PENDING, "pending_xid_idx", 2,
										xid_and_seq, single);
	(void) next_range(scan);
}

static TupleTableSlot *
next_pending(PendingScan *scan)
{
	for (;;)
	{
		TupleTableSlot *slot = kpi_lookup_next(scan->current);
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (slot != NULL)
		{
			scan->xid = U64FromFullTransactionId(
				DatumGetFullTransactionId(column(slot, PENDING_XID, &isnull)));
			scan->seq = bigint_column(slot, PENDING_SEQ);
			return slot;
		}
		if (!next_range(scan))
			return NULL;
	}
}

List *
kpi_store_pending(KpiStore *store, const KpiFoldState *state)
{
	PendingScan scan;
	TupleTableSlot *slot;
	List	   *rows = NIL;

	scan_pending(store, state, &scan);
	while ((slot = next_pending(&scan)) != NULL)
		rows = lappend(rows, read_pending(slot));
	return rows;
}

int64
kpi_store_count_pending(KpiStore *store, const KpiFoldState *state, int64 limit, int64 *oldest)
{
	PendingScan scan;
	TupleTableSlot *slot;
	int64		n = 0;

	*oldest = 0;
	scan_pending(store, state, &scan);
	while ((limit == 0 || n < limit) && (slot = next_pending(&scan)) != NULL)
	{
		TimestampTz noted = time_column(slot, PENDING_NOTED_AT);

		n++;
		if (noted != 0 && (*oldest == 0 || noted < *oldest))
			*oldest = noted;
	}
	return n;
}

int64
kpi_store_estimate_pending(KpiStore *store, const KpiFoldState *state, int64 limit)
{
	PendingScan scan;
	int64		n = 0;

	scan_pending(store, state, &scan);
	do
	{
		while (n < limit && kpi_lookup_pass(scan.current))
		{
			CHECK_FOR_INTERRUPTS();
			n++;
		}
	} while (n < limit && next_range(&scan));
	return n;
}

/* no cut may lie below this */
static uint64
lowest_cut(KpiStore *store, const KpiFoldState *state)
{
	uint64		lowest = state->exists ? state->xmax : 0;
	PendingScan scan;
	TupleTableSlot *slot;

	if (state->exists && state->upto > 0)
		lowest = Max(lowest, state->own + 1);
	scan_pending(store, state, &scan);
	while ((slot = next_pending(&scan)) != NULL)
	{
		bool		isnull;
		char		kind = DatumGetChar(column(slot, PENDING_KIND, &isnull));

		/* whoever looks at all facts has to take all changes of them along */
		if (kind == KPI_PENDING_EVERYTHING)
			return PG_UINT64_MAX;
		if (kind != KPI_PENDING_ADDED && kind != KPI_PENDING_REMOVED && kind != KPI_PENDING_TARGET)
			lowest = Max(lowest, scan.xid + 1);
	}
	return lowest;
}

void
kpi_store_take_pending(KpiStore *store, const KpiFoldState *state, uint64 own, int64 limit,
					   KpiPendingPart *part)
{
	uint64		lowest = 0;
	uint64		last_taken = 0;
	int64		n = 0;
	PendingScan scan;
	TupleTableSlot *slot;
	KpiPending *row;

	memset(part, 0, sizeof(KpiPendingPart));
	scan_pending(store, state, &scan);
	while ((slot = next_pending(&scan)) != NULL)
	{
		/* rows since xmax come by xid, so the first beyond the limit is where to cut */
		if (limit > 0 && part->cut == 0 && n >= limit && is_since_xmax(&scan))
		{
			if (lowest == 0)
				lowest = lowest_cut(store, state);
			if (scan.xid >= lowest && scan.xid > last_taken)
				part->cut = scan.xid;
		}
		if (part->cut != 0 && scan.xid >= part->cut)
		{
			/* the rest of those since xmax is left */
			scan.next = Max(scan.next, RANGES_SINCE_XMAX);
			if (!next_range(&scan))
				break;
			continue;
		}
		/* a transaction is taken as a whole */
		if (is_since_xmax(&scan))
			last_taken = scan.xid;
		row = read_pending(slot);
		if (scan.xid == own)
		{
			part->own_upto = Max(part->own_upto, scan.seq);
			part->own_everything |= row->kind == KPI_PENDING_EVERYTHING;
		}
		part->rows = lappend(part->rows, row);
		n++;
	}
}

int64
kpi_store_pending_bound(KpiStore *store)
{
	/* a row is never smaller than its header, seq, xid and its line pointer */
	const int	smallest = MAXALIGN(SizeofHeapTupleHeader) + 2 * sizeof(int64) + sizeof(ItemIdData);

	return (int64) RelationGetNumberOfBlocks(kpi_store_table(store, KPI_TABLE_PENDING)) *
		(BLCKSZ / smallest);
}

void
kpi_store_purge(KpiStore *store, uint64 from, uint64 before)
{
	static const AttrNumber columns[] = {1, 1};
	static const StrategyNumber between[] = {BTGreaterEqualStrategyNumber, BTLessStrategyNumber};
	Relation	relation = kpi_store_table_for_writing(store, KPI_TABLE_PENDING);
	KpiLookup  *lookup = kpi_store_lookup(store, KPI_TABLE_PENDING, "pending_xid_idx", 2,
										  columns, between);
	Datum		keys[2];
	TupleTableSlot *slot;

	if (before <= from)
		return;
	keys[0] = xid_datum(from);
	keys[1] = xid_datum(before);
	kpi_lookup_start(lookup, keys);
	while ((slot = kpi_lookup_next(lookup)) != NULL)
		simple_heap_delete(relation, &slot->tts_tid);
}

#define APPEND_TUPLES	500		/* formed at a time */

void
kpi_store_append(const KpiPending *rows, int n)
{
	static int64 seq = 0;		/* never repeats within a transaction */
	Relation	relation = table_open(kpi_store_relation("pending"), RowExclusiveLock);
	CatalogIndexState indexes = n == 1 ? NULL : kpi_store_open_indexes(relation);
	Datum		xid = FullTransactionIdGetDatum(GetTopFullTransactionId());
	HeapTuple	tuples[APPEND_TUPLES];
	int			formed = 0;

	for (int i = 0; i < n; i++)
	{
		const KpiPending *row = &rows[i];
		Datum		values[PENDING_COLUMNS] = {0};
		bool		nulls[PENDING_COLUMNS] = {0};
		struct varlena *delta = NULL;

		values[PENDING_SEQ - 1] = Int64GetDatum(++seq);
		values[PENDING_XID - 1] = xid;
		values[PENDING_KIND - 1] = CharGetDatum((char) row->kind);
		values[PENDING_KPI_ID - 1] = Int64GetDatum(row->kpi_id);
		nulls[PENDING_KPI_ID - 1] = row->kpi_id == 0;
		values[PENDING_PERIOD - 1] = KpiPeriodGetDatum(row->period);
		nulls[PENDING_PERIOD - 1] = row->period == KPI_PERIOD_NONE;
		nulls[PENDING_DELTA - 1] = !row->has_delta;
		if (row->has_delta)
		{
			delta = kpi_tally_pack(&row->delta);
			values[PENDING_DELTA - 1] = PointerGetDatum(delta);
		}
		values[PENDING_UNIT_ID - 1] = Int64GetDatum(row->unit_id);
		nulls[PENDING_UNIT_ID - 1] = row->unit_id == 0;
		values[PENDING_MEASURE_ID - 1] = Int64GetDatum(row->measure_id);
		nulls[PENDING_MEASURE_ID - 1] = row->measure_id == 0;
		values[PENDING_SINCE - 1] = DateADTGetDatum(row->since);
		nulls[PENDING_SINCE - 1] = row->since == DATEVAL_NOBEGIN;
		values[PENDING_NOTED_AT - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		tuples[formed] = kpi_store_form_row(relation, PENDING_COLUMNS, values, nulls);
		if (n == 1)
			kpi_store_insert_one(relation, tuples[0], PENDING_COLUMNS, values, nulls);
		else if (++formed == APPEND_TUPLES || i == n - 1)
		{
			/* which frees them */
			kpi_store_insert(relation, indexes, tuples, formed);
			formed = 0;
		}
		if (delta != NULL)
			pfree(delta);
	}
	if (indexes != NULL)
		CatalogCloseIndexes(indexes);
	table_close(relation, NoLock);
	CommandCounterIncrement();
}
