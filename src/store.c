/*
 * store.c
 *		The way to the tables: opening them, the cursor, pending changes, and
 *		the graph cache.
 *
 * All reading happens under the one snapshot a store was opened with, through
 * fixed index scans: the planner would take a sequential scan while a table
 * is small, and keep it.  Writing goes through the access methods too, which
 * is several times faster than SPI and independent of the user's settings.
 * Relations are opened with AccessShareLock for reading and RowExclusiveLock
 * for writing, and the locks are kept to the end of the transaction, as plain
 * SQL would.
 *
 * Which pending rows are in the cells (the cursor):  kpi.fold_state holds the
 * snapshot of the last fold.  A pending row is not in the cells when its
 * transaction is not visible in that snapshot:
 *
 *		xid >= xmax, or xid in progress then, or xid = own and own < xmax
 *
 * and is not one of the folder's own rows that it took along (xid = own and
 * seq <= upto).  The folding transaction's own xid is never in its snapshot's
 * list of running ones, but may lie on either side of xmax: hence the third
 * condition.
 *
 * The graph cache is keyed by the sum of kpi.graph_version as the snapshot
 * sees it.  The rows carry random numbers, so equal sums mean equal sets; a
 * transaction that rolled back takes its row with it.  In the middle of a
 * statement that changes units, measures, KPIs or links (in a trigger, say)
 * some of its rows are there and its version is not yet: a graph built then
 * must not outlive the statement, whether that ends in its capture trigger or
 * in a rollback.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "store.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

static const char *const table_names[KPI_TABLE_COUNT] = {
	"unit", "unit_history", "measure", "kpi", "link", "fact", "target", "cell",
	"pending", "fold_state", "graph_version", "view_key"
};

struct KpiStore
{
	MemoryContext context;		/* that it was opened in: scans and tables live there */
	Snapshot	snapshot;
	Relation	tables[KPI_TABLE_COUNT];
	CatalogIndexState indexes[KPI_TABLE_COUNT];
	KpiLookup  *lookups[KPI_LOOKUP_SLOTS];
	List	   *all_lookups;
	KpiNewCells new_cells;
};

/* ------------------------------------------------------------------------
 * Opening
 * ------------------------------------------------------------------------ */

bool
kpi_store_installed(void)
{
	Oid			schema = get_namespace_oid("kpi", true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid("pending", schema));
}

Oid
kpi_store_relation(const char *name)
{
	Oid			schema = get_namespace_oid("kpi", false);
	Oid			relation = get_relname_relid(name, schema);

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"kpi.%s\" does not exist", name),
				 errhint("The extension kpi_cascade is not installed, or only in part.")));
	return relation;
}

KpiStore *
kpi_store_open(Snapshot snapshot)
{
	KpiStore   *store = palloc0(sizeof(KpiStore));

	store->context = CurrentMemoryContext;
	store->snapshot = snapshot;
	return store;
}

void
kpi_store_close(KpiStore *store)
{
	ListCell   *lc;

	foreach(lc, store->all_lookups)
		kpi_lookup_close(lfirst(lc));
	for (int i = 0; i < KPI_TABLE_COUNT; i++)
	{
		if (store->indexes[i] != NULL)
			CatalogCloseIndexes(store->indexes[i]);
		if (store->tables[i] != NULL)
			table_close(store->tables[i], NoLock);
	}
	pfree(store);
}

Snapshot
kpi_store_snapshot(KpiStore *store)
{
	return store->snapshot;
}

KpiNewCells *
kpi_store_new_cells(KpiStore *store)
{
	return &store->new_cells;
}

Relation
kpi_store_table(KpiStore *store, KpiTable table)
{
	if (store->tables[table] == NULL)
		store->tables[table] = table_open(kpi_store_relation(table_names[table]), AccessShareLock);
	return store->tables[table];
}

/* the same, for writing */
static Relation
table_for_writing(KpiStore *store, KpiTable table)
{
	Relation	relation = kpi_store_table(store, table);

	if (store->indexes[table] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(store->context);

		LockRelationOid(RelationGetRelid(relation), RowExclusiveLock);
		store->indexes[table] = CatalogOpenIndexes(relation);
		MemoryContextSwitchTo(old);
	}
	return relation;
}

void *
kpi_store_indexes(KpiStore *store, KpiTable table)
{
	(void) table_for_writing(store, table);
	return store->indexes[table];
}

