/*
 * close.c
 *		Closed periods: what would change a closed cell is refused.
 *
 * kpi.close_period() writes a row of kpi.period_close and copies the figures
 * of every cell that it closes into kpi.reported.  From then on, as long as
 * that row is in force (not reopened), two things hold at every commit:
 *
 *		the cells there are in the periods inside the closed one, of the unit
 *		and all beneath it (of all units, where there is none), are those that
 *		were reported; and each has the figures that were reported.
 *
 * What is refused, and when.  Facts of a period whose cell, or any cell that
 * it counts in, is closed are refused at once, even if no figure changed:
 * that takes the graph only.  For all else the statement's pending changes are
 * evaluated as a reader would (demand.c): the closed cells among those that
 * may change are held against what was reported, after all other triggers of
 * the statement.  Changes of structure that begin after the last closed day
 * are passed without a look at any table.
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
 * invalidation has come with it, or after the writer has ended.  Everything is
 * read under the latest snapshot, so a REPEATABLE READ writer whose snapshot
 * is older than a close is refused like any other.
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
#include "cascade.h"
#include "close.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "settings.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
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
 * What may concern a closed period at all: a few comparisons
 * ------------------------------------------------------------------------ */

static DateADT
last_closed_day(const KpiClose *closes, int n)
{
	DateADT		last = DATEVAL_NOBEGIN;

	for (int i = 0; i < n; i++)
		last = Max(last, closes[i].last_day);
	return last;
}

static bool
is_inside(const KpiClose *close, KpiPeriod period)
{
	return kpi_period_last_day(period) <= close->last_day &&
		kpi_period_first_day(period) >= close->first_day;
}

static bool
inside_any(const KpiClose *closes, int n, KpiPeriod period)
{
	DateADT		first = kpi_period_first_day(period);
	DateADT		last = kpi_period_last_day(period);

	for (int i = 0; i < n; i++)
		if (last <= closes[i].last_day && first >= closes[i].first_day)
			return true;
	return false;
}

static bool
may_concern(const KpiClose *closes, int n, const KpiPending *row)
{
	DateADT		last;

	switch (row->kind)
	{
		case KPI_PENDING_ADDED:
		case KPI_PENDING_REMOVED:
			/*
			 * Everything it counts in encloses it or, in growth, the same period a
			 * year later, and what compares that growth a year later again.
			 */
			last = last_closed_day(closes, n);
			for (KpiPeriod period = row->period;
				 period != KPI_PERIOD_NONE && kpi_period_last_day(period) <= last;
				 period = kpi_period_year_after(period))
				if (inside_any(closes, n, period))
					return true;
			return false;
		case KPI_PENDING_TARGET:
			return inside_any(closes, n, row->period);
		case KPI_PENDING_EVERYTHING:
			return true;
		default:
			return row->since <= last_closed_day(closes, n);
	}
}

/* ------------------------------------------------------------------------
 * A check
 * ------------------------------------------------------------------------ */

typedef struct Difference
{
	int64		kpi_id;
	KpiPeriod	period;
	const KpiClose *close;
	const char *what;			/* a whole sentence */
} Difference;

typedef struct Check
{
	MemoryContext context;
	MemoryContext caller;
	Snapshot	snapshot;
	KpiStore   *store;
	KpiGraph   *graph;
	KpiCascade *cascade;		/* with all that is pending */
	KpiClose   *closes;
	int			n_closes;
	Difference	first;			/* by period and KPI; what is NULL: none */
	int64		differences;
} Check;

/* what has to be locked is locked */
static void
begin_check(Check *check)
{
	const KpiClose *closes;

	memset(check, 0, sizeof(Check));
	check->context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade closes",
										   ALLOCSET_DEFAULT_SIZES);
	check->caller = MemoryContextSwitchTo(check->context);
	AcceptInvalidationMessages();
	closes = kpi_store_closes(&check->n_closes);
	check->closes = palloc(sizeof(KpiClose) * (check->n_closes + 1));
	if (check->n_closes > 0)
		memcpy(check->closes, closes, sizeof(KpiClose) * check->n_closes);

	CommandCounterIncrement();
	check->snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(check->snapshot);
	check->store = kpi_store_open(check->snapshot);
}

