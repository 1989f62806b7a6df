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
 * transaction and how far its own changes went (the cursor, see store_pending.c).
 * Changes of status are kept beside the cells (fold_cells.c, store_status.c),
 * with ids taken under the fold lock, and told to listeners at commit (notify.c).
 * Rows of transactions older than the snapshot's xmin are in the cells for
 * every later reader and are deleted; a reader with an older snapshot still
 * sees both the older state row and the deleted rows.  kpi.fold_state.purged
 * is the low-water mark that keeps the deletion from walking over the corpses
 * of earlier ones.
 *
 * At commit (PRE_COMMIT, after deferred triggers), where a fold is due
 * (fold_due.c), every one of these locks is only tried for.  If any is taken,
 * the rows stay pending and the commit goes on: no writer waits.  The fold runs
 * in a subtransaction; whatever error it meets is logged and undone, the rows
 * stay pending, and the commit goes on.  The latest snapshot is right there even
 * in REPEATABLE READ, since nothing in the transaction reads any more.  Nothing
 * is folded while a transaction is being prepared (it could neither hold the
 * lock for days nor know its own outcome), nor in SERIALIZABLE, where it would
 * create conflicts between transactions that have none.
 *
 * kpi.fold() waits for the locks.  In REPEATABLE READ and SERIALIZABLE it uses
 * the transaction's snapshot, since the transaction may go on reading, and
 * fails with a serialization failure if somebody has folded since.
 *
 * Called in the middle of a statement that changes facts (by its RETURNING, or
 * a trigger), it may see rows of which capture has not been told yet.  Where it
 * looks at facts again it counts them, and capture will append them as well: so
 * whatever it has looked at is to be looked at once more.
 *
 * What a crash leaves: cells, state and pending rows are ordinary rows of one
 * transaction; either all of a fold is there or nothing.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "cascade.h"
#include "fmgr.h"
#include "fold.h"
#include "fold_cells.h"
#include "fold_due.h"
#include "funcapi.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "notify.h"
#include "settings.h"
#include "storage/lmgr.h"
#include "store_graph.h"
#include "store_status.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kpi_fold);
PG_FUNCTION_INFO_V1(kpi_fold_part);
PG_FUNCTION_INFO_V1(kpi_refold);

/* ------------------------------------------------------------------------
 * The fold
 * ------------------------------------------------------------------------ */

static int
compare_xids(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return (x > y) - (x < y);
}

/* the snapshot, or as much of it as lies before the cut (0: all of it) */
static void
remember_snapshot(KpiFoldState *state, Snapshot snapshot, uint64 cut)
{
	state->xmin = kpi_store_full_xid(snapshot->xmin);
	state->xmax = kpi_store_full_xid(snapshot->xmax);
	if (cut != 0)
	{
		state->xmax = Min(state->xmax, cut);
		state->xmin = Min(state->xmin, state->xmax);
	}
	state->n_in_progress = 0;
	state->in_progress = palloc(sizeof(uint64) * (snapshot->xcnt + 1));
	for (uint32 i = 0; i < snapshot->xcnt; i++)
	{
		uint64		xid = kpi_store_full_xid(snapshot->xip[i]);

		if (xid < state->xmax)
			state->in_progress[state->n_in_progress++] = xid;
	}
	qsort(state->in_progress, state->n_in_progress, sizeof(uint64), compare_xids);
	/* while a transaction is being prepared it is there twice, and its rows would count twice */
	state->n_in_progress = qunique(state->in_progress, state->n_in_progress, sizeof(uint64),
								   compare_xids);
}

/* what is in the cells now */
static void
advance_cursor(KpiFoldState *state, Snapshot snapshot, const KpiPendingPart *part, uint64 own)
{
	bool		again = state->exists && state->own == own;

	state->upto = again ? Max(part->own_upto, state->upto) : part->own_upto;
	state->own = own;
	remember_snapshot(state, snapshot, part->cut);
}

