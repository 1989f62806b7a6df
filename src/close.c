/*
 * close.c
 *		Closed periods: which writes are held against them, when, and under
 *		which locks; and the locks of closing itself.
 *
 * kpi.close_period() writes a row of kpi.period_close and copies the figures
 * of every cell that it closes into kpi.reported.  From then on, as long as
 * that row is in force (not reopened), two things hold at every commit:
 *
 *		the cells there are in the periods inside the closed one, of the unit
 *		and all beneath it (of all units, where there is none), are those that
 *		were reported; and each has the figures that were reported.
 *
 * When.  Facts are looked at, and refused, as soon as they are captured
 * (closed.c).  All other changes wait until the statement's other triggers
 * have had their say, and are then held against what was reported
 * (reported.c).  Changes of structure that begin after the last closed day are
 * passed without a look at any table.
 *
 * Closing.  kpi.lock_to_close() takes, to the end of the transaction,
 *
 *	1.	ShareRowExclusiveLock on every table that writers write: fact, target,
 *		link, unit, unit_history, kpi, measure.  So it waits for transactions
 *		that have written, prepared ones too, and those that want to write wait
 *		for it; readers do not.
 *	2.	The fold lock.  All that is pending is then folded.
 *
 * Only after that a snapshot is taken, and the cells in it are copied: nobody
 * can have written, nor write, what it does not see.  For the same reason
 * closing is refused in REPEATABLE READ and SERIALIZABLE, whose snapshot is
 * older than the locks.
 *
 * Transactions write these tables in whatever order they like, so there is no
 * order of locking that could not meet one of them.  Therefore it waits for
 * one lock only while it holds none of the others: the rest is tried for, and
 * if one is taken all are let go, that one is waited for, and everything
 * starts over.  (After many rounds it waits for all in turn, so that it cannot
 * starve; then the server would have to find a deadlock.)
 *
 * Writing.  Which closes are in force a writer knows from its session's memory
 * (store_closes.c), which is right because it holds RowExclusiveLock on what
 * it writes: a close commits either before the writer got that lock, and the
 * invalidation has come with it, or after the writer has ended.
 *
 * Two changes could each leave the closed cells alone and together change
 * them: a fact of an open unit, and a link from its KPI into a closed one.
 * The lock on kpi.fact keeps them apart.  A change of structure that may
 * concern a closed period takes kpi.link_lock and kpi.fact, in this order (as
 * everybody does, links.c), in ShareRowExclusive mode, before its snapshot:
 * it waits for writers of facts, they for it, and such changes for each other.
 * Targets, and new KPIs, which have neither facts nor links, take kpi.fact in
 * RowExclusive mode and so wait for changes of structure only.  Where a period
 * is closed for some units only, that is not enough:
 *
 *		Two targets of an open unit may together complete the target of a
 *		quarter whose score counts in a closed one.  So targets also take
 *		kpi.reported, after kpi.fact, and wait for each other.
 *		Where a unit has moved within the closed period, a new KPI there may
 *		take facts of open days into a closed month.  Then it counts as a
 *		change of structure.
 *
 * New units without KPIs change no cell; they hold kpi.link_lock in
 * RowExclusive mode and nothing else.
 *
 * Reopening takes no lock but that of its row: until it commits others are
 * refused, as before.
 *
 * Nothing is checked where rows come as another database had them: while a
 * dump is restored, in the apply worker of logical replication, and with
 * session_replication_role = replica.  Folding and kpi.rebuild() check nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "close.h"
#include "closed.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "settings.h"
#include "statement.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(kpi_lock_to_close);
PG_FUNCTION_INFO_V1(kpi_closes_changed);
PG_FUNCTION_INFO_V1(kpi_watch_closes);

/* do rows come as another database had them? */
static bool
takes_over_rows(void)
{
	return kpi_restoring() || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
}

/* ------------------------------------------------------------------------
 * Rows between their capture and the check
 * ------------------------------------------------------------------------ */

typedef struct Unchecked
{
	KpiPending	row;
	SubTransactionId made_by;
	Oid			table;			/* whose change it is */
	bool		inserted;		/* by an INSERT */
} Unchecked;

static Unchecked *unchecked = NULL;	/* in the top transaction's context */
static int	n_unchecked = 0;
static int	room_unchecked = 0;