static void
end_check(Check *check)
{
	kpi_store_close(check->store);
	PopActiveSnapshot();
	UnregisterSnapshot(check->snapshot);
	MemoryContextSwitchTo(check->caller);
	MemoryContextDelete(check->context);
}

static const KpiClose *
close_with_id(const Check *check, int64 period_close_id)
{
	for (int i = 0; i < check->n_closes; i++)
		if (check->closes[i].period_close_id == period_close_id)
			return &check->closes[i];
	return NULL;
}

/* the close that keeps a cell as it is, or NULL */
static const KpiClose *
close_of(const Check *check, int kpi, KpiPeriod period)
{
	DateADT		first = kpi_period_first_day(period);
	DateADT		last = kpi_period_last_day(period);

	for (int i = 0; i < check->n_closes; i++)
	{
		const KpiClose *close = &check->closes[i];

		if (last <= close->last_day && first >= close->first_day &&
			(close->unit_id == 0 ||
			 kpi_graph_is_beneath(check->graph, kpi, close->unit_id, last)))
			return close;
	}
	return NULL;
}

static char *
hint_to_reopen(Check *check, const KpiClose *close)
{
	char	   *period = kpi_period_to_text(close->period);
	char	   *unit = close->unit_id != 0 ? kpi_store_unit_path(check->store, close->unit_id) : NULL;

	if (unit == NULL)
		return psprintf("To correct it, open the period again: SELECT kpi.reopen_period('%s', 'why');",
						period);
	return psprintf("To correct it, open the period again: SELECT kpi.reopen_period('%s', 'why', %s);",
					period, quote_literal_cstr(unit));
}

/* ------------------------------------------------------------------------
 * Facts
 * ------------------------------------------------------------------------ */

typedef struct Closed
{
	Check	   *check;
	const KpiClose *close;		/* NULL: none found */
	int64		kpi_id;
	KpiPeriod	period;
} Closed;

/* takes the cell if it is closed and comes before the one it has */
static void
find_closed(void *context, int64 kpi_id, KpiPeriod period)
{
	Closed	   *closed = context;
	const KpiClose *close = close_of(closed->check, kpi_graph_find(closed->check->graph, kpi_id),
									 period);
	int			order = kpi_period_compare(period, closed->period);

	if (close == NULL)
		return;
	if (closed->close != NULL && (order > 0 || (order == 0 && kpi_id > closed->kpi_id)))
		return;
	closed->close = close;
	closed->kpi_id = kpi_id;
	closed->period = period;
}

/* is any cell closed that facts of these rows count in? */
static Closed
closed_above(Check *check, const KpiPending *rows, int n)
{
	Closed		closed = {.check = check};
	KpiCascade *cascade = kpi_cascade_begin(check->store);

	for (int i = 0; i < n; i++)
		if (may_concern(check->closes, check->n_closes, &rows[i]))
			kpi_cascade_add(cascade, &rows[i]);
	kpi_cascade_spread(cascade);
	kpi_cascade_each_listed(cascade, find_closed, &closed);
	return closed;
}

static void
refuse_fact(Check *check, const KpiPending *fact, const Closed *closed)
{
	char	   *period = kpi_period_to_text(closed->period);
	char	   *kpi = kpi_store_describe_kpi(check->store, closed->kpi_id);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("period \"%s\" of %s is closed", period, kpi),
			 fact->kpi_id == closed->kpi_id && fact->period == closed->period ?
			 errdetail("Facts of a closed period stay as they are.") :
			 errdetail("Facts of %s in period \"%s\" count in it.",
					   kpi_store_describe_kpi(check->store, fact->kpi_id),
					   kpi_period_to_text(fact->period)),
			 errhint("%s", hint_to_reopen(check, closed->close))));
}

