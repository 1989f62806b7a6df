/*
 * fold.c
 *		The one step that turns pending changes into cells.
 *
 * Locks and snapshots, in this order:
 *
 *	1.	AccessShareLock on the tables a fold reads and RowExclusiveLock on those
 *		it writes.
 *	2.	The fold lock: ExclusiveLock on kpi.fold_lock, an empty table that exists
 *		only for this.  Not an advisory lock, which any user could hold; not the
 *		row of kpi.fold_state, which would give serialization failures; not the
 *		table itself, which would collide with autovacuum.  It is held to the end
 *		of the transaction, so that the next folder sees what this one did.
 *	3.	One snapshot, taken after the lock.  The state, the pending rows, the
 *		graph, the facts and the cells are all read under it: facts read later
 *		than the pending rows would be counted twice.
 *
 * Then all pending changes visible in that snapshot and not yet in the cells,
 * the own transaction's included, are evaluated, changed cells are written in
 * the order of their key, and kpi.fold_state remembers the snapshot, the own
 * transaction and how far its own changes went (the cursor, see store.c).
 * Rows of transactions older than the snapshot's xmin are in the cells for
 * every later reader and are deleted; a reader with an older snapshot still
 * sees both the older state row and the deleted rows.  kpi.fold_state.purged
 * is the low-water mark that keeps the deletion from walking over the corpses
 * of earlier ones.
 *
 * At commit (PRE_COMMIT, after deferred triggers) every one of these locks is
 * only tried for.  If any is taken, the rows stay pending and the commit goes
 * on: no writer waits.  The fold runs in a subtransaction; whatever error it
 * meets is logged and undone, the rows stay pending, and the commit goes on.
 * The latest snapshot is right there even in REPEATABLE READ, since nothing in
 * the transaction reads any more.  Nothing is folded while a transaction is
 * being prepared (it could neither hold the lock for days nor know its own
 * outcome), nor in SERIALIZABLE, where it would create conflicts between
 * transactions that have none.
 *
 * kpi.fold() waits for the locks.  In REPEATABLE READ and SERIALIZABLE it uses
 * the transaction's snapshot, since the transaction may go on reading, and
 * fails with a serialization failure if somebody has folded since.
 *
 * What a crash leaves: cells, state and pending rows are ordinary rows of one
 * transaction; either all of a fold is there or nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "cascade.h"
#include "fmgr.h"
#include "fold.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "settings.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kpi_fold);
PG_FUNCTION_INFO_V1(kpi_refold);

/* rows captured in this transaction, and since this session last folded or looked */
static int64 captured_now = 0;
static int64 captured_since = 0;
static bool has_looked = false;
/* no fold before that time: ten times the last fold's duration after it */
static TimestampTz not_before = 0;

/* ------------------------------------------------------------------------
 * Writing what a cascade found
 * ------------------------------------------------------------------------ */

typedef struct CellWriter
{
	KpiStore   *store;
	int64		written;
	HTAB	   *stored;			/* complete cascades: the cells in the table */
} CellWriter;

typedef struct StoredCell
{
	struct
	{
		int64		kpi_id;
		int64		period;
	}			key;
	KpiCell		cell;
	bool		wanted;
} StoredCell;

static void
write_change(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *old, const KpiCell *now)
{
	CellWriter *writer = context;

	if (writer->stored != NULL)
	{
		StoredCell	key = {{kpi_id, period}};
		StoredCell *stored = hash_search(writer->stored, &key.key, HASH_FIND, NULL);

		if (stored != NULL)
		{
			stored->wanted = true;
			if (kpi_cell_equal(&stored->cell, now))
				return;
			old = &stored->cell;
		}
	}
	kpi_store_write_cell(writer->store, kpi_id, period, old, now);
	writer->written++;
}

static void
delete_cell(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell)
{
	CellWriter *writer = context;

	kpi_store_write_cell(writer->store, kpi_id, period, cell, NULL);
	writer->written++;
}

static void
note_stored(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell)
{
	CellWriter *writer = context;
	StoredCell	key = {{kpi_id, period}};
	StoredCell *stored = hash_search(writer->stored, &key.key, HASH_ENTER, NULL);

	stored->cell = *cell;
	stored->wanted = false;
}