/* ------------------------------------------------------------------------
 * Scanning
 * ------------------------------------------------------------------------ */

#define MAX_KEYS	3

/*
 * Access methods allocate while they scan (btree: the list of index entries
 * found dead) and keep it to the end of the scan.  So every call works in the
 * context of the lookup, never in that of whoever happens to ask.
 */
struct KpiLookup
{
	MemoryContext context;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	int			n_keys;
	ScanKeyData keys[MAX_KEYS];
};

KpiLookup **
kpi_store_lookup_slot(KpiStore *store, int which)
{
	return &store->lookups[which];
}

KpiLookup *
kpi_store_lookup(KpiStore *store, KpiTable table, const char *index, int n_keys,
				 const AttrNumber *columns, const StrategyNumber *strategies)
{
	Relation	heap = kpi_store_table(store, table);
	MemoryContext old = MemoryContextSwitchTo(store->context);
	KpiLookup  *lookup = palloc0(sizeof(KpiLookup));

	lookup->context = store->context;
	lookup->index = index_open(kpi_store_relation(index), AccessShareLock);
	lookup->n_keys = n_keys;
	for (int i = 0; i < n_keys; i++)
	{
		int			column = columns[i] - 1;
		Oid			type = lookup->index->rd_opcintype[column];
		Oid			operator = get_opfamily_member(lookup->index->rd_opfamily[column],
												   type, type, strategies[i]);

		ScanKeyInit(&lookup->keys[i], columns[i], strategies[i], get_opcode(operator), (Datum) 0);
	}
	lookup->slot = table_slot_create(heap, NULL);
	lookup->scan = kpi_index_beginscan(heap, lookup->index, store->snapshot, n_keys, 0);
	store->all_lookups = lappend(store->all_lookups, lookup);
	MemoryContextSwitchTo(old);
	return lookup;
}

void
kpi_lookup_close(KpiLookup *lookup)
{
	index_endscan(lookup->scan);
	ExecDropSingleTupleTableSlot(lookup->slot);
	index_close(lookup->index, NoLock);
}

