/*
 * reported.c
 *		Closed cells held against what was reported with their close.
 *
 * The cells of a close are in kpi.reported.  After any change but one of facts
 * these and no others may be there, with the same figures.  So all that is
 * pending is evaluated as a reader would (demand.c), and compared are
 *
 *	1.	the closed cells among those that may change, and those of KPIs that are
 *		gone;
 *	2.	the cells of units that have moved, beneath a close of some unit: their
 *		figures may be the same, and their place not.
 *
 * The first difference, by period and KPI, is named in the error.  Nothing is
 * written, and no lock taken: close.c has taken those that keep apart changes
 * which could only together change a closed cell.
 */
#include "postgres.h"

#include "cascade.h"
#include "closed.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "store_graph.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct Difference
{
	int64		kpi_id;
	KpiPeriod	period;
	const KpiClose *close;
	const char *what;			/* a whole sentence */
} Difference;

typedef struct Check
{
	KpiClosedView view;
	KpiCascade *cascade;		/* with all that is pending */
	Difference	first;			/* by period and KPI; what is NULL: none */
	int64		differences;
} Check;

/* ------------------------------------------------------------------------
 * What differs
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

/* ------------------------------------------------------------------------
 * Cells that may change
 * ------------------------------------------------------------------------ */

static const KpiCell absent = {.exists = false};

/* now NULL: there is no such cell */
static void
compare_cell(Check *check, const KpiClose *close, int64 kpi_id, KpiPeriod period,
			 const KpiCell *now)
{
	KpiCell		reported;
	const char *what;

	CHECK_FOR_INTERRUPTS();
	(void) kpi_store_reported(check->view.store, close->period_close_id, kpi_id, period, &reported);
	what = what_differs(&reported, now != NULL ? now : &absent);
	if (what != NULL)
		note_difference(check, close, kpi_id, period, what);
}

static void
compare_changed(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *old,
				const KpiCell *now)
{
	Check	   *check = context;
	const KpiClose *close = kpi_closed_by(&check->view, kpi_graph_find(check->view.graph, kpi_id),
										  period);

	if (close != NULL)
		compare_cell(check, close, kpi_id, period, now);
}

static const KpiClose *
close_with_id(const Check *check, int64 period_close_id)
{
	for (int i = 0; i < check->view.n_closes; i++)
		if (check->view.closes[i].period_close_id == period_close_id)
			return &check->view.closes[i];
	return NULL;
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
	if (kpi_graph_find(check->view.graph, kpi_id) >= 0)
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
	const KpiClosedView *view = &listed->check->view;
	const KpiClose *close = kpi_closed_by(view, kpi_graph_find(view->graph, kpi_id), period);

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

	kpi_store_read_state(check->view.store, &state);
	check->cascade = cascade = kpi_cascade_begin(check->view.store);
	foreach(lc, kpi_store_pending(check->view.store, &state))
		kpi_cascade_add(cascade, lfirst(lc));
	if (kpi_cascade_is_complete(cascade))
	{
		/* seldom: after a TRUNCATE that was not checked */
		kpi_cascade_run(cascade);
		kpi_cascade_each_change(cascade, compare_changed, check);
		kpi_store_each_reported(check->view.store, note_gone, check);
		return;
	}
	kpi_cascade_spread(cascade);
	kpi_cascade_each_listed(cascade, list_closed, &listed);
	for (int i = 0; i < listed.n; i++)
	{
		const ListedCell *cell = &listed.cells[i];

		compare_cell(check, cell->close, cell->kpi_id, cell->period,
					 kpi_cascade_demand(cascade, check->view.store, cell->kpi_id, cell->period));
	}
	foreach(lc, kpi_cascade_lost_kpis(cascade))
		kpi_store_reported_of_kpi(check->view.store, *(int64 *) lfirst(lc), note_gone, check);
}

/* ------------------------------------------------------------------------
 * Units that moved
 * ------------------------------------------------------------------------ */

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

	if (!kpi_closed_encloses(close, period) ||
		(!kpi_cascade_is_complete(check->cascade) &&
		 kpi_cascade_lists(check->cascade, kpi_id, period) &&
		 kpi_closed_by(&check->view, moved->kpi, period) == close))
		return;
	is_there = kpi_graph_is_beneath(check->view.graph, moved->kpi, close->unit_id,
									kpi_period_last_day(period));
	was_there = kpi_store_reported(check->view.store, close->period_close_id, kpi_id, period,
								   &reported);
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

	for (int i = 0; i < check->view.n_closes; i++)
	{
		moved.close = &check->view.closes[i];
		if (moved.close->unit_id == 0 || row->since > moved.close->last_day)
			continue;
		if (moved.close->unit_id == row->unit_id &&
			!kpi_store_has_unit(check->view.store, row->unit_id))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("period \"%s\" is closed for a unit that is to be deleted",
							kpi_period_to_text(moved.close->period)),
					 errhint("Open it again first, with kpi.reopen_period().")));
		if (kpis == NIL)
			kpis = kpi_graph_kpis_beneath(check->view.graph, row->unit_id);
		foreach(lc, kpis)
		{
			moved.kpi = lfirst_int(lc);
			kpi_store_cells(check->view.store, kpi_graph_kpi(check->view.graph, moved.kpi)->kpi_id,
							KPI_PERIOD_NONE, KPI_PERIOD_NONE, compare_place, &moved);
		}
	}
}

static void
refuse_difference(Check *check, bool is_dated)
{
	const Difference *first = &check->first;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("period \"%s\" of %s is closed", kpi_period_to_text(first->period),
					kpi_graph_find(check->view.graph, first->kpi_id) >= 0 ?
					kpi_store_describe_kpi(check->view.store, first->kpi_id) :
					kpi_store_describe_reported(check->view.store, first->close->period_close_id,
												first->kpi_id, first->period)),
			 check->differences == 1 ? errdetail_internal("%s", first->what) :
			 errdetail("%s In all " INT64_FORMAT " closed cells would change.", first->what,
					   check->differences),
			 errhint("%s%s", is_dated ? "Let the change begin after what is closed, by valid_from, valid_to or effective date. " : "",
					 kpi_closed_hint(&check->view, first->close))));
}

void
kpi_reported_check(List *placements, bool is_dated)
{
	Check		check = {0};
	ListCell   *lc;

	kpi_closed_begin(&check.view);
	if (check.view.n_closes > 0)
	{
		check.view.graph = kpi_store_graph(check.view.store);
		compare_cells(&check);
		foreach(lc, placements)
			compare_places(&check, lfirst(lc));
		if (check.differences > 0)
			refuse_difference(&check, is_dated);
	}
	kpi_closed_end(&check.view);
}
