/*
 * read.c
 *		Reading: what a fold would change, without folding.
 *
 * The views show kpi.cell, but in place of the cells that pending changes may
 * change (kpi.dirty_cells() lists them, kpi.is_dirty() tells) what these come
 * to: kpi.dirty_exists(), kpi.dirty_figure() and their like compute a cell when
 * it is first asked for, by the evaluation that a fold runs (demand.c), from
 * pending rows that the snapshot sees and the cells do not contain yet.  So a
 * reader sees its own uncommitted writes, sees committed writes at once, and
 * never a half-folded state, whoever folds and whenever.  Nothing is written,
 * so this works on a standby and in read-only transactions.
 *
 * All answer from one map, made once for a snapshot.  It is keyed by
 * everything that decides what the snapshot sees: xmin, xmax, the running
 * transactions, and the command id for own changes.  That leaves one case: a
 * rolled back subtransaction takes rows away without a new command id.  So the
 * map is dropped when a subtransaction or transaction rolls back, and at the
 * end of a transaction that wrote.  A SERIALIZABLE transaction does not use
 * the map of an earlier one, however equal the snapshots: only by really
 * scanning the pending rows does it leave the predicate locks that a
 * concurrent writer must run into.
 *
 * Cells are computed later than the map is made, under a snapshot equal to
 * that of the map, which therefore sees the same rows.  The graph is the
 * session's: where another one has taken its place meanwhile, the map is made
 * anew, and lists the same cells.
 *
 * Only AccessShareLock on the tables read; no privileges of the user take
 * part, as the views that use these functions are what privileges are granted
 * on.  What shows figures works for the views only (check_view_key).
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
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
#include "worker.h"

PG_FUNCTION_INFO_V1(kpi_dirty);
PG_FUNCTION_INFO_V1(kpi_dirty_cells);
PG_FUNCTION_INFO_V1(kpi_dirty_exists);
PG_FUNCTION_INFO_V1(kpi_dirty_figure);
PG_FUNCTION_INFO_V1(kpi_dirty_of);
PG_FUNCTION_INFO_V1(kpi_dirty_status);
PG_FUNCTION_INFO_V1(kpi_dirty_tally);
PG_FUNCTION_INFO_V1(kpi_is_any_dirty);
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
	pg_uuid_t	view_key;		/* shown by a view, once it was checked */
	bool		is_view_key_known;
	KpiCascade *cascade;		/* NULL: nothing is dirty, or complete */
	uint64		graph_serial;	/* of the graph that the cascade works on */
	int			demanded;		/* so many cells were computed one by one */
	bool		all_demanded;
	bool		complete;		/* every cell is in cells, others go away */
	HTAB	   *cells;			/* DirtyCell; only if complete */
	HTAB	   *lost_kpis;		/* int64; NULL: none */
	DirtyKey   *keys;			/* all of them, sorted; NULL until they are asked for */
	int			n_keys;
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
		(map.cascade == NULL || map.graph_serial == kpi_store_graph_serial()) &&
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
note_lost(List *lost_kpis)
{
	HASHCTL		control = {0};
	ListCell   *lc;

	if (lost_kpis == NIL)
		return;
	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(int64);
	map.lost_kpis = hash_create("kpi_cascade lost KPIs", 64, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(lc, lost_kpis)
		hash_search(map.lost_kpis, lfirst(lc), HASH_ENTER, NULL);
}

static void
note_all(KpiCascade *cascade)
{
	HASHCTL		control = {0};

	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(DirtyKey);
	control.entrysize = sizeof(DirtyCell);
	map.cells = hash_create("kpi_cascade dirty cells", 256, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	map.complete = true;
	kpi_cascade_run(cascade);
	kpi_cascade_each_change(cascade, note_dirty, NULL);
}

/* so many changes take a reader about as long as a person notices */
#define MANY_PENDING	2000

static void
fill_map(KpiStore *store)
{
	KpiFoldState state;
	List	   *pending;
	KpiCascade *cascade;
	ListCell   *lc;

	kpi_store_read_state(store, &state);
	map.generation = state.generation;
	pending = kpi_store_pending(store, &state);
	if (pending == NIL)
		return;
	/* the next reader shall have less to do */
	if (list_length(pending) > MANY_PENDING && !RecoveryInProgress())
		kpi_worker_wake();
	cascade = kpi_cascade_begin(store);
	foreach(lc, pending)
		kpi_cascade_add(cascade, lfirst(lc));
	if (kpi_cascade_is_complete(cascade))
		note_all(cascade);
	else
	{
		kpi_cascade_spread(cascade);
		map.cascade = cascade;
		map.graph_serial = kpi_store_graph_serial();
	}
	note_lost(kpi_cascade_lost_kpis(cascade));
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

/* the cells asked for one by one before all are computed at once */
#define FEW_CELLS	16

/*
 * The cell as it now is; NULL where it is not dirty or goes away.  Opening the
 * tables costs more than a cell, so whoever wants many gets all.
 */
static const KpiCell *
dirty_cell(int64 kpi_id, KpiPeriod period)
{
	const KpiCell *cell;
	KpiStore   *store;

	ensure_map();
	if (map.complete)
	{
		DirtyKey	key = {kpi_id, period};
		DirtyCell  *entry = hash_search(map.cells, &key, HASH_FIND, NULL);

		cell = entry ? entry->cell : NULL;
	}
	else if (map.cascade == NULL)
		cell = NULL;
	else
	{
		cell = kpi_cascade_evaluated_cell(map.cascade, kpi_id, period);
		if (cell == NULL)
		{
			store = kpi_store_open(GetActiveSnapshot());
			if (++map.demanded > FEW_CELLS && !map.all_demanded)
			{
				kpi_cascade_demand_all(map.cascade, store);
				map.all_demanded = true;
			}
			cell = kpi_cascade_demand(map.cascade, store, kpi_id, period);
			kpi_store_close(store);
		}
	}
	return cell != NULL && cell->exists ? cell : NULL;
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
 * call these functions, which would show all figures to all of them.  The
 * views therefore show them a key that only their owner can read.
 */
static void
check_view_key(const pg_uuid_t *shown)
{
	ensure_map();
	if (!map.is_view_key_known)
	{
		KpiStore   *store = kpi_store_open(GetActiveSnapshot());

		kpi_store_scan(store, KPI_TABLE_VIEW_KEY, read_view_key, &map.view_key);
		kpi_store_close(store);
		map.is_view_key_known = true;
	}
	if (memcmp(&map.view_key, shown, sizeof(pg_uuid_t)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function kpi.dirty"),
				 errhint("Read kpi.attainment: it shows what is pending.")));
}

/* puts rows of type (kpi_id, period), or whole rows of kpi.cell, into a result */
typedef struct DirtyResult
{
	ReturnSetInfo *result;
	bool		whole;
} DirtyResult;

static void
put_cell(void *context, int64 kpi_id, KpiPeriod period)
{
	DirtyResult *dirty = context;
	ReturnSetInfo *result = dirty->result;
	Datum		values[KPI_CELL_COLUMNS];
	bool		nulls[KPI_CELL_COLUMNS] = {0};

	if (dirty->whole)
	{
		const KpiCell *cell = dirty_cell(kpi_id, period);

		if (cell == NULL)
			return;
		kpi_store_cell_values(kpi_id, period, cell,
							  TupleDescAttr(result->setDesc, KPI_CELL_STATUS_COLUMN - 1)->atttypid,
							  values, nulls);
	}
	else
	{
		values[0] = Int64GetDatum(kpi_id);
		values[1] = KpiPeriodGetDatum(period);
		values[2] = UUIDPGetDatum(&map.view_key);
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_dirty_cells(FunctionCallInfo fcinfo, bool whole)
{
	DirtyResult dirty = {(ReturnSetInfo *) fcinfo->resultinfo, whole};
	HASH_SEQ_STATUS status;
	DirtyCell  *entry;

	InitMaterializedSRF(fcinfo, 0);
	check_view_key(PG_GETARG_UUID_P(0));
	if (map.complete)
	{
		hash_seq_init(&status, map.cells);
		while ((entry = hash_seq_search(&status)) != NULL)
			put_cell(&dirty, entry->key.kpi_id, (KpiPeriod) entry->key.period);
	}
	else if (map.cascade != NULL)
		kpi_cascade_each_listed(map.cascade, put_cell, &dirty);
}

/*
 * kpi.dirty(view_key) returns setof kpi.cell: the cells that pending changes
 * may have changed, as they are now
 */
Datum
kpi_dirty(PG_FUNCTION_ARGS)
{
	put_dirty_cells(fcinfo, true);
	return (Datum) 0;
}

/* kpi.dirty_cells(view_key) returns setof record (kpi_id, period, view_key): which cells those may be */
Datum
kpi_dirty_cells(PG_FUNCTION_ARGS)
{
	put_dirty_cells(fcinfo, false);
	return (Datum) 0;
}

static int
compare_keys(const void *a, const void *b)
{
	const DirtyKey *x = a;
	const DirtyKey *y = b;

	if (x->kpi_id != y->kpi_id)
		return x->kpi_id < y->kpi_id ? -1 : 1;
	return x->period < y->period ? -1 : x->period > y->period;
}

typedef struct DirtyKeys
{
	DirtyKey   *keys;
	int			n;
	int			max;
} DirtyKeys;

static void
note_key(void *context, int64 kpi_id, KpiPeriod period)
{
	DirtyKeys  *noted = context;

	if (noted->n == noted->max)
	{
		noted->max *= 2;
		noted->keys = repalloc_huge(noted->keys, sizeof(DirtyKey) * noted->max);
	}
	noted->keys[noted->n].kpi_id = kpi_id;
	noted->keys[noted->n++].period = period;
}

/* sorts the keys, so that those of a KPI can be found */
static void
ensure_keys(void)
{
	DirtyKeys	noted = {NULL, 0, 256};
	HASH_SEQ_STATUS status;
	DirtyCell  *entry;

	if (map.keys != NULL)
		return;
	noted.keys = MemoryContextAlloc(map.context, sizeof(DirtyKey) * noted.max);
	if (map.complete)
	{
		hash_seq_init(&status, map.cells);
		while ((entry = hash_seq_search(&status)) != NULL)
			note_key(&noted, entry->key.kpi_id, (KpiPeriod) entry->key.period);
	}
	else if (map.cascade != NULL)
		kpi_cascade_each_listed(map.cascade, note_key, &noted);
	qsort(noted.keys, noted.n, sizeof(DirtyKey), compare_keys);
	map.keys = noted.keys;
	map.n_keys = noted.n;
}

/*
 * kpi.dirty_of(view_key, kpi_id) returns setof kpi.cell: of kpi.dirty() those of
 * one KPI, for views that look cells up by KPI
 */
Datum
kpi_dirty_of(PG_FUNCTION_ARGS)
{
	DirtyResult dirty = {(ReturnSetInfo *) fcinfo->resultinfo, true};
	int64		kpi_id = PG_GETARG_INT64(1);
	int			first = 0;
	int			end;
	int			n;
	DirtyKey   *keys;

	InitMaterializedSRF(fcinfo, 0);
	check_view_key(PG_GETARG_UUID_P(0));
	if (!map.complete && map.cascade == NULL)
		return (Datum) 0;
	ensure_keys();
	end = map.n_keys;
	while (first < end)
	{
		int			middle = first + (end - first) / 2;

		if (map.keys[middle].kpi_id < kpi_id)
			first = middle + 1;
		else
			end = middle;
	}
	while (end < map.n_keys && map.keys[end].kpi_id == kpi_id)
		end++;
	/* a copy: computing cells may make the map anew */
	n = end - first;
	keys = palloc(sizeof(DirtyKey) * (n + 1));
	memcpy(keys, map.keys + first, sizeof(DirtyKey) * n);
	for (int i = 0; i < n; i++)
		put_cell(&dirty, kpi_id, (KpiPeriod) keys[i].period);
	return (Datum) 0;
}

/* kpi.is_dirty(kpi_id, period): may the row of kpi.cell be out of date? */
Datum
kpi_is_dirty(PG_FUNCTION_ARGS)
{
	int64		kpi_id = PG_GETARG_INT64(0);

	ensure_map();
	if (map.complete)
		PG_RETURN_BOOL(true);
	if (map.lost_kpis != NULL && hash_search(map.lost_kpis, &kpi_id, HASH_FIND, NULL) != NULL)
		PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(map.cascade != NULL &&
				   kpi_cascade_lists(map.cascade, kpi_id, PG_GETARG_KPI_PERIOD(1)));
}

/* kpi.is_any_dirty(): is there a cell that pending changes may have changed? */
Datum
kpi_is_any_dirty(PG_FUNCTION_ARGS)
{
	ensure_map();
	PG_RETURN_BOOL(map.complete || map.cascade != NULL);
}

static const KpiCell *
dirty_cell_of_call(FunctionCallInfo fcinfo)
{
	check_view_key(PG_GETARG_UUID_P(0));
	return dirty_cell(PG_GETARG_INT64(1), PG_GETARG_KPI_PERIOD(2));
}

/* kpi.dirty_exists(view_key, kpi_id, period, ...): is there such a cell, now? */
Datum
kpi_dirty_exists(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(dirty_cell_of_call(fcinfo) != NULL);
}

/* kpi.dirty_figure(view_key, kpi_id, period, figure): one of its figures, by its column in kpi.cell */
Datum
kpi_dirty_figure(PG_FUNCTION_ARGS)
{
	const KpiCell *cell = dirty_cell_of_call(fcinfo);
	Numeric		figure = cell ? kpi_store_cell_figure(cell, PG_GETARG_INT32(3)) : NULL;

	if (figure == NULL)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(kpi_number_copy(figure));
}

Datum
kpi_dirty_status(PG_FUNCTION_ARGS)
{
	const KpiCell *cell = dirty_cell_of_call(fcinfo);

	if (cell == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(kpi_store_status_datum(get_fn_expr_rettype(fcinfo->flinfo), cell->status));
}

/* own: the tally of the own facts, else that of the cell */
Datum
kpi_dirty_tally(PG_FUNCTION_ARGS)
{
	const KpiCell *cell = dirty_cell_of_call(fcinfo);
	bool		own = PG_GETARG_BOOL(3);

	if (cell == NULL || !(own ? cell->has_own : cell->has_tally))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(kpi_tally_pack(own ? &cell->own : &cell->tally));
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
