/*
 * read.c
 *		Reading: what a fold would change, without folding.
 *
 * The views show kpi.cell overlaid with kpi.dirty(), the cells that the
 * pending changes would change, and leave out the rows of kpi.cell for which
 * kpi.is_dirty() is true.  Both answer from one map, computed once for a
 * snapshot by the very cascade that a fold runs, from pending rows that this
 * snapshot sees and the cells do not contain yet.  So a reader sees its own
 * uncommitted writes, sees committed writes at once, and never a half-folded
 * state, whoever folds and whenever.  Nothing is written, so this works on a
 * standby and in read-only transactions.
 *
 * The map is keyed by everything that decides what the snapshot sees: xmin,
 * xmax, the running transactions, and the command id for own changes.  That
 * leaves one case: a rolled back subtransaction takes rows away without a new
 * command id.  So the map is dropped when a subtransaction or transaction
 * rolls back, and at the end of a transaction that wrote.  A SERIALIZABLE
 * transaction does not use the map of an earlier one, however equal the
 * snapshots: only by really scanning the pending rows does it leave the
 * predicate locks that a concurrent writer must run into.
 *
 * Only AccessShareLock on the tables read; no privileges of the user take
 * part, as the views that use these functions are what privileges are granted
 * on.  kpi.dirty() works for them only (check_view_key).
 */
#include "postgres.h"

#include "access/xact.h"
#include "cascade.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "read.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(kpi_dirty);
PG_FUNCTION_INFO_V1(kpi_is_dirty);
PG_FUNCTION_INFO_V1(kpi_hot_generation);

typedef struct DirtyKey
{
	int64		kpi_id;
	int64		period;
} DirtyKey;

typedef struct DirtyCell
{
	DirtyKey	key;
	const KpiCell *cell;		/* exists is false where the cell goes away */
} DirtyCell;

typedef struct DirtyMap
{
	MemoryContext context;		/* NULL: no map */
	/* the key */
	Oid			cell_table;
	TransactionId xmin;
	TransactionId xmax;
	CommandId	curcid;
	uint32		xcnt;
	int32		subxcnt;
	bool		suboverflowed;
	bool		in_recovery;
	TransactionId *xip;
	TransactionId *subxip;
	bool		is_older;		/* computed in an earlier transaction */
	/* the content */
	int			generation;		/* in which hot cells are, see store_cells.c */
	bool		complete;		/* every cell is in the map, others go away */
	HTAB	   *cells;			/* NULL: nothing is dirty */
	HTAB	   *lost_kpis;		/* int64; NULL: none */
} DirtyMap;

static DirtyMap map;

static void
drop_map(void)
{
	if (map.context != NULL)
		MemoryContextDelete(map.context);
	memset(&map, 0, sizeof(map));
}

/*
 * How many subtransactions the snapshot lists.  One that overflowed on a primary
 * lists none: it still counts those it met first, but a copy has no list, and
 * visibility goes by their parents.
 */
static int32
listed_subtransactions(Snapshot snapshot)
{
	return snapshot->suboverflowed && !snapshot->takenDuringRecovery ? 0 : snapshot->subxcnt;
}

static bool
map_fits(Snapshot snapshot, Oid cell_table)
{
	return map.context != NULL && map.cell_table == cell_table &&
		!(map.is_older && IsolationIsSerializable()) &&
		map.xmin == snapshot->xmin && map.xmax == snapshot->xmax &&
		map.curcid == snapshot->curcid && map.xcnt == snapshot->xcnt &&
		map.subxcnt == listed_subtransactions(snapshot) &&
		map.suboverflowed == snapshot->suboverflowed &&
		map.in_recovery == snapshot->takenDuringRecovery &&
		(map.xcnt == 0 ||
		 memcmp(map.xip, snapshot->xip, sizeof(TransactionId) * map.xcnt) == 0) &&
		(map.subxcnt == 0 ||
		 memcmp(map.subxip, snapshot->subxip, sizeof(TransactionId) * map.subxcnt) == 0);
}

static void
key_map(Snapshot snapshot, Oid cell_table)
{
	map.cell_table = cell_table;
	map.xmin = snapshot->xmin;
	map.xmax = snapshot->xmax;
	map.curcid = snapshot->curcid;
	map.xcnt = snapshot->xcnt;
	map.subxcnt = listed_subtransactions(snapshot);
	map.suboverflowed = snapshot->suboverflowed;
	map.in_recovery = snapshot->takenDuringRecovery;
	map.xip = palloc(sizeof(TransactionId) * (map.xcnt + 1));
	map.subxip = palloc(sizeof(TransactionId) * (map.subxcnt + 1));
	if (map.xcnt > 0)
		memcpy(map.xip, snapshot->xip, sizeof(TransactionId) * map.xcnt);
	if (map.subxcnt > 0)
		memcpy(map.subxip, snapshot->subxip, sizeof(TransactionId) * map.subxcnt);
}

static void
note_dirty(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *old, const KpiCell *now)
{
	DirtyKey	key = {kpi_id, period};
	DirtyCell  *entry = hash_search(map.cells, &key, HASH_ENTER, NULL);

	entry->cell = now;
}