void
kpi_lookup_start(KpiLookup *lookup, const Datum *keys)
{
	MemoryContext old = MemoryContextSwitchTo(lookup->context);

	for (int i = 0; i < lookup->n_keys; i++)
		lookup->keys[i].sk_argument = keys[i];
	index_rescan(lookup->scan, lookup->keys, lookup->n_keys, NULL, 0);
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
kpi_lookup_next(KpiLookup *lookup)
{
	MemoryContext old = MemoryContextSwitchTo(lookup->context);
	bool		found = index_getnext_slot(lookup->scan, ForwardScanDirection, lookup->slot);

	MemoryContextSwitchTo(old);
	return found ? lookup->slot : NULL;
}

void
kpi_store_scan(KpiStore *store, KpiTable table, KpiRowVisitor each, void *context)
{
	Relation	relation = kpi_store_table(store, table);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TableScanDesc scan = table_beginscan(relation, store->snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		each(context, slot);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

/* ------------------------------------------------------------------------
 * Inserting
 * ------------------------------------------------------------------------ */

#define BATCH_TUPLES	500

/*
 * Inserts tuples many at a time, and frees them.  indexes is what
 * CatalogOpenIndexes gave; none of our indexes has expressions or predicates.
 */
void
kpi_store_insert(Relation relation, void *indexes, HeapTuple *tuples, int n)
{
	ResultRelInfo *info = indexes;
	TupleTableSlot *slots[BATCH_TUPLES];
	int			made = Min(n, BATCH_TUPLES);

	for (int i = 0; i < made; i++)
		slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsHeapTuple);
	for (int done = 0; done < n; done += BATCH_TUPLES)
	{
		int			batch = Min(n - done, BATCH_TUPLES);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < batch; i++)
			ExecStoreHeapTuple(tuples[done + i], slots[i], false);
		if (batch == 1)
		{
			simple_heap_insert(relation, tuples[done]);
			slots[0]->tts_tid = tuples[done]->t_self;
		}
		else
			heap_multi_insert(relation, slots, batch, GetCurrentCommandId(true), 0, NULL);
		for (int index = 0; index < info->ri_NumIndices; index++)
		{
			Relation	index_relation = info->ri_IndexRelationDescs[index];
			Datum		values[INDEX_MAX_KEYS];
			bool		nulls[INDEX_MAX_KEYS];

			for (int i = 0; i < batch; i++)
			{
				FormIndexDatum(info->ri_IndexRelationInfo[index], slots[i], NULL, values, nulls);
				index_insert(index_relation, values, nulls, &slots[i]->tts_tid, relation,
							 index_relation->rd_index->indisunique ?
							 UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
							 false, info->ri_IndexRelationInfo[index]);
			}
		}
	}
	for (int i = 0; i < made; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	for (int i = 0; i < n; i++)
		heap_freetuple(tuples[i]);
}

static Datum
column(TupleTableSlot *slot, int attribute, bool *isnull)
{
	return slot_getattr(slot, attribute, isnull);
}

static int64
bigint_column(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = column(slot, attribute, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static DateADT
date_column(TupleTableSlot *slot, int attribute, DateADT if_null)
{
	bool		isnull;
	Datum		value = column(slot, attribute, &isnull);

	return isnull ? if_null : DatumGetDateADT(value);
}

static Numeric
number_column(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = column(slot, attribute, &isnull);

	return isnull ? NULL : kpi_number_trim(DatumGetNumeric(value));
}

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
	Relation	relation = table_for_writing(store, KPI_TABLE_FOLD_STATE);
	CatalogIndexState indexes = store->indexes[KPI_TABLE_FOLD_STATE];
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
	Relation	relation = table_for_writing(store, KPI_TABLE_PENDING);
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

/* ------------------------------------------------------------------------
 * The graph
 * ------------------------------------------------------------------------ */

static void
append_version(uint64 version)
{
	Relation	relation = table_open(kpi_store_relation("graph_version"), RowExclusiveLock);
	Datum		values[1] = {Int64GetDatum((int64) version)};
	bool		nulls[1] = {false};
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);

	simple_heap_insert(relation, tuple);
	heap_freetuple(tuple);
	table_close(relation, NoLock);
	CommandCounterIncrement();
}

static MemoryContext graph_context = NULL;	/* NULL: no graph is cached */
static KpiGraph *cached_graph;
static uint64 cached_version;
static Oid	cached_installation;	/* a table's, tells one installation from the next */
static bool graph_is_tentative; /* built in this transaction, after it wrote */

static void
forget_graph(void)
{
	if (graph_context != NULL)
		MemoryContextDelete(graph_context);
	graph_context = NULL;
}

void
kpi_store_settle_graph(bool keep)
{
	if (graph_is_tentative && !keep)
		forget_graph();
	graph_is_tentative = false;
}

void
kpi_store_touch_graph(void)
{
	uint64		version;

	kpi_store_settle_graph(false);
	if (!pg_strong_random(&version, sizeof(version)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	append_version(version);
}

typedef struct VersionScan
{
	uint64		sum;
	int			rows;
	Relation	delete_from;	/* NULL: only add up */
} VersionScan;

static void
visit_version(void *context, TupleTableSlot *slot)
{
	VersionScan *scan = context;

	scan->sum += (uint64) bigint_column(slot, 1);
	scan->rows++;
	if (scan->delete_from != NULL)
		simple_heap_delete(scan->delete_from, &slot->tts_tid);
}

void
kpi_store_compact_versions(KpiStore *store)
{
	VersionScan scan = {0};

	kpi_store_scan(store, KPI_TABLE_GRAPH_VERSION, visit_version, &scan);
	if (scan.rows < 32)
		return;
	memset(&scan, 0, sizeof(scan));
	scan.delete_from = table_for_writing(store, KPI_TABLE_GRAPH_VERSION);
	kpi_store_scan(store, KPI_TABLE_GRAPH_VERSION, visit_version, &scan);
	append_version(scan.sum);
}

/* rows of one table, collected in an array that grows */
typedef struct Collector
{
	void	   *rows;
	int			n;
	int			room;
} Collector;

static void *
next_row(Collector *collector, Size size)
{
	void	   *row;

	if (collector->n == collector->room)
	{
		collector->room = collector->room ? collector->room * 2 : 64;
		collector->rows = collector->rows ?
			repalloc_huge(collector->rows, size * collector->room) :
			MemoryContextAllocHuge(CurrentMemoryContext, size * collector->room);
	}
	row = (char *) collector->rows + size * collector->n++;
	memset(row, 0, size);
	return row;
}

/* the position of the word in a list of words */
static int
word_column(TupleTableSlot *slot, int attribute, const char *const *words)
{
	bool		isnull;
	char	   *word = TextDatumGetCString(column(slot, attribute, &isnull));

	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], word) == 0)
		{
			pfree(word);
			return i;
		}
	elog(ERROR, "unknown word \"%s\"", word);
	return 0;					/* keep compilers quiet */
}

static const char *const directions[] = {"higher", "lower", NULL};
static const char *const rollups[] = {"sum", "mean", "weighted_mean", "ratio", "min", "max",
	"count", "none", NULL};
static const char *const time_rollups[] = {"pool", "last", "mean", NULL};
static const char *const scorings[] = {"ratio", "progress", "range", "step", "curve", NULL};
static const char *const driver_rollups[] = {"mean", "min", "max", NULL};
static const char *const missing_children[] = {"exclude", "zero", "require", NULL};
static const char *const contributions[] = {"value", "numerator", "denominator", "growth",
	"score", "aligned", NULL};

const char *
kpi_store_contributes_word(KpiContributes contributes)
{
	return contributions[contributes];
}

const char *
kpi_store_rollup_word(KpiRollup rollup)
{
	return rollups[rollup];
}

const char *
kpi_store_time_rollup_word(KpiTimeRollup time_rollup)
{
	return time_rollups[time_rollup];
}

KpiGrain
kpi_store_grain_of(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = column(slot, KPI_MEASURE_GRAIN, &isnull);
	char	   *label = DatumGetCString(DirectFunctionCall1(enum_out, value));
	KpiGrain	grain = kpi_grain_from_name(label);

	pfree(label);
	return grain;
}

int
kpi_store_fiscal_start_of(TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetInt16(column(slot, KPI_MEASURE_FISCAL_START, &isnull));
}

static void
collect_measure(void *context, TupleTableSlot *slot)
{
	KpiMeasure *row = next_row(context, sizeof(KpiMeasure));
	bool		isnull;

	row->measure_id = bigint_column(slot, KPI_MEASURE_ID);
	row->direction = word_column(slot, KPI_MEASURE_DIRECTION, directions);
	row->rollup = word_column(slot, KPI_MEASURE_ROLLUP, rollups);
	row->time_rollup = word_column(slot, KPI_MEASURE_TIME_ROLLUP, time_rollups);
	row->scoring = word_column(slot, KPI_MEASURE_SCORING, scorings);
	row->driver_rollup = word_column(slot, KPI_MEASURE_DRIVER_ROLLUP, driver_rollups);
	row->missing_child = word_column(slot, KPI_MEASURE_MISSING_CHILD, missing_children);
	row->grain = kpi_store_grain_of(slot);
	row->fiscal_start = kpi_store_fiscal_start_of(slot);
	row->rolls_up = DatumGetBool(column(slot, KPI_MEASURE_ROLLS_UP, &isnull));
	row->apply_share = DatumGetBool(column(slot, KPI_MEASURE_APPLY_SHARE, &isnull));
	row->multiplier = number_column(slot, KPI_MEASURE_MULTIPLIER);
	row->score_floor = number_column(slot, KPI_MEASURE_SCORE_FLOOR);
	row->score_cap = number_column(slot, KPI_MEASURE_SCORE_CAP);
	row->result_weight = number_column(slot, KPI_MEASURE_RESULT_WEIGHT);
	row->at_risk_from = number_column(slot, KPI_MEASURE_AT_RISK_FROM);
	row->on_track_from = number_column(slot, KPI_MEASURE_ON_TRACK_FROM);
	row->exceeded_from = number_column(slot, KPI_MEASURE_EXCEEDED_FROM);
}

static void
collect_unit(void *context, TupleTableSlot *slot)
{
	KpiUnit    *row = next_row(context, sizeof(KpiUnit));

	row->unit_id = bigint_column(slot, KPI_UNIT_ID);
	row->valid_from = date_column(slot, KPI_UNIT_VALID_FROM, DATEVAL_NOBEGIN);
	row->valid_to = date_column(slot, KPI_UNIT_VALID_TO, DATEVAL_NOEND);
}

static void
collect_placement(void *context, TupleTableSlot *slot)
{
	KpiPlacement *row = next_row(context, sizeof(KpiPlacement));

	row->unit_id = bigint_column(slot, KPI_HISTORY_UNIT_ID);
	row->effective_from = date_column(slot, KPI_HISTORY_EFFECTIVE_FROM, DATEVAL_NOBEGIN);
	row->parent_unit_id = bigint_column(slot, KPI_HISTORY_PARENT);
	row->share = number_column(slot, KPI_HISTORY_SHARE);
}

static void
collect_kpi(void *context, TupleTableSlot *slot)
{
	KpiKpi	   *row = next_row(context, sizeof(KpiKpi));

	row->kpi_id = bigint_column(slot, KPI_KPI_ID);
	row->unit_id = bigint_column(slot, KPI_KPI_UNIT_ID);
	row->measure_id = bigint_column(slot, KPI_KPI_MEASURE_ID);
	row->valid_from = date_column(slot, KPI_KPI_VALID_FROM, DATEVAL_NOBEGIN);
	row->valid_to = date_column(slot, KPI_KPI_VALID_TO, DATEVAL_NOEND);
}

static void
collect_link(void *context, TupleTableSlot *slot)
{
	kpi_store_read_link(slot, next_row(context, sizeof(KpiLink)));
}

void
kpi_store_read_link(TupleTableSlot *slot, KpiLink *row)
{
	row->child_kpi_id = bigint_column(slot, KPI_LINK_CHILD);
	row->parent_kpi_id = bigint_column(slot, KPI_LINK_PARENT);
	row->contributes = word_column(slot, KPI_LINK_CONTRIBUTES, contributions);
	row->weight = number_column(slot, KPI_LINK_WEIGHT);
	row->valid_from = date_column(slot, KPI_LINK_VALID_FROM, DATEVAL_NOBEGIN);
	row->valid_to = date_column(slot, KPI_LINK_VALID_TO, DATEVAL_NOEND);
}

/* reads the graph into the current memory context */
static KpiGraph *
read_graph(KpiStore *store)
{
	Collector	measures = {0},
				units = {0},
				placements = {0},
				kpis = {0},
				links = {0};

	kpi_store_scan(store, KPI_TABLE_MEASURE, collect_measure, &measures);
	kpi_store_scan(store, KPI_TABLE_UNIT, collect_unit, &units);
	kpi_store_scan(store, KPI_TABLE_UNIT_HISTORY, collect_placement, &placements);
	kpi_store_scan(store, KPI_TABLE_KPI, collect_kpi, &kpis);
	kpi_store_scan(store, KPI_TABLE_LINK, collect_link, &links);
	return kpi_graph_build(measures.rows, measures.n, units.rows, units.n,
						   placements.rows, placements.n, kpis.rows, kpis.n,
						   links.rows, links.n);
}

KpiGraph *
kpi_store_graph_as_of(KpiStore *store, DateADT as_of)
{
	KpiGraph   *graph = read_graph(store);

	kpi_graph_freeze(graph, as_of);
	return graph;
}

bool
kpi_store_has_links(KpiStore *store)
{
	static const AttrNumber columns[] = {1};
	static const StrategyNumber at_least[] = {BTGreaterEqualStrategyNumber};
	KpiLookup  *lookup = kpi_store_lookup(store, KPI_TABLE_LINK, "link_pkey", 1, columns, at_least);
	Datum		key = Int64GetDatum(PG_INT64_MIN);

	kpi_lookup_start(lookup, &key);
	return kpi_lookup_next(lookup) != NULL;
}

KpiGraph *
kpi_store_graph(KpiStore *store)
{
	VersionScan scan = {0};
	MemoryContext fresh,
				old;

	kpi_store_scan(store, KPI_TABLE_GRAPH_VERSION, visit_version, &scan);
	if (graph_context != NULL && scan.sum == cached_version &&
		cached_installation == RelationGetRelid(kpi_store_table(store, KPI_TABLE_GRAPH_VERSION)))
		return cached_graph;

	/* build first, then replace: an error leaves the old graph as it was */
	fresh = AllocSetContextCreate(CacheMemoryContext, "kpi_cascade graph", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(fresh);
	PG_TRY();
	{
		KpiGraph   *built = read_graph(store);

		forget_graph();
		graph_context = fresh;
		cached_graph = built;
		cached_version = scan.sum;
		cached_installation = RelationGetRelid(kpi_store_table(store, KPI_TABLE_GRAPH_VERSION));
		graph_is_tentative = TransactionIdIsValid(GetTopTransactionIdIfAny());
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		if (graph_context != fresh)
			MemoryContextDelete(fresh);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return cached_graph;
}