/* its own cell before those it counts in */
static void
refuse_if_closed(Check *check, const KpiPending *fact)
{
	Closed		closed = {.check = check, .kpi_id = fact->kpi_id, .period = fact->period};
	int			kpi = kpi_graph_find(check->graph, fact->kpi_id);

	if (kpi >= 0)
		closed.close = close_of(check, kpi, fact->period);
	if (closed.close == NULL)
		closed = closed_above(check, fact, 1);
	if (closed.close != NULL)
		refuse_fact(check, fact, &closed);
}

static void
check_facts(const KpiPending *rows, int n)
{
	Check		check;
	bool		open_units = false;

	begin_check(&check);
	for (int i = 0; i < n; i++)
		for (int c = 0; c < check.n_closes; c++)
		{
			Closed		closed = {&check, &check.closes[c], rows[i].kpi_id, rows[i].period};

			if (check.closes[c].unit_id != 0 || !is_inside(&check.closes[c], rows[i].period))
				continue;
			refuse_fact(&check, &rows[i], &closed);
		}
	for (int i = 0; i < n && !open_units; i++)
		open_units = may_concern(check.closes, check.n_closes, &rows[i]);
	if (open_units)
	{
		check.graph = kpi_store_graph(check.store);
		if (closed_above(&check, rows, n).close != NULL)
			for (int i = 0; i < n; i++)
				refuse_if_closed(&check, &rows[i]);
	}
	end_check(&check);
}

/* ------------------------------------------------------------------------
 * Everything else: are the closed cells as they were reported?
 * ------------------------------------------------------------------------ */

static const char *
number_text(Numeric number)
{
	if (number == NULL)
		return "null";
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
}

/* what has become of a cell, as a sentence; NULL where it is as it was */
static const char *
what_differs(const KpiCell *reported, const KpiCell *now)
{
	const struct
	{
		const char *name;
		Numeric		reported;
		Numeric		now;
	}			figures[] = {
		{"actual", reported->actual, now->actual},
		{"target", reported->target, now->target},
		{"attainment", reported->attainment, now->attainment},
		{"target to date", reported->target_to_date, now->target_to_date},
		{"attainment to date", reported->attainment_to_date, now->attainment_to_date},
		{"driver score", reported->driver_score, now->driver_score},
		{"score", reported->score, now->score},
		{"coverage", reported->coverage, now->coverage}
	};

	if (!reported->exists && !now->exists)
		return NULL;
	if (!reported->exists)
		return psprintf("There was nothing to report, and its actual would be %s.",
						number_text(now->actual));
	if (!now->exists)
		return psprintf("It was reported with an actual of %s and would be gone.",
						number_text(reported->actual));
	for (int i = 0; i < lengthof(figures); i++)
		if (!kpi_number_same(figures[i].reported, figures[i].now))
			return psprintf("Its %s was reported as %s and would be %s.", figures[i].name,
							number_text(figures[i].reported), number_text(figures[i].now));
	if (reported->status != now->status)
		return psprintf("Its status was reported as %s and would be %s.",
						kpi_status_name(reported->status), kpi_status_name(now->status));
	if (reported->has_tally != now->has_tally ||
		(now->has_tally && !kpi_tally_equal(&reported->tally, &now->tally)))
		return "Its tally would not be the one reported.";
	return NULL;
}

static void
note_difference(Check *check, const KpiClose *close, int64 kpi_id, KpiPeriod period,
				const char *what)
{
	int			order = kpi_period_compare(period, check->first.period);

	check->differences++;
	if (check->first.what != NULL &&
		(order > 0 || (order == 0 && kpi_id > check->first.kpi_id)))
		return;
	check->first = (Difference) {kpi_id, period, close, what};
}

static const KpiCell absent = {.exists = false};

/* now NULL: there is no such cell */
static void
compare_cell(Check *check, const KpiClose *close, int64 kpi_id, KpiPeriod period,
			 const KpiCell *now)
{
	KpiCell		reported;
	const char *what;

	CHECK_FOR_INTERRUPTS();
	(void) kpi_store_reported(check->store, close->period_close_id, kpi_id, period, &reported);
	what = what_differs(&reported, now != NULL ? now : &absent);
	if (what != NULL)
		note_difference(check, close, kpi_id, period, what);
}