/*
 * Facts looked at again are those of the whole snapshot, changes included that
 * are still pending (from the cut on), or will be (of a running statement): the
 * next fold must look again too, rather than add them once more.
 */
static void
mark_again(void *context, int64 kpi_id, KpiPeriod period)
{
	List	  **marks = context;
	KpiPending *mark = palloc0(sizeof(KpiPending));

	mark->kind = KPI_PENDING_ADDED;
	mark->kpi_id = kpi_id;
	mark->period = period;
	mark->since = DATEVAL_NOBEGIN;
	*marks = lappend(*marks, mark);
}

static void
look_again_later(KpiCascade *cascade)
{
	List	   *marks = NIL;
	KpiPending *rows;
	int			n = 0;
	ListCell   *lc;

	if (kpi_cascade_is_complete(cascade))
	{
		KpiPending	everything = {.kind = KPI_PENDING_EVERYTHING, .since = DATEVAL_NOBEGIN};

		kpi_store_append(&everything, 1);
		return;
	}
	kpi_cascade_each_reread(cascade, mark_again, &marks);
	if (marks == NIL)
		return;
	rows = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(KpiPending) * list_length(marks));
	foreach(lc, marks)
		rows[n++] = *(KpiPending *) lfirst(lc);
	kpi_store_append(rows, n);
}

/* rates are measured since the stretch before the latest one began */
static void
measure_rate(KpiFoldState *state, TimestampTz now)
{
	const int64 stretch = INT64CONST(10000000);

	if (state->window_began != 0 && now - state->window_began < stretch)
		return;
	state->earlier_began = state->window_began;
	state->earlier_folds = state->window_folds;
	state->earlier_cells = state->window_cells;
	state->window_began = now;
	state->window_folds = state->folds;
	state->window_cells = state->cells_written;
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

/* is a statement of this session that reads or changes facts still running? */
static bool
facts_are_in_use(void)
{
	Relation	facts = table_open(kpi_store_relation("fact"), NoLock);
	bool		result = facts->rd_refcnt > 1;

	table_close(facts, NoLock);
	return result;
}

/*
 * Folds what is pending under the snapshot, about limit rows (0: all); the
 * locks are held.  Returns how many rows were folded; more: are there others?
 * start_over: compute everything anew.
 */
static int64
fold_under(Snapshot snapshot, bool start_over, int64 limit, bool *more)
{
	TimestampTz begun = GetCurrentTimestamp();
	uint64		own = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade fold",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	bool		look_again = facts_are_in_use();
	KpiStore   *store = kpi_store_open(snapshot);
	KpiFoldState state;
	KpiPendingPart part;
	int64		rows;

	kpi_store_read_state(store, &state);
	if (IsolationUsesXactSnapshot() && snapshot == GetTransactionSnapshot())
		check_state_is_current(&state);
	kpi_store_take_pending(store, &state, own, start_over ? 0 : limit, &part);
	rows = list_length(part.rows);
	if (rows > 0 || start_over)
	{
		KpiCascade *cascade = kpi_cascade_begin(store);
		KpiPending	everything = {.kind = KPI_PENDING_EVERYTHING};
		ListCell   *lc;

		own = U64FromFullTransactionId(GetTopFullTransactionId());
		if (start_over)
			kpi_cascade_add(cascade, &everything);
		foreach(lc, part.rows)
			kpi_cascade_add(cascade, lfirst(lc));
		kpi_cascade_run(cascade);

		measure_rate(&state, begun);
		kpi_store_count_era(store, &state);
		kpi_store_set_generations(store, state.former_generation, state.generation);
		state.cells_written += kpi_fold_write_cells(store, cascade, state.folds + 1, begun,
													state.restored);
		kpi_store_leave_generation(store, &state);
		state.cells_evaluated += kpi_cascade_evaluated(cascade);
		state.folds++;

		/* TRUNCATE takes away facts that an older snapshot does not see, but not their changes */
		if (part.cut != 0 || look_again ||
			(part.own_everything && IsolationUsesXactSnapshot() &&
			 snapshot == GetTransactionSnapshot()))
			look_again_later(cascade);
		advance_cursor(&state, snapshot, &part, own);
		kpi_store_purge(store, state.purged, state.xmin);
		state.purged = Max(state.purged, state.xmin);
		kpi_store_compact_versions(store);
		state.folded_at = begun;
		state.took = Max(GetCurrentTimestamp() - begun, 0);
		if (kpi_restoring())
			state.restored = true;
		else if (part.cut == 0)
			state.restored = false;
		kpi_store_write_state(store, &state);
		CommandCounterIncrement();
		kpi_fold_not_before(begun + 11 * state.took);
	}
	*more = part.cut != 0;
	kpi_store_close(store);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	kpi_fold_note_folded();
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
	{"status_change", RowExclusiveLock},
	{KPI_STATUS_SEQUENCE, RowExclusiveLock},
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

/* those of the tables that tell whether a fold is due */
static bool
try_to_look(void)
{
	static const char *const tables[] = {"cell", "pending", "fold_state"};

	for (int i = 0; i < lengthof(tables); i++)
		if (!ConditionalLockRelationOid(kpi_store_relation(tables[i]), AccessShareLock))
			return false;
	return true;
}

static int64
fold_locked(Snapshot snapshot, bool start_over, int64 limit, bool *more)
{
	int64		rows;

	PushActiveSnapshot(snapshot);
	rows = fold_under(snapshot, start_over, limit, more);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	return rows;
}

static int64
fold_now(bool start_over, int64 limit)
{
	bool		more;

	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("cannot fold during a parallel operation")));
	PreventCommandIfReadOnly("kpi.fold()");
	take_locks();
	CommandCounterIncrement();
	return fold_locked(RegisterSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot() :
										GetLatestSnapshot()), start_over, limit, &more);
}

