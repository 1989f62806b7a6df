/*
 * closed.c
 *		What is closed: which changes may concern a closed period, which close
 *		keeps a cell as it is, and that facts of closed periods are refused.
 *
 * A close covers the periods inside its own, of its unit and all beneath it (of
 * all units, where there is none), as the units stand on a period's last day.
 * Whether a change may concern any of that takes a few comparisons of days and
 * no table, so that most statements are passed without a look at one; whether
 * it does concern a cell takes the graph.
 *
 * Facts of a period whose cell, or any cell that it counts in, is closed are
 * refused at once, even if no figure changed.  All other changes are held
 * against what was reported (reported.c).
 *
 * No locks are taken here: whoever writes holds those that keep what is seen
 * here true (close.c).  It is seen under the latest snapshot, so a REPEATABLE
 * READ writer whose snapshot is older than a close is refused like any other;
 * and the closes are read again, as one may have been reopened meanwhile.
 */
#include "postgres.h"

#include "access/xact.h"
#include "cascade.h"
#include "closed.h"
#include "store_graph.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

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

bool
kpi_closed_encloses(const KpiClose *close, KpiPeriod period)
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

bool
kpi_closed_may_concern(const KpiClose *closes, int n, const KpiPending *row)
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
 * What is closed, as it is now
 * ------------------------------------------------------------------------ */

void
kpi_closed_begin(KpiClosedView *view)
{
	const KpiClose *closes;

	memset(view, 0, sizeof(KpiClosedView));
	view->context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade closes",
										  ALLOCSET_DEFAULT_SIZES);
	view->caller = MemoryContextSwitchTo(view->context);
	AcceptInvalidationMessages();
	closes = kpi_store_closes(&view->n_closes);
	view->closes = palloc(sizeof(KpiClose) * (view->n_closes + 1));
	if (view->n_closes > 0)
		memcpy(view->closes, closes, sizeof(KpiClose) * view->n_closes);

	CommandCounterIncrement();
	view->snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(view->snapshot);
	view->store = kpi_store_open(view->snapshot);
}

void
kpi_closed_end(KpiClosedView *view)
{
	kpi_store_close(view->store);
	PopActiveSnapshot();
	UnregisterSnapshot(view->snapshot);
	MemoryContextSwitchTo(view->caller);
	MemoryContextDelete(view->context);
}

const KpiClose *
kpi_closed_by(const KpiClosedView *view, int kpi, KpiPeriod period)
{
	DateADT		first = kpi_period_first_day(period);
	DateADT		last = kpi_period_last_day(period);

	for (int i = 0; i < view->n_closes; i++)
	{
		const KpiClose *close = &view->closes[i];

		if (last <= close->last_day && first >= close->first_day &&
			(close->unit_id == 0 ||
			 kpi_graph_is_beneath(view->graph, kpi, close->unit_id, last)))
			return close;
	}
	return NULL;
}

char *
kpi_closed_hint(KpiClosedView *view, const KpiClose *close)
{
	char	   *period = kpi_period_to_text(close->period);
	char	   *unit = close->unit_id != 0 ? kpi_store_unit_path(view->store, close->unit_id) : NULL;

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
	KpiClosedView *view;
	const KpiClose *close;		/* NULL: none found */
	int64		kpi_id;
	KpiPeriod	period;
} Closed;

/* takes the cell if it is closed and comes before the one it has */
static void
find_closed(void *context, int64 kpi_id, KpiPeriod period)
{
	Closed	   *closed = context;
	const KpiClose *close = kpi_closed_by(closed->view,
										  kpi_graph_find(closed->view->graph, kpi_id), period);
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
closed_above(KpiClosedView *view, const KpiPending *rows, int n)
{
	Closed		closed = {.view = view};
	KpiCascade *cascade = kpi_cascade_begin(view->store);

	for (int i = 0; i < n; i++)
		if (kpi_closed_may_concern(view->closes, view->n_closes, &rows[i]))
			kpi_cascade_add(cascade, &rows[i]);
	kpi_cascade_spread(cascade);
	kpi_cascade_each_listed(cascade, find_closed, &closed);
	return closed;
}

static void
refuse_fact(KpiClosedView *view, const KpiPending *fact, const Closed *closed)
{
	char	   *period = kpi_period_to_text(closed->period);
	char	   *kpi = kpi_store_describe_kpi(view->store, closed->kpi_id);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("period \"%s\" of %s is closed", period, kpi),
			 fact->kpi_id == closed->kpi_id && fact->period == closed->period ?
			 errdetail("Facts of a closed period stay as they are.") :
			 errdetail("Facts of %s in period \"%s\" count in it.",
					   kpi_store_describe_kpi(view->store, fact->kpi_id),
					   kpi_period_to_text(fact->period)),
			 errhint("%s", kpi_closed_hint(view, closed->close))));
}

/* its own cell before those it counts in */
static void
refuse_if_closed(KpiClosedView *view, const KpiPending *fact)
{
	Closed		closed = {.view = view, .kpi_id = fact->kpi_id, .period = fact->period};
	int			kpi = kpi_graph_find(view->graph, fact->kpi_id);

	if (kpi >= 0)
		closed.close = kpi_closed_by(view, kpi, fact->period);
	if (closed.close == NULL)
		closed = closed_above(view, fact, 1);
	if (closed.close != NULL)
		refuse_fact(view, fact, &closed);
}

void
kpi_closed_check_facts(const KpiPending *rows, int n)
{
	KpiClosedView view;
	bool		open_units = false;

	kpi_closed_begin(&view);
	for (int i = 0; i < n; i++)
		for (int c = 0; c < view.n_closes; c++)
		{
			Closed		closed = {&view, &view.closes[c], rows[i].kpi_id, rows[i].period};

			if (view.closes[c].unit_id != 0 || !kpi_closed_encloses(&view.closes[c], rows[i].period))
				continue;
			refuse_fact(&view, &rows[i], &closed);
		}
	for (int i = 0; i < n && !open_units; i++)
		open_units = kpi_closed_may_concern(view.closes, view.n_closes, &rows[i]);
	if (open_units)
	{
		view.graph = kpi_store_graph(view.store);
		if (closed_above(&view, rows, n).close != NULL)
			for (int i = 0; i < n; i++)
				refuse_if_closed(&view, &rows[i]);
	}
	kpi_closed_end(&view);
}
