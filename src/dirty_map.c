/*
 * dirty_map.c
 *		Which cells pending changes may change, and what these come to, for one
 *		snapshot.
 *
 * The map is made once for a snapshot, from the pending rows that it sees and
 * the cells do not contain yet.  It lists the cells that may change; each is
 * computed when it is first asked for, by the evaluation that a fold runs
 * (demand.c).
 *
 * It is keyed by everything that decides what the snapshot sees: xmin, xmax,
 * the running transactions, and the command id for own changes.  That leaves
 * one case: a rolled back subtransaction takes rows away without a new command
 * id.  So the map is dropped when a subtransaction or transaction rolls back,
 * and at the end of a transaction that wrote.  A SERIALIZABLE transaction does
 * not use the map of an earlier one, however equal the snapshots: only by
 * really scanning the pending rows does it leave the predicate locks that a
 * concurrent writer must run into.
 *
 * Cells are computed later than the map is made, under a snapshot equal to
 * that of the map, which therefore sees the same rows.  The graph is the
 * session's: where another one has taken its place meanwhile, the map is made
 * anew, and lists the same cells.
 *
 * Only AccessShareLock on the tables read.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "dirty_map.h"
#include "store_graph.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "worker.h"

/* ------------------------------------------------------------------------
 * The map of one snapshot
 * ------------------------------------------------------------------------ */

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

/* ------------------------------------------------------------------------
 * What it tells
 * ------------------------------------------------------------------------ */

/* the cells asked for one by one before all are computed at once */
#define FEW_CELLS	16

/* opening the tables costs more than a cell, so whoever wants many gets all */
const KpiCell *
kpi_dirty_map_cell(int64 kpi_id, KpiPeriod period)
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

bool
kpi_dirty_map_has(int64 kpi_id, KpiPeriod period)
{
	ensure_map();
	if (map.complete)
		return true;
	if (map.lost_kpis != NULL && hash_search(map.lost_kpis, &kpi_id, HASH_FIND, NULL) != NULL)
		return true;
	return map.cascade != NULL && kpi_cascade_lists(map.cascade, kpi_id, period);
}

bool
kpi_dirty_map_has_any(void)
{
	ensure_map();
	return map.complete || map.cascade != NULL;
}

void
kpi_dirty_map_each(KpiListedVisitor visit, void *context)
{
	HASH_SEQ_STATUS status;
	DirtyCell  *entry;

	ensure_map();
	if (map.complete)
	{
		hash_seq_init(&status, map.cells);
		while ((entry = hash_seq_search(&status)) != NULL)
			visit(context, entry->key.kpi_id, (KpiPeriod) entry->key.period);
	}
	else if (map.cascade != NULL)
		kpi_cascade_each_listed(map.cascade, visit, context);
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

	if (map.keys != NULL)
		return;
	noted.keys = MemoryContextAlloc(map.context, sizeof(DirtyKey) * noted.max);
	kpi_dirty_map_each(note_key, &noted);
	qsort(noted.keys, noted.n, sizeof(DirtyKey), compare_keys);
	map.keys = noted.keys;
	map.n_keys = noted.n;
}

KpiPeriod *
kpi_dirty_map_periods(int64 kpi_id, int *n)
{
	int			first = 0;
	int			end;
	KpiPeriod  *periods;

	ensure_map();
	*n = 0;
	if (!map.complete && map.cascade == NULL)
		return NULL;
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
	*n = end - first;
	periods = palloc(sizeof(KpiPeriod) * (*n + 1));
	for (int i = 0; i < *n; i++)
		periods[i] = (KpiPeriod) map.keys[first + i].period;
	return periods;
}

const pg_uuid_t *
kpi_dirty_map_view_key(void)
{
	ensure_map();
	if (!map.is_view_key_known)
	{
		KpiStore   *store = kpi_store_open(GetActiveSnapshot());

		kpi_store_read_view_key(store, &map.view_key);
		kpi_store_close(store);
		map.is_view_key_known = true;
	}
	return &map.view_key;
}

int
kpi_dirty_map_generation(void)
{
	ensure_map();
	return map.generation;
}

/* ------------------------------------------------------------------------
 * When it goes
 * ------------------------------------------------------------------------ */

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
kpi_dirty_map_install(void)
{
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
}