/* everything was computed anew: compare with what is there */
static void
write_all(KpiCascade *cascade, CellWriter *writer)
{
	HASHCTL		control = {0};
	HASH_SEQ_STATUS status;
	StoredCell *stored;

	control.keysize = sizeof(((StoredCell *) NULL)->key);
	control.entrysize = sizeof(StoredCell);
	control.hcxt = CurrentMemoryContext;
	writer->stored = hash_create("kpi_cascade stored cells", 1024, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	kpi_store_each_cell(writer->store, note_stored, writer);
	kpi_cascade_each_change(cascade, write_change, writer);
	hash_seq_init(&status, writer->stored);
	while ((stored = hash_seq_search(&status)) != NULL)
		if (!stored->wanted)
			delete_cell(writer, stored->key.kpi_id, (KpiPeriod) stored->key.period, &stored->cell);
}

static int64
write_cells(KpiStore *store, KpiCascade *cascade)
{
	CellWriter	writer = {.store = store};
	ListCell   *lc;

	if (kpi_cascade_is_complete(cascade))
		write_all(cascade, &writer);
	else
	{
		kpi_cascade_each_change(cascade, write_change, &writer);
		foreach(lc, kpi_cascade_lost_kpis(cascade))
			kpi_store_cells(store, *(int64 *) lfirst(lc), KPI_PERIOD_NONE, KPI_PERIOD_NONE,
							delete_cell, &writer);
	}
	kpi_store_flush_cells(store);
	return writer.written;
}

/* ------------------------------------------------------------------------
 * The fold
 * ------------------------------------------------------------------------ */

/* the 64-bit form of a transaction id of the recent past */
static uint64
full_xid(TransactionId xid)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch, xid));
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return (x > y) - (x < y);
}

static void
remember_snapshot(KpiFoldState *state, Snapshot snapshot)
{
	state->xmin = full_xid(snapshot->xmin);
	state->xmax = full_xid(snapshot->xmax);
	state->n_in_progress = snapshot->xcnt;
	state->in_progress = palloc(sizeof(uint64) * (snapshot->xcnt + 1));
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		state->in_progress[i] = full_xid(snapshot->xip[i]);
	qsort(state->in_progress, state->n_in_progress, sizeof(uint64), compare_xids);
}

/* in REPEATABLE READ: has somebody folded since the transaction's snapshot? */
static void
check_state_is_current(const KpiFoldState *state)
{
	Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
	KpiStore   *store = kpi_store_open(latest);
	KpiFoldState now;

	kpi_store_read_state(store, &now);
	kpi_store_close(store);
	UnregisterSnapshot(latest);
	if (now.exists != state->exists || (now.exists && now.folds != state->folds))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("Another transaction has folded since this one began."),
				 errhint("The transaction might succeed if retried.")));
}

/*
 * Folds all that is pending under the snapshot; the locks are held.  Returns
 * how many pending rows were folded.  start_over: compute everything anew.
 */
static int64
fold_under(Snapshot snapshot, bool start_over)
{
	TimestampTz begun = GetCurrentTimestamp();
	uint64		own = U64FromFullTransactionId(GetTopFullTransactionId());
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade fold",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KpiStore   *store = kpi_store_open(snapshot);
	KpiFoldState state;
	List	   *pending;
	int64		own_upto;
	int64		rows;

	kpi_store_read_state(store, &state);
	if (IsolationUsesXactSnapshot() && snapshot == GetTransactionSnapshot())
		check_state_is_current(&state);
	pending = kpi_store_pending(store, &state, own, &own_upto, 0);
	rows = list_length(pending);
	if (rows > 0 || start_over)
	{
		KpiCascade *cascade = kpi_cascade_begin(store);
		KpiPending	everything = {.kind = KPI_PENDING_EVERYTHING};
		ListCell   *lc;

		if (start_over)
			kpi_cascade_add(cascade, &everything);
		foreach(lc, pending)
			kpi_cascade_add(cascade, lfirst(lc));
		kpi_cascade_run(cascade);
		state.cells_written += write_cells(store, cascade);
		state.cells_evaluated += kpi_cascade_evaluated(cascade);
		state.folds++;

		if (state.exists && state.own == own)
			own_upto = Max(own_upto, state.upto);
		state.own = own;
		state.upto = own_upto;
		remember_snapshot(&state, snapshot);
		kpi_store_purge(store, state.purged, state.xmin);
		state.purged = Max(state.purged, state.xmin);
		kpi_store_compact_versions(store);
		state.folded_at = begun;
		state.took = Max(GetCurrentTimestamp() - begun, 0);
		kpi_store_write_state(store, &state);
		CommandCounterIncrement();
		not_before = begun + 11 * state.took;
	}
	kpi_store_close(store);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	captured_since = 0;
	has_looked = true;
	return rows;
}