static void
check_later(const KpiPending *row, const TriggerData *trigger)
{
	if (n_unchecked == room_unchecked)
	{
		room_unchecked = room_unchecked ? 2 * room_unchecked : 16;
		unchecked = unchecked ? repalloc_huge(unchecked, sizeof(Unchecked) * room_unchecked) :
			MemoryContextAlloc(TopTransactionContext, sizeof(Unchecked) * room_unchecked);
	}
	unchecked[n_unchecked++] = (Unchecked) {*row, GetCurrentSubTransactionId(),
		RelationGetRelid(trigger->tg_relation), TRIGGER_FIRED_BY_INSERT(trigger->tg_event)};
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		unchecked = NULL;
		n_unchecked = room_unchecked = 0;
	}
}

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (n_unchecked > 0 && unchecked[n_unchecked - 1].made_by >= mine)
			n_unchecked--;
}

void
kpi_close_install(void)
{
	kpi_store_install_closes();
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
}

static void
refuse_truncate(TriggerData *trigger, const KpiClose *closes)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"kpi.%s\" cannot be truncated while a period is closed",
					RelationGetRelationName(trigger->tg_relation)),
			 errdetail("Period \"%s\" is closed.", kpi_period_to_text(closes[0].period)),
			 errhint("Open all periods again first, with kpi.reopen_period().")));
}

void
kpi_close_check(TriggerData *trigger, const KpiPending *rows, int n)
{
	int			n_closes;
	const KpiClose *closes = kpi_store_closes(&n_closes);
	int			i;

	if (n_closes == 0)
		return;
	for (i = 0; i < n; i++)
		if (kpi_closed_may_concern(closes, n_closes, &rows[i]))
			break;
	if (i == n || takes_over_rows() ||
		(kpi_history_gives_way && rows[i].kind == KPI_PENDING_PLACEMENT))
		return;
	if (rows[i].kind == KPI_PENDING_EVERYTHING)
		refuse_truncate(trigger, closes);
	if (rows[i].kind == KPI_PENDING_ADDED || rows[i].kind == KPI_PENDING_REMOVED)
	{
		kpi_closed_check_facts(&rows[i], n - i);
		return;
	}
	for (; i < n; i++)
		if (kpi_closed_may_concern(closes, n_closes, &rows[i]))
			check_later(&rows[i], trigger);
}

/* ------------------------------------------------------------------------
 * After the statement's other triggers
 * ------------------------------------------------------------------------ */

/* new units without KPIs change no cell; leaves the other rows, and returns how many */
static int
leave_out_bare(Unchecked *rows, int n)
{
	Snapshot	snapshot;
	KpiStore   *store;
	int			left = 0;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	store = kpi_store_open(snapshot);
	for (int i = 0; i < n; i++)
		if (rows[i].row.kind != KPI_PENDING_PLACEMENT || !rows[i].inserted ||
			!kpi_store_unit_is_bare(store, rows[i].row.unit_id))
			rows[left++] = rows[i];
	kpi_store_close(store);
	UnregisterSnapshot(snapshot);
	return left;
}

/*
 * Has any unit moved within a period that is closed for some units?  Then a
 * base period there may be open, and the period around it closed.
 */
static bool
units_move_within(const KpiClose *closes, int n)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	KpiStore   *store = kpi_store_open(snapshot);
	bool		result = false;

	for (int i = 0; i < n && !result; i++)
		result = closes[i].unit_id != 0 &&
			kpi_store_unit_moves(store, closes[i].first_day + 1, closes[i].last_day);
	kpi_store_close(store);
	UnregisterSnapshot(snapshot);
	return result;
}

/* the locks that keep apart what could together change a closed cell */
static void
lock_apart(const Unchecked *rows, int n)
{
	int			n_closes;
	const KpiClose *closes = kpi_store_closes(&n_closes);
	bool		for_some_units = false;
	bool		alone = false;
	bool		targets = false;
	bool		new_kpis = false;

	for (int i = 0; i < n_closes; i++)
		for_some_units |= closes[i].unit_id != 0;
	for (int i = 0; i < n; i++)
		if (rows[i].row.kind == KPI_PENDING_TARGET)
			targets = true;
		else if (rows[i].row.kind == KPI_PENDING_KPI && rows[i].inserted)
			new_kpis = true;
		else
			alone = true;
	if (!alone && new_kpis && for_some_units)
		alone = units_move_within(closes, n_closes);
	if (alone)
		LockRelationOid(kpi_store_relation("link_lock"), ShareRowExclusiveLock);
	LockRelationOid(kpi_store_relation("fact"), alone ? ShareRowExclusiveLock : RowExclusiveLock);
	if (targets && for_some_units)
		LockRelationOid(kpi_store_relation("reported"), ShareRowExclusiveLock);
}