int64
kpi_fold_step(int limit, bool *more)
{
	*more = false;
	if (!try_locks())
		return -1;
	CommandCounterIncrement();
	return fold_locked(RegisterSnapshot(GetLatestSnapshot()), false, limit, more);
}

Datum
kpi_fold(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(fold_now(false, 0));
}

Datum
kpi_fold_part(PG_FUNCTION_ARGS)
{
	int64		limit = PG_GETARG_INT64(0);

	if (limit <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be positive, not " INT64_FORMAT, limit),
				 errhint("kpi.fold() without an argument folds everything.")));
	PG_RETURN_INT64(fold_now(false, limit));
}

/* computes every cell anew from the raw rows and writes those that differ */
Datum
kpi_refold(PG_FUNCTION_ARGS)
{
	/* the graph may have been changed with triggers disabled */
	kpi_store_touch_graph();
	PG_RETURN_INT64(fold_now(true, 0));
}

/* ------------------------------------------------------------------------
 * At commit
 * ------------------------------------------------------------------------ */

static void
fold_at_commit(void)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		/* sequences refuse where the user has ended read only; the subtransaction restores that */
		XactReadOnly = false;
		if (kpi_store_installed())
		{
			bool		too_much;
			bool		more;

			if (try_to_look() && kpi_fold_is_due(&too_much) && try_locks())
			{
				if (too_much)
					ereport(LOG,
							(errmsg("kpi_cascade: more than %d changes are pending (kpi_cascade.max_pending): folding at commit",
									kpi_max_pending)));
				CommandCounterIncrement();
				fold_locked(RegisterSnapshot(GetLatestSnapshot()), false, 0, &more);
			}
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
		kpi_fold_not_before(GetCurrentTimestamp() + INT64CONST(1000000));
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
			if (XactIsoLevel != XACT_SERIALIZABLE && kpi_fold_may_be_due())
				fold_at_commit();
			kpi_notify_send();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			kpi_fold_forget_captured();
			kpi_notify_forget();
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