static const struct
{
	const char *table;
	LOCKMODE	mode;
}			fold_locks[] = {
	{"fact", AccessShareLock},
	{"target", AccessShareLock},
	{"link", AccessShareLock},
	{"kpi", AccessShareLock},
	{"measure", AccessShareLock},
	{"unit_history", AccessShareLock},
	{"unit", AccessShareLock},
	{"cell", RowExclusiveLock},
	{"pending", RowExclusiveLock},
	{"fold_state", RowExclusiveLock},
	{"graph_version", RowExclusiveLock},
	{"fold_lock", ExclusiveLock}
};

static void
take_locks(void)
{
	for (int i = 0; i < lengthof(fold_locks); i++)
		LockRelationOid(kpi_store_relation(fold_locks[i].table), fold_locks[i].mode);
}

static bool
try_locks(void)
{
	for (int i = 0; i < lengthof(fold_locks); i++)
		if (!ConditionalLockRelationOid(kpi_store_relation(fold_locks[i].table), fold_locks[i].mode))
			return false;
	return true;
}

static int64
fold_now(bool start_over)
{
	Snapshot	snapshot;
	int64		rows;

	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot fold during a parallel operation")));
	PreventCommandIfReadOnly("kpi.fold()");
	take_locks();
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot() :
								GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	rows = fold_under(snapshot, start_over);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	return rows;
}

int64
kpi_fold_step(int limit, bool *more)
{
	Snapshot	snapshot;
	int64		rows;

	*more = false;
	if (!try_locks())
		return -1;
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	rows = fold_under(snapshot, false);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	return rows;
}

Datum
kpi_fold(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(fold_now(false));
}

/* computes every cell anew from the raw rows and writes those that differ */
Datum
kpi_refold(PG_FUNCTION_ARGS)
{
	/* the graph may have been changed with triggers disabled */
	kpi_store_touch_graph();
	PG_RETURN_INT64(fold_now(true));
}

/* ------------------------------------------------------------------------
 * At commit
 * ------------------------------------------------------------------------ */

void
kpi_fold_note_captured(int64 rows)
{
	captured_now += rows;
	captured_since += rows;
}

/* is enough pending, and the last fold long enough ago? */
static bool
is_due(void)
{
	Snapshot	snapshot;
	KpiStore   *store;
	KpiFoldState state;
	int64		own_upto;

	if (has_looked && (captured_since < kpi_fold_after || GetCurrentTimestamp() < not_before))
		return false;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	store = kpi_store_open(snapshot);
	kpi_store_read_state(store, &state);
	if (!has_looked)
	{
		/* a new session cannot know how much others have left */
		captured_since = list_length(kpi_store_pending(store, &state, 0, &own_upto,
													   Max(kpi_fold_after, 1)));
		has_looked = true;
	}
	not_before = state.exists ? state.folded_at + 11 * state.took : 0;
	kpi_store_close(store);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	return captured_since >= kpi_fold_after && GetCurrentTimestamp() >= not_before;
}

static void
fold_at_commit(void)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (kpi_store_installed() && is_due() && try_locks())
		{
			Snapshot	snapshot;

			CommandCounterIncrement();
			snapshot = RegisterSnapshot(GetLatestSnapshot());
			PushActiveSnapshot(snapshot);
			fold_under(snapshot, false);
			PopActiveSnapshot();
			UnregisterSnapshot(snapshot);
		}
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		/* do not come back at every commit if it goes on like this */
		not_before = GetCurrentTimestamp() + INT64CONST(1000000);
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not fold pending changes: %s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 errhint("The changes are safe and shown; the next fold tries again.")));
		FreeErrorData(error);
	}
	PG_END_TRY();
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (captured_now > 0 && kpi_fold_mode == KPI_FOLD_COMMIT &&
				XactIsoLevel != XACT_SERIALIZABLE)
			{
				captured_now = 0;
				fold_at_commit();
			}
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			captured_now = 0;
			break;
		default:
			break;
	}
}

void
kpi_fold_install(void)
{
	RegisterXactCallback(at_transaction_event, NULL);
}