static void
check_rows(Unchecked *rows, int n)
{
	bool		all_new_units = true;
	List	   *placements = NIL;

	for (int i = 0; i < n; i++)
		all_new_units &= rows[i].row.kind == KPI_PENDING_PLACEMENT && rows[i].inserted &&
			rows[i].row.since == DATEVAL_NOBEGIN;
	/* the trigger that has inserted them holds kpi.link_lock */
	if (all_new_units)
		n = leave_out_bare(rows, n);
	if (n == 0)
		return;
	lock_apart(rows, n);
	for (int i = 0; i < n; i++)
		if (rows[i].row.kind == KPI_PENDING_PLACEMENT)
			placements = lappend(placements, &rows[i].row);
	/* targets and rules of measures have no day to begin on */
	kpi_reported_check(placements, rows[0].row.kind != KPI_PENDING_TARGET &&
					   rows[0].row.kind != KPI_PENDING_MEASURE);
	list_free(placements);
}

/* AFTER any change of kpi.target, link, unit, unit_history, kpi and measure; the last of their triggers */
Datum
kpi_watch_closes(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = kpi_trigger_data(fcinfo, "kpi.watch_closes");
	Oid			table;
	Unchecked  *rows;
	int			n = 0;
	int			left = 0;

	if (n_unchecked == 0)
		return PointerGetDatum(NULL);
	/* those of a statement that this one is a part of wait for its own trigger */
	table = RelationGetRelid(trigger->tg_relation);
	rows = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Unchecked) * n_unchecked);
	for (int i = 0; i < n_unchecked; i++)
		if (unchecked[i].table == table)
			rows[n++] = unchecked[i];
		else
			unchecked[left++] = unchecked[i];
	n_unchecked = left;
	if (n > 0)
		check_rows(rows, n);
	pfree(rows);
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Closing
 * ------------------------------------------------------------------------ */

static const struct
{
	const char *table;
	LOCKMODE	mode;
}			close_locks[] = {
	{"fact", ShareRowExclusiveLock},
	{"target", ShareRowExclusiveLock},
	{"link", ShareRowExclusiveLock},
	{"unit", ShareRowExclusiveLock},
	{"unit_history", ShareRowExclusiveLock},
	{"kpi", ShareRowExclusiveLock},
	{"measure", ShareRowExclusiveLock},
	{"fold_lock", ExclusiveLock}
};

#define MAX_ROUNDS	100

/* tries for all, waiting for one of them only; returns the first that is taken, or -1 */
static int
try_all(int waited_for)
{
	Oid			tables[lengthof(close_locks)];
	bool		held[lengthof(close_locks)] = {false};

	for (int i = 0; i < lengthof(close_locks); i++)
		tables[i] = kpi_store_relation(close_locks[i].table);
	LockRelationOid(tables[waited_for], close_locks[waited_for].mode);
	held[waited_for] = true;
	for (int i = 0; i < lengthof(close_locks); i++)
	{
		if (held[i])
			continue;
		if (!ConditionalLockRelationOid(tables[i], close_locks[i].mode))
		{
			for (int j = 0; j < lengthof(close_locks); j++)
				if (held[j])
					UnlockRelationOid(tables[j], close_locks[j].mode);
			return i;
		}
		held[i] = true;
	}
	return -1;
}

/* kpi.lock_to_close(): nobody else writes, or folds, until this transaction ends */
Datum
kpi_lock_to_close(PG_FUNCTION_ARGS)
{
	int			taken = 0;

	PreventCommandIfReadOnly("kpi.close_period()");
	PreventCommandDuringRecovery("kpi.close_period()");
	for (int round = 0; round < MAX_ROUNDS && taken >= 0; round++)
	{
		CHECK_FOR_INTERRUPTS();
		taken = try_all(taken);
	}
	for (int i = 0; i < lengthof(close_locks) && taken >= 0; i++)
		LockRelationOid(kpi_store_relation(close_locks[i].table), close_locks[i].mode);
	PG_RETURN_VOID();
}

/* AFTER any change of kpi.period_close */
Datum
kpi_closes_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = kpi_trigger_data(fcinfo, "kpi.closes_changed");

	kpi_store_touch_closes(RelationGetRelid(trigger->tg_relation));
	return PointerGetDatum(NULL);
}
