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
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "store.h"
#include "store_columns.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

/* ------------------------------------------------------------------------
 * The cursor
 * ------------------------------------------------------------------------ */

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
	STATE_WRITTEN, STATE_FOLDED_AT, STATE_TOOK};
#define STATE_COLUMNS	STATE_TOOK

static void
read_state_row(void *context, TupleTableSlot *slot)
{
	KpiFoldState *state = context;
	bool		isnull;
	StoredSnapshot *snap = (StoredSnapshot *)
		PG_DETOAST_DATUM(column(slot, STATE_SNAP, &isnull));
	Interval   *took = DatumGetIntervalP(column(slot, STATE_TOOK, &isnull));

	if (state->exists)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("kpi.fold_state has more than one row"),
				 errhint("Run kpi.rebuild().")));
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
}

void
kpi_store_read_state(KpiStore *store, KpiFoldState *state)
{
	memset(state, 0, sizeof(KpiFoldState));
	kpi_store_scan(store, KPI_TABLE_FOLD_STATE, read_state_row, state);
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
	tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);
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
	PENDING_UNIT_ID, PENDING_MEASURE_ID, PENDING_SINCE};
#define PENDING_COLUMNS	PENDING_SINCE

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

typedef struct PendingScan
{
	const KpiFoldState *state;
	uint64		own;
	int64	   *own_upto;
	int			limit;
	List	   *rows;
} PendingScan;

/* takes the uncovered rows the lookup finds; false once the limit is reached */
static bool
take_pending(PendingScan *scan, KpiLookup *lookup, Datum key)
{
	TupleTableSlot *slot;

	kpi_lookup_start(lookup, &key);
	while ((slot = kpi_lookup_next(lookup)) != NULL)
	{
		bool		isnull;
		uint64		xid = U64FromFullTransactionId(
			DatumGetFullTransactionId(column(slot, PENDING_XID, &isnull)));
		int64		seq = bigint_column(slot, PENDING_SEQ);

		CHECK_FOR_INTERRUPTS();
		if (scan->state->exists && xid == scan->state->own && seq <= scan->state->upto)
			continue;
		if (xid == scan->own && seq > *scan->own_upto)
			*scan->own_upto = seq;
		scan->rows = lappend(scan->rows, read_pending(slot));
		if (scan->limit > 0 && list_length(scan->rows) >= scan->limit)
			return false;
	}
	return true;
}

static Datum
xid_datum(uint64 xid)
{
	return FullTransactionIdGetDatum(FullTransactionIdFromU64(xid));
}

List *
kpi_store_pending(KpiStore *store, const KpiFoldState *state, uint64 own, int64 *own_upto, int limit)
{
	static const AttrNumber columns[] = {1};
	static const StrategyNumber at_least[] = {BTGreaterEqualStrategyNumber};
	static const StrategyNumber equal[] = {BTEqualStrategyNumber};
	PendingScan scan = {state, own, own_upto, limit, NIL};
	KpiLookup  *lookup;

	*own_upto = 0;
	lookup = kpi_store_lookup(store, KPI_TABLE_PENDING, "pending_xid_idx", 1, columns, at_least);
	if (!take_pending(&scan, lookup, xid_datum(state->exists ? state->xmax : 0)) || !state->exists)
		return scan.rows;
	if (state->n_in_progress == 0 && state->own >= state->xmax)
		return scan.rows;

	lookup = kpi_store_lookup(store, KPI_TABLE_PENDING, "pending_xid_idx", 1, columns, equal);
	for (int i = 0; i < state->n_in_progress; i++)
		if (state->in_progress[i] != state->own &&
			!take_pending(&scan, lookup, xid_datum(state->in_progress[i])))
			return scan.rows;
	if (state->own < state->xmax)
		take_pending(&scan, lookup, xid_datum(state->own));
	return scan.rows;
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

void
kpi_store_append(const KpiPending *rows, int n)
{
	static int64 seq = 0;		/* never repeats within a transaction */
	Relation	relation = table_open(kpi_store_relation("pending"), RowExclusiveLock);
	CatalogIndexState indexes = CatalogOpenIndexes(relation);
	Datum		xid = FullTransactionIdGetDatum(GetTopFullTransactionId());
	HeapTuple  *tuples = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(HeapTuple) * n);

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
		tuples[i] = heap_form_tuple(RelationGetDescr(relation), values, nulls);
		if (delta != NULL)
			pfree(delta);
	}
	kpi_store_insert(relation, indexes, tuples, n);
	pfree(tuples);
	CatalogCloseIndexes(indexes);
	table_close(relation, NoLock);
	CommandCounterIncrement();
}