static void
compare_changed(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *old,
				const KpiCell *now)
{
	Check	   *check = context;
	const KpiClose *close = close_of(check, kpi_graph_find(check->graph, kpi_id), period);

	if (close != NULL)
		compare_cell(check, close, kpi_id, period, now);
}

/* was it reported with a close in force?  Then it should not be gone. */
static void
note_gone(void *context, int64 period_close_id, int64 kpi_id, KpiPeriod period,
		  const KpiCell *cell)
{
	Check	   *check = context;
	const KpiClose *close = close_with_id(check, period_close_id);
	const KpiCell *now = NULL;

	if (close == NULL)
		return;
	if (kpi_graph_find(check->graph, kpi_id) >= 0)
		now = kpi_cascade_evaluated_cell(check->cascade, kpi_id, period);
	if (now == NULL || !now->exists)
		note_difference(check, close, kpi_id, period, what_differs(cell, &absent));
}

typedef struct ListedCell
{
	int64		kpi_id;
	KpiPeriod	period;
	const KpiClose *close;
} ListedCell;

typedef struct Listed
{
	Check	   *check;
	ListedCell *cells;
	int			n;
	int			room;
} Listed;

static void
list_closed(void *context, int64 kpi_id, KpiPeriod period)
{
	Listed	   *listed = context;
	const KpiClose *close = close_of(listed->check, kpi_graph_find(listed->check->graph, kpi_id),
									 period);

	if (close == NULL)
		return;
	if (listed->n == listed->room)
	{
		listed->room = listed->room ? 2 * listed->room : 64;
		listed->cells = listed->cells ?
			repalloc_huge(listed->cells, sizeof(ListedCell) * listed->room) :
			palloc(sizeof(ListedCell) * listed->room);
	}
	listed->cells[listed->n++] = (ListedCell) {kpi_id, period, close};
}

/* with all that is pending; what is closed is listed before anything is evaluated */
static void
compare_cells(Check *check)
{
	KpiFoldState state;
	KpiCascade *cascade;
	Listed		listed = {.check = check};
	ListCell   *lc;

	kpi_store_read_state(check->store, &state);
	check->cascade = cascade = kpi_cascade_begin(check->store);
	foreach(lc, kpi_store_pending(check->store, &state))
		kpi_cascade_add(cascade, lfirst(lc));
	if (kpi_cascade_is_complete(cascade))
	{
		/* seldom: after a TRUNCATE that was not checked */
		kpi_cascade_run(cascade);
		kpi_cascade_each_change(cascade, compare_changed, check);
		kpi_store_each_reported(check->store, note_gone, check);
		return;
	}
	kpi_cascade_spread(cascade);
	kpi_cascade_each_listed(cascade, list_closed, &listed);
	for (int i = 0; i < listed.n; i++)
	{
		const ListedCell *cell = &listed.cells[i];

		compare_cell(check, cell->close, cell->kpi_id, cell->period,
					 kpi_cascade_demand(cascade, check->store, cell->kpi_id, cell->period));
	}
	foreach(lc, kpi_cascade_lost_kpis(cascade))
		kpi_store_reported_of_kpi(check->store, *(int64 *) lfirst(lc), note_gone, check);
}

/*
 * Units that came or went beneath one with a close of its own.  Their cells
 * may not have changed, so they need not be among those that were compared.
 */
typedef struct Moved
{
	Check	   *check;
	int			kpi;
	const KpiClose *close;
} Moved;

static void
compare_place(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell)
{
	Moved	   *moved = context;
	Check	   *check = moved->check;
	const KpiClose *close = moved->close;
	KpiCell		reported;
	bool		is_there;
	bool		was_there;

	if (!is_inside(close, period) ||
		(!kpi_cascade_is_complete(check->cascade) &&
		 kpi_cascade_lists(check->cascade, kpi_id, period) &&
		 close_of(check, moved->kpi, period) == close))
		return;
	is_there = kpi_graph_is_beneath(check->graph, moved->kpi, close->unit_id,
									kpi_period_last_day(period));
	was_there = kpi_store_reported(check->store, close->period_close_id, kpi_id, period, &reported);
	if (is_there != was_there)
		note_difference(check, close, kpi_id, period, is_there ?
						"It was reported elsewhere and would belong to the closed unit." :
						"It was reported and would belong to the closed unit no more.");
}