static void
fill_map(KpiStore *store)
{
	KpiFoldState state;
	List	   *pending;
	KpiCascade *cascade;
	HASHCTL		control = {0};
	ListCell   *lc;

	kpi_store_read_state(store, &state);
	map.generation = state.generation;
	pending = kpi_store_pending(store, &state);
	if (pending == NIL)
		return;
	cascade = kpi_cascade_begin(store);
	foreach(lc, pending)
		kpi_cascade_add(cascade, lfirst(lc));
	kpi_cascade_run(cascade);

	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(DirtyKey);
	control.entrysize = sizeof(DirtyCell);
	map.cells = hash_create("kpi_cascade dirty cells", 256, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	kpi_cascade_each_change(cascade, note_dirty, NULL);
	map.complete = kpi_cascade_is_complete(cascade);
	if (kpi_cascade_lost_kpis(cascade) != NIL)
	{
		control.keysize = sizeof(int64);
		control.entrysize = sizeof(int64);
		map.lost_kpis = hash_create("kpi_cascade lost KPIs", 64, &control,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		foreach(lc, kpi_cascade_lost_kpis(cascade))
			hash_search(map.lost_kpis, lfirst(lc), HASH_ENTER, NULL);
	}
}

/* makes the map that of the active snapshot */
static void
ensure_map(void)
{
	Snapshot	snapshot = GetActiveSnapshot();
	Oid			cell_table = kpi_store_relation("cell");
	MemoryContext old;
	MemoryContext context;
	KpiStore   *store;

	if (map_fits(snapshot, cell_table))
		return;
	drop_map();
	/* under the current context until it is complete, so that an error leaves nothing */
	context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade dirty map",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	PG_TRY();
	{
		store = kpi_store_open(snapshot);
		fill_map(store);
		kpi_store_close(store);
		key_map(snapshot, cell_table);
	}
	PG_CATCH();
	{
		memset(&map, 0, sizeof(map));
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	map.context = context;
}

static void
read_view_key(void *context, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		key = slot_getattr(slot, 1, &isnull);

	if (!isnull)
		memcpy(context, DatumGetUUIDP(key), sizeof(pg_uuid_t));
}

/*
 * Views call functions as the user who reads, so whoever may read a view may
 * call kpi.dirty(), which would show all figures to all of them.  The views
 * therefore show it a key that only their owner can read.
 */
static void
check_view_key(const pg_uuid_t *shown)
{
	KpiStore   *store = kpi_store_open(GetActiveSnapshot());
	pg_uuid_t	key = {0};

	kpi_store_scan(store, KPI_TABLE_VIEW_KEY, read_view_key, &key);
	kpi_store_close(store);
	if (memcmp(&key, shown, sizeof(key)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function kpi.dirty"),
				 errhint("Read kpi.attainment: it shows what is pending.")));
}

/*
 * kpi.dirty(view_key) returns setof kpi.cell: the cells that pending changes
 * have changed, as they are now
 */
Datum
kpi_dirty(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HASH_SEQ_STATUS status;
	DirtyCell  *entry;
	Oid			status_type;

	InitMaterializedSRF(fcinfo, 0);
	check_view_key(PG_GETARG_UUID_P(0));
	ensure_map();
	if (map.cells == NULL)
		return (Datum) 0;
	status_type = TupleDescAttr(result->setDesc, KPI_CELL_STATUS_COLUMN - 1)->atttypid;
	hash_seq_init(&status, map.cells);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		Datum		values[KPI_CELL_COLUMNS];
		bool		nulls[KPI_CELL_COLUMNS];

		if (!entry->cell->exists)
			continue;
		kpi_store_cell_values(entry->key.kpi_id, (KpiPeriod) entry->key.period, entry->cell,
							  status_type, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* kpi.is_dirty(kpi_id, period): is the row of kpi.cell out of date? */
Datum
kpi_is_dirty(PG_FUNCTION_ARGS)
{
	DirtyKey	key = {PG_GETARG_INT64(0), PG_GETARG_KPI_PERIOD(1)};

	ensure_map();
	if (map.cells == NULL && map.lost_kpis == NULL)
		PG_RETURN_BOOL(false);
	if (map.complete)
		PG_RETURN_BOOL(true);
	if (map.lost_kpis != NULL && hash_search(map.lost_kpis, &key.kpi_id, HASH_FIND, NULL) != NULL)
		PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(hash_search(map.cells, &key, HASH_FIND, NULL) != NULL);
}

/* kpi.hot_generation(): where to look for cells beside generation 0 */
Datum
kpi_hot_generation(PG_FUNCTION_ARGS)
{
	ensure_map();
	PG_RETURN_INT32(map.generation);
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()))
		drop_map();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		map.is_older = true;
		kpi_store_settle_graph(event != XACT_EVENT_ABORT);
	}
}

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		drop_map();
		kpi_store_settle_graph(false);
	}
}

void
kpi_read_install(void)
{
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
}