static void
compare_places(Check *check, const KpiPending *row)
{
	Moved		moved = {.check = check};
	List	   *kpis = NIL;
	ListCell   *lc;

	for (int i = 0; i < check->n_closes; i++)
	{
		moved.close = &check->closes[i];
		if (moved.close->unit_id == 0 || row->since > moved.close->last_day)
			continue;
		if (moved.close->unit_id == row->unit_id && !kpi_store_has_unit(check->store, row->unit_id))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("period \"%s\" is closed for a unit that is to be deleted",
							kpi_period_to_text(moved.close->period)),
					 errhint("Open it again first, with kpi.reopen_period().")));
		if (kpis == NIL)
			kpis = kpi_graph_kpis_beneath(check->graph, row->unit_id);
		foreach(lc, kpis)
		{
			moved.kpi = lfirst_int(lc);
			kpi_store_cells(check->store, kpi_graph_kpi(check->graph, moved.kpi)->kpi_id,
							KPI_PERIOD_NONE, KPI_PERIOD_NONE, compare_place, &moved);
		}
	}
}

static void
refuse_difference(Check *check)
{
	const Difference *first = &check->first;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("period \"%s\" of %s is closed", kpi_period_to_text(first->period),
					kpi_graph_find(check->graph, first->kpi_id) >= 0 ?
					kpi_store_describe_kpi(check->store, first->kpi_id) :
					kpi_store_describe_reported(check->store, first->close->period_close_id,
												first->kpi_id, first->period)),
			 check->differences == 1 ? errdetail_internal("%s", first->what) :
			 errdetail("%s In all " INT64_FORMAT " closed cells would change.", first->what,
					   check->differences),
			 errhint("%s", hint_to_reopen(check, first->close))));
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
		if (may_concern(closes, n_closes, &rows[i]))
			break;
	if (i == n || takes_over_rows() ||
		(kpi_history_gives_way && rows[i].kind == KPI_PENDING_PLACEMENT))
		return;
	if (rows[i].kind == KPI_PENDING_EVERYTHING)
		refuse_truncate(trigger, closes);
	if (rows[i].kind == KPI_PENDING_ADDED || rows[i].kind == KPI_PENDING_REMOVED)
	{
		check_facts(&rows[i], n - i);
		return;
	}
	for (; i < n; i++)
		if (may_concern(closes, n_closes, &rows[i]))
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
	Check		check;
	bool		all_new_units = true;

	for (int i = 0; i < n; i++)
		all_new_units &= rows[i].row.kind == KPI_PENDING_PLACEMENT && rows[i].inserted &&
			rows[i].row.since == DATEVAL_NOBEGIN;
	/* the trigger that has inserted them holds kpi.link_lock */
	if (all_new_units)
		n = leave_out_bare(rows, n);
	if (n == 0)
		return;
	lock_apart(rows, n);
	begin_check(&check);
	if (check.n_closes > 0)
	{
		check.graph = kpi_store_graph(check.store);
		compare_cells(&check);
		for (int i = 0; i < n; i++)
			if (rows[i].row.kind == KPI_PENDING_PLACEMENT)
				compare_places(&check, &rows[i].row);
		if (check.differences > 0)
			refuse_difference(&check);
	}
	end_check(&check);
}

/* AFTER any change of kpi.target, link, unit, unit_history, kpi and measure; the last of their triggers */
Datum
kpi_watch_closes(PG_FUNCTION_ARGS)
{
	Oid			table;
	Unchecked  *rows;
	int			n = 0;
	int			left = 0;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"kpi.watch_closes\" was not called by trigger manager")));
	if (n_unchecked == 0)
		return PointerGetDatum(NULL);
	/* those of a statement that this one is a part of wait for its own trigger */
	table = RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation);
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
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"kpi.closes_changed\" was not called by trigger manager")));
	kpi_store_touch_closes(RelationGetRelid(trigger->tg_relation));
	return PointerGetDatum(NULL);
}
