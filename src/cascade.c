/*
 * cascade.c
 *		Evaluates changes along the graph: pending changes in, new cells out.
 *
 * Cells are evaluated in an order in which everything a cell rests on comes
 * before it: by period (finer grains first, then by time), and within a period
 * by the KPI's level in the graph of that period's last day.  A cell rests on
 *
 *		its own facts and targets,
 *		the cells of its children in the same period,
 *		its own cells in the base periods inside a coarser one, and
 *		for growth, its child's base cells, also of a year earlier,
 *
 * all of which are earlier in that order.  Each cell is evaluated at most
 * once, and only if something it rests on has changed.
 *
 * There are two ways to find what a cell is made of (its tally, the sum its
 * coverage is taken from, and so on).  To *gather* is to read all it rests on.
 * To take a *difference* is to start from what the stored cell was made of and
 * to replace one contribution by another, at a cost that does not depend on
 * how many there are.  Differences are taken while changes are handed on
 * (tell_parent, tell_coarser); where they do not suffice (a minimum may have
 * fallen away, a contribution disappeared, links changed, scores, growth,
 * "require") the cell is marked to be gathered.  What follows from the
 * ingredients (finish) is the same for both.
 */
#include "postgres.h"

#include "cascade.h"
#include "gather.h"
#include "lib/pairingheap.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* ------------------------------------------------------------------------
 * Cells in work
 * ------------------------------------------------------------------------ */

#define MISSES_BEFORE_ALL	4

static int
compare_works(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const KpiWork *x = pairingheap_const_container(KpiWork, node, a);
	const KpiWork *y = pairingheap_const_container(KpiWork, node, b);
	int			order = kpi_period_compare(x->key.period, y->key.period);

	/* the heap hands out the greatest first */
	return order != 0 ? -order : y->level - x->level;
}

KpiCascade *
kpi_cascade_begin(KpiStore *store)
{
	return kpi_cascade_begin_on(store, kpi_store_graph(store));
}

KpiCascade *
kpi_cascade_begin_on(KpiStore *store, KpiGraph *graph)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade cascade",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KpiCascade *cascade = palloc0(sizeof(KpiCascade));
	int			n;

	cascade->context = context;
	cascade->scratch = AllocSetContextCreate(context, "kpi_cascade cell", ALLOCSET_DEFAULT_SIZES);
	cascade->store = store;
	cascade->graph = graph;
	cascade->queue = pairingheap_allocate(compare_works, NULL);
	cascade->works = kpi_works_create(context, 256, NULL);
	n = kpi_graph_size(cascade->graph);
	cascade->complete_kpis = palloc0(sizeof(bool) * (n + 1));
	cascade->misses = palloc0(n + 1);
	MemoryContextSwitchTo(old);
	return cascade;
}

static void
copy_ingredients(KpiCell *into, const KpiCell *from)
{
	*into = *from;
	if (from->has_tally)
		kpi_tally_copy(&into->tally, &from->tally);
	if (from->has_own)
		kpi_tally_copy(&into->own, &from->own);
	if (from->coverage_sum)
		into->coverage_sum = kpi_number_copy(from->coverage_sum);
}

KpiWork *
kpi_cascade_find(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	KpiWorkKey	key = {kpi, period};
	KpiWorkEntry *entry = kpi_works_lookup(cascade->works, key);

	return entry ? entry->work : NULL;
}

/* the cell in work; sets found, or makes an empty one */
static KpiWork *
find_or_make(KpiCascade *cascade, int kpi, KpiPeriod period, bool *found)
{
	KpiWorkKey	key = {kpi, period};
	KpiWorkEntry *entry = kpi_works_insert(cascade->works, key, found);

	if (!*found)
	{
		entry->work = MemoryContextAllocZero(cascade->context, sizeof(KpiWork));
		entry->work->key = key;
	}
	return entry->work;
}

static void
bring_in(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell)
{
	KpiCascade *cascade = context;
	bool		found;
	KpiWork    *work = find_or_make(cascade, kpi_graph_find(cascade->graph, kpi_id), period, &found);

	if (found)
		return;
	work->old = *cell;
	copy_ingredients(&work->now, &work->old);
}

/* the cell in work, brought in from the table if it is not there yet */
KpiWork *
kpi_cascade_work(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	bool		found;
	KpiWork    *work = find_or_make(cascade, kpi, period, &found);
	int64		kpi_id;
	MemoryContext old;

	if (found || cascade->complete || cascade->complete_kpis[kpi])
		return work;
	kpi_id = kpi_graph_kpi(cascade->graph, kpi)->kpi_id;
	old = MemoryContextSwitchTo(cascade->context);
	if (kpi_store_cell(cascade->store, kpi_id, period, &work->old))
		copy_ingredients(&work->now, &work->old);
	else if (++cascade->misses[kpi] == MISSES_BEFORE_ALL)
	{
		/* probably a new KPI: ask once for all it has rather than for each cell */
		kpi_store_cells(cascade->store, kpi_id, KPI_PERIOD_NONE, KPI_PERIOD_NONE, bring_in, cascade);
		cascade->complete_kpis[kpi] = true;
	}
	MemoryContextSwitchTo(old);
	return work;
}

void
kpi_cascade_bring_in(KpiCascade *cascade, int kpi, KpiPeriod first, KpiPeriod last)
{
	MemoryContext old = MemoryContextSwitchTo(cascade->context);

	if (!cascade->complete && !cascade->complete_kpis[kpi])
		kpi_store_cells(cascade->store, kpi_graph_kpi(cascade->graph, kpi)->kpi_id, first, last,
						bring_in, cascade);
	MemoryContextSwitchTo(old);
}

/* is the period one in which the measure has cells? */
static bool
is_period_of(const KpiMeasure *measure, KpiPeriod period)
{
	KpiGrain	grain = kpi_period_grain(period);

	if (grain >= KPI_GRAIN_QUARTER && kpi_period_fiscal_start(period) != measure->fiscal_start)
		return false;
	return grain == measure->grain || kpi_grain_rolls_up_to(measure->grain, grain);
}

static void
enqueue(KpiCascade *cascade, KpiWork *work)
{
	const KpiEpoch *epoch;

	if (work->queued)
		return;
	epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(work->key.period));
	work->level = epoch->nodes[work->key.kpi].level;
	work->queued = true;
	pairingheap_add(cascade->queue, &work->node);
}

static void
enqueue_to_gather(KpiCascade *cascade, KpiWork *work)
{
	work->gather = true;
	enqueue(cascade, work);
}

/* calls what for the periods of coarser grains that the measure's period is in */
#define FOREACH_COARSER(measure, inside, coarser) \
	for (int grain_ = kpi_period_grain(inside) + 1; grain_ <= KPI_GRAIN_YEAR; grain_++) \
		if (kpi_grain_rolls_up_to(kpi_period_grain(inside), grain_) && \
			((coarser) = kpi_period_enclosing(inside, grain_, \
											  grain_ >= KPI_GRAIN_QUARTER ? (measure)->fiscal_start : 1)) \
			!= KPI_PERIOD_NONE)

/* ------------------------------------------------------------------------
 * Taking note of changes
 * ------------------------------------------------------------------------ */

/*
 * Marks on KPIs and units are collected first and expanded together when the
 * cascade runs, so that a thousand changed units cost one walk up the tree.
 */

/* the links into a KPI may have changed for periods that end on since or later */
static void
mark_inputs(KpiCascade *cascade, int kpi, DateADT since)
{
	if (cascade->marked == NULL)
	{
		int			n = kpi_graph_size(cascade->graph);

		cascade->marked = MemoryContextAlloc(cascade->context, sizeof(DateADT) * n);
		for (int i = 0; i < n; i++)
			cascade->marked[i] = DATEVAL_NOEND;
	}
	cascade->marked[kpi] = Min(cascade->marked[kpi], since);
}

/* the same for the KPIs of a measure (0: of all) at a unit and at all units above it */
static void
mark_upwards(KpiCascade *cascade, int64 unit_id, int64 measure_id, DateADT since)
{
	KpiUnitMarks *marks = NULL;
	ListCell   *lc;

	foreach(lc, cascade->unit_marks)
		if (((KpiUnitMarks *) lfirst(lc))->measure_id == measure_id)
			marks = lfirst(lc);
	if (marks == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(cascade->context);

		marks = palloc(sizeof(KpiUnitMarks));
		marks->measure_id = measure_id;
		marks->since = kpi_graph_unit_days(cascade->graph);
		cascade->unit_marks = lappend(cascade->unit_marks, marks);
		MemoryContextSwitchTo(old);
	}
	kpi_graph_note_unit(cascade->graph, marks->since, unit_id, since);
}

static void
mark_input(void *context, int kpi, DateADT since)
{
	mark_inputs(context, kpi, since);
}

typedef struct MarkExisting
{
	KpiCascade *cascade;
	int			kpi;
	DateADT		since;
	bool		read_facts;
	List	   *periods;
} MarkExisting;

static void
note_existing(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell)
{
	MarkExisting *marks = context;

	if (kpi_period_last_day(period) >= marks->since)
		marks->periods = lappend_int(marks->periods, (int) period);
}

/* the cells a KPI has now are gathered again */
static void
mark_existing(KpiCascade *cascade, int kpi, DateADT since, bool read_facts)
{
	MarkExisting marks = {cascade, kpi, since, read_facts, NIL};
	MemoryContext old = MemoryContextSwitchTo(cascade->scratch);
	ListCell   *lc;

	kpi_store_cells(cascade->store, kpi_graph_kpi(cascade->graph, kpi)->kpi_id, KPI_PERIOD_NONE,
					KPI_PERIOD_NONE, note_existing, &marks);
	foreach(lc, marks.periods)
	{
		KpiWork    *work = kpi_cascade_work(cascade, kpi, (KpiPeriod) lfirst_int(lc));

		work->read_facts |= read_facts;
		enqueue_to_gather(cascade, work);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(cascade->scratch);
}

/*
 * Links decide in which periods a KPI has cells.  The periods in use are all
 * that its children can have, apart from those that this cascade brings.
 */
static void
expand_marks(KpiCascade *cascade)
{
	int			n = kpi_graph_size(cascade->graph);
	MemoryContext old;
	List	   *periods;
	ListCell   *lc;

	foreach(lc, cascade->unit_marks)
	{
		KpiUnitMarks *marks = lfirst(lc);

		kpi_graph_each_kpi_above(cascade->graph, marks->since, marks->measure_id,
								 mark_input, cascade);
	}
	if (cascade->marked == NULL)
		return;
	for (int kpi = 0; kpi < n; kpi++)
		if (cascade->marked[kpi] != DATEVAL_NOEND)
			mark_existing(cascade, kpi, cascade->marked[kpi], false);
	old = MemoryContextSwitchTo(cascade->context);
	periods = kpi_store_periods_in_use(cascade->store);
	MemoryContextSwitchTo(old);
	foreach(lc, periods)
	{
		KpiPeriod	period = (KpiPeriod) lfirst_int(lc);
		DateADT		day = kpi_period_last_day(period);
		const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, day);

		for (int kpi = 0; kpi < n; kpi++)
			if (cascade->marked[kpi] <= day && epoch->nodes[kpi].n_down > 0 &&
				is_period_of(kpi_graph_kpi(cascade->graph, kpi)->measure, period))
				enqueue_to_gather(cascade, kpi_cascade_work(cascade, kpi, period));
	}
}

static void
mark_facts(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	KpiWork    *work = kpi_cascade_work(cascade, kpi, period);

	work->read_facts = true;
	enqueue_to_gather(cascade, work);
}

static void
mark_target(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	KpiPeriod	coarser;

	if (!is_period_of(measure, period))
		return;
	enqueue(cascade, kpi_cascade_work(cascade, kpi, period));
	FOREACH_COARSER(measure, period, coarser)
		enqueue(cascade, kpi_cascade_work(cascade, kpi, coarser));
}

static void
mark_growth_link(KpiCascade *cascade, int kpi, DateADT since)
{
	const KpiKpi *row = kpi_graph_kpi(cascade->graph, kpi);

	mark_inputs(cascade, kpi, since);
	/* an implied link leaves the KPI only while it is no growth KPI */
	mark_upwards(cascade, row->unit_id, row->measure_id, since);
}

/* a KPI came, or its validity or its measure's rules changed: all about it is read again */
static void
mark_own(KpiCascade *cascade, int kpi)
{
	const KpiKpi *row = kpi_graph_kpi(cascade->graph, kpi);
	KpiTargetSet targets;
	ListCell   *lc;
	KpiPeriod	coarser;

	mark_existing(cascade, kpi, DATEVAL_NOBEGIN, true);
	foreach(lc, kpi_store_fact_periods(cascade->store, row->kpi_id))
	{
		KpiPeriod	period = (KpiPeriod) lfirst_int(lc);

		if (!is_period_of(row->measure, period))
			continue;
		mark_facts(cascade, kpi, period);
		FOREACH_COARSER(row->measure, period, coarser)
			enqueue_to_gather(cascade, kpi_cascade_work(cascade, kpi, coarser));
	}
	kpi_store_targets(cascade->store, row->kpi_id, &targets);
	for (int i = 0; i < targets.n; i++)
		mark_target(cascade, kpi, targets.targets[i].period);
	mark_inputs(cascade, kpi, DATEVAL_NOBEGIN);

	/* links that leave it may be in force now, or no longer */
	foreach(lc, kpi_graph_links_from(cascade->graph, kpi))
	{
		const KpiLink *link = lfirst(lc);
		int			parent = kpi_graph_find(cascade->graph, link->parent_kpi_id);

		if (parent < 0)
			continue;
		mark_inputs(cascade, parent, DATEVAL_NOBEGIN);
		if (link->contributes == KPI_LINK_GROWTH)
			mark_growth_link(cascade, parent, DATEVAL_NOBEGIN);
	}
}

static void
add_facts(KpiCascade *cascade, int kpi, const KpiPending *change)
{
	KpiWork    *work;
	MemoryContext old;

	if (!is_period_of(kpi_graph_kpi(cascade->graph, kpi)->measure, change->period))
		return;
	if (!change->has_delta)
	{
		mark_facts(cascade, kpi, change->period);
		return;
	}
	work = kpi_cascade_work(cascade, kpi, change->period);
	old = MemoryContextSwitchTo(cascade->context);
	if (change->kind == KPI_PENDING_ADDED)
	{
		if (!work->has_added)
			kpi_tally_init(&work->added);
		work->has_added = true;
		kpi_tally_merge(&work->added, &change->delta);
	}
	else
	{
		if (!work->has_removed)
			kpi_tally_init(&work->removed);
		work->has_removed = true;
		kpi_tally_merge(&work->removed, &change->delta);
	}
	MemoryContextSwitchTo(old);
	enqueue(cascade, work);
}

static void
lose_kpi(KpiCascade *cascade, int64 kpi_id)
{
	MemoryContext old = MemoryContextSwitchTo(cascade->context);
	int64	   *id = palloc(sizeof(int64));

	*id = kpi_id;
	cascade->lost_kpis = lappend(cascade->lost_kpis, id);
	MemoryContextSwitchTo(old);
}

void
kpi_cascade_add(KpiCascade *cascade, const KpiPending *change)
{
	int			kpi = change->kpi_id != 0 ? kpi_graph_find(cascade->graph, change->kpi_id) : -1;
	ListCell   *lc;

	if (cascade->complete)
		return;
	switch (change->kind)
	{
		case KPI_PENDING_ADDED:
		case KPI_PENDING_REMOVED:
			if (kpi >= 0)
				add_facts(cascade, kpi, change);
			return;
		case KPI_PENDING_TARGET:
			if (kpi >= 0)
				mark_target(cascade, kpi, change->period);
			return;
		case KPI_PENDING_KPI:
			if (kpi >= 0)
				mark_own(cascade, kpi);
			else
				lose_kpi(cascade, change->kpi_id);
			mark_upwards(cascade, change->unit_id, change->measure_id, DATEVAL_NOBEGIN);
			return;
		case KPI_PENDING_LINK:
			if (kpi >= 0)
				mark_inputs(cascade, kpi, change->since);
			return;
		case KPI_PENDING_GROWTH_LINK:
			if (kpi >= 0)
				mark_growth_link(cascade, kpi, change->since);
			return;
		case KPI_PENDING_PLACEMENT:
			mark_upwards(cascade, change->unit_id, 0, change->since);
			return;
		case KPI_PENDING_VALIDITY:
			foreach(lc, kpi_graph_kpis_of_unit(cascade->graph, change->unit_id))
			{
				mark_own(cascade, lfirst_int(lc));
				mark_upwards(cascade, change->unit_id,
							 kpi_graph_kpi(cascade->graph, lfirst_int(lc))->measure_id,
							 DATEVAL_NOBEGIN);
			}
			return;
		case KPI_PENDING_MEASURE:
			foreach(lc, kpi_graph_kpis_of_measure(cascade->graph, change->measure_id))
				mark_own(cascade, lfirst_int(lc));
			return;
		case KPI_PENDING_EVERYTHING:
			kpi_cascade_start_over(cascade);
			return;
	}
	elog(ERROR, "unknown kind of pending change: %d", (int) change->kind);
}

/* ------------------------------------------------------------------------
 * Starting over
 * ------------------------------------------------------------------------ */

static void
start_from_fact(void *context, int64 kpi_id, KpiPeriod period, Numeric value, Numeric weight)
{
	KpiCascade *cascade = context;
	int			kpi = kpi_graph_find(cascade->graph, kpi_id);
	KpiWork    *work;
	MemoryContext old;

	if (kpi < 0 || !is_period_of(kpi_graph_kpi(cascade->graph, kpi)->measure, period))
		return;
	work = kpi_cascade_work(cascade, kpi, period);
	old = MemoryContextSwitchTo(cascade->context);
	if (!work->has_added)
		kpi_tally_init(&work->added);
	work->has_added = true;
	kpi_tally_observe(&work->added, value, weight);
	MemoryContextSwitchTo(old);
	enqueue(cascade, work);
}

/* forget what was noted, and compute everything from the facts and targets */
void
kpi_cascade_start_over(KpiCascade *cascade)
{
	cascade->complete = true;
	pairingheap_reset(cascade->queue);
	kpi_works_reset(cascade->works);
	cascade->lost_kpis = NIL;
	cascade->unit_marks = NIL;
	cascade->marked = NULL;

	kpi_store_each_fact(cascade->store, start_from_fact, cascade);
	for (int kpi = 0; kpi < kpi_graph_size(cascade->graph); kpi++)
	{
		KpiTargetSet targets;
		MemoryContext old = MemoryContextSwitchTo(cascade->scratch);

		kpi_store_targets(cascade->store, kpi_graph_kpi(cascade->graph, kpi)->kpi_id, &targets);
		for (int i = 0; i < targets.n; i++)
			mark_target(cascade, kpi, targets.targets[i].period);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cascade->scratch);
	}
}

/* ------------------------------------------------------------------------
 * Handing changes on
 * ------------------------------------------------------------------------ */

/*
 * Replaces one contribution to a sum by another (NULL: none).  False where
 * the sum cannot be had that way: a contribution disappears, so that perhaps
 * nothing is left, or an extreme may have fallen away.
 */
static bool
replace_contribution(bool *has_sum, KpiTally *sum, const KpiEdge *edge,
					 const KpiTally *old, const KpiTally *now)
{
	KpiTally	difference;

	if (now == NULL)
		return old == NULL;
	if (old != NULL)
	{
		if (kpi_tally_equal(old, now))
			return true;
		if (!*has_sum)
			return false;
		if (old->minimum != NULL && kpi_number_same(old->minimum, sum->minimum) &&
			(now->minimum == NULL || kpi_number_compare(now->minimum, old->minimum) > 0))
			return false;
		if (old->maximum != NULL && kpi_number_same(old->maximum, sum->maximum) &&
			(now->maximum == NULL || kpi_number_compare(now->maximum, old->maximum) < 0))
			return false;
	}
	if (!*has_sum)
		kpi_tally_init(sum);
	*has_sum = true;
	if (old == NULL && (edge == NULL || edge->plain))
	{
		kpi_tally_merge(sum, now);
		return true;
	}
	kpi_tally_copy(&difference, now);
	if (old != NULL)
	{
		kpi_tally_subtract(&difference, old);
		difference.minimum = now->minimum ? kpi_number_copy(now->minimum) : NULL;
		difference.maximum = now->maximum ? kpi_number_copy(now->maximum) : NULL;
		difference.extremes_unknown = false;
	}
	if (edge != NULL && !edge->plain)
		kpi_tally_scale(&difference, edge->weight);
	kpi_tally_merge(sum, &difference);
	kpi_tally_free(&difference);
	return true;
}

/* the same for an actual that counts as numerator or denominator */
static bool
replace_ratio_part(bool *has_sum, KpiTally *sum, const KpiEdge *edge, Numeric old, Numeric now)
{
	Numeric    *part = edge->contributes == KPI_LINK_NUMERATOR ? &sum->sum_value : &sum->sum_weight;
	Numeric		difference;

	if (now == NULL)
		return old == NULL;
	if (old != NULL && !*has_sum)
		return false;
	difference = old ? kpi_number_subtract(now, old) : kpi_number_copy(now);
	if (!*has_sum)
		kpi_tally_init(sum);
	*has_sum = true;
	*part = kpi_number_add(*part, kpi_number_multiply(edge->weight, difference));
	return true;
}

/* the same for a plain sum of weight (NULL: 1) times a figure */
static void
replace_in_sum(KpiCascade *cascade, Numeric *sum, Numeric weight, Numeric old, Numeric now)
{
	MemoryContext context = MemoryContextSwitchTo(cascade->scratch);
	Numeric		difference = now ? now : kpi_number_from_int(0);
	Numeric		before = *sum;

	if (old != NULL)
		difference = kpi_number_subtract(difference, old);
	if (weight != NULL)
		difference = kpi_number_multiply(difference, weight);
	MemoryContextSwitchTo(context);
	*sum = before ? kpi_number_add(before, difference) : kpi_number_copy(difference);
	if (before != NULL)
		pfree(before);
}

bool
kpi_cell_has_data(const KpiCell *cell)
{
	return cell->exists && (cell->has_tally || cell->actual != NULL || cell->score != NULL);
}

/* what disappears may have been the last: false asks to look at all there is */
static bool
replace_feed(KpiCell *cell, bool old, bool now)
{
	cell->is_fed |= now;
	return now || !old;
}

static bool
same_tally(const KpiCell *a, const KpiCell *b)
{
	if (!a->has_tally || !b->has_tally)
		return a->has_tally == b->has_tally;
	return kpi_tally_equal(&a->tally, &b->tally);
}

static bool
same_own(const KpiCell *a, const KpiCell *b)
{
	if (!a->has_own || !b->has_own)
		return a->has_own == b->has_own;
	return kpi_tally_equal(&a->own, &b->own);
}

/* does this change matter to a parent over this kind of link? */
static bool
matters_to_parent(const KpiEdge *edge, bool takes_links, const KpiCell *old, const KpiCell *now)
{
	if (kpi_cell_has_data(old) != kpi_cell_has_data(now))
		return true;
	if (edge->contributes != KPI_LINK_SCORE && edge->contributes != KPI_LINK_GROWTH && !takes_links)
		return false;
	if (!kpi_number_same(old->coverage, now->coverage))
		return true;
	switch (edge->contributes)
	{
		case KPI_LINK_VALUE:
			return !same_tally(old, now);
		case KPI_LINK_NUMERATOR:
		case KPI_LINK_DENOMINATOR:
			return !kpi_number_same(old->actual, now->actual);
		case KPI_LINK_SCORE:
			return !kpi_number_same(old->score, now->score);
		default:
			return !kpi_number_same(old->actual, now->actual) || !same_tally(old, now);
	}
}

static void
tell_parent(KpiCascade *cascade, const KpiEpoch *epoch, const KpiEdge *edge, const KpiWork *child)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, edge->parent)->measure;
	const KpiNode *node = &epoch->nodes[edge->parent];
	KpiPeriod	period = child->key.period;
	const KpiCell *old = &child->old;
	const KpiCell *now = &child->now;
	bool		takes_links;
	KpiWork    *work;
	bool		ok;

	if (!is_period_of(measure, period))
		return;
	takes_links = kpi_takes_links(measure, node, period);
	if (!matters_to_parent(edge, takes_links, old, now))
		return;
	work = kpi_cascade_work(cascade, edge->parent, period);
	enqueue(cascade, work);
	if (work->gather)
		return;
	if (!kpi_takes_differences(measure, node, period))
	{
		work->gather = true;
		return;
	}
	ok = replace_feed(&work->now, kpi_cell_has_data(old), kpi_cell_has_data(now));
	if (ok && takes_links)
	{
		if (edge->contributes == KPI_LINK_VALUE)
			ok = replace_contribution(&work->now.has_tally, &work->now.tally, edge,
									  old->has_tally ? &old->tally : NULL,
									  now->has_tally ? &now->tally : NULL);
		else
			ok = replace_ratio_part(&work->now.has_tally, &work->now.tally, edge,
									old->actual, now->actual);
		replace_in_sum(cascade, &work->now.coverage_sum, edge->magnitude, old->coverage, now->coverage);
	}
	work->gather = !ok;
}

static bool
matters_to_coarser(const KpiCell *old, const KpiCell *now)
{
	return kpi_cell_has_data(old) != kpi_cell_has_data(now) || !same_own(old, now) || !same_tally(old, now) ||
		!kpi_number_same(old->actual, now->actual) ||
		!kpi_number_same(old->coverage, now->coverage);
}

/* a base cell tells the coarser period it is in */
static void
tell_coarser(KpiCascade *cascade, const KpiWork *inside, KpiPeriod period)
{
	int			kpi = inside->key.kpi;
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(period));
	const KpiNode *node = &epoch->nodes[kpi];
	const KpiCell *old = &inside->old;
	const KpiCell *now = &inside->now;
	KpiWork    *work;
	KpiCell    *cell;
	bool		ok;

	if (!node->alive || !matters_to_coarser(old, now))
		return;
	work = kpi_cascade_work(cascade, kpi, period);
	enqueue(cascade, work);
	if (work->gather)
		return;
	cell = &work->now;
	if (!kpi_takes_differences(measure, node, period))
	{
		work->gather = true;
		return;
	}
	ok = replace_feed(cell, old->has_own || kpi_cell_has_data(old),
					  now->has_own || kpi_cell_has_data(now));
	if (kpi_takes_links(measure, node, period))
		ok = ok && same_own(old, now);
	else
	{
		ok = ok && replace_contribution(&cell->has_tally, &cell->tally, NULL,
										old->has_tally ? &old->tally : NULL,
										now->has_tally ? &now->tally : NULL);
		replace_in_sum(cascade, &cell->coverage_sum, NULL, old->coverage, now->coverage);
	}
	if (now->actual != NULL && kpi_period_compare(inside->key.period, cell->last_actual) > 0)
		cell->last_actual = inside->key.period;
	else if (now->actual == NULL && old->actual != NULL && cell->last_actual == inside->key.period)
		ok = false;
	work->gather = !ok;
}

/* growth KPIs that compare this period, or the one a year later, with the other */
static void
tell_growth(KpiCascade *cascade, const KpiWork *child)
{
	KpiPeriod	bases[2];

	bases[0] = child->key.period;
	bases[1] = kpi_period_year_after(child->key.period);
	for (int i = 0; i < 2 && bases[i] != KPI_PERIOD_NONE; i++)
	{
		const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, child->key.kpi)->measure;

		for (int grain = kpi_period_grain(bases[i]); grain <= KPI_GRAIN_YEAR; grain++)
		{
			KpiPeriod	period = bases[i];
			const KpiEpoch *epoch;
			const KpiNode *node;

			if (grain != (int) kpi_period_grain(bases[i]))
			{
				if (!kpi_grain_rolls_up_to(kpi_period_grain(bases[i]), grain))
					continue;
				period = kpi_period_enclosing(bases[i], grain,
											  grain >= KPI_GRAIN_QUARTER ? measure->fiscal_start : 1);
			}
			if (period == KPI_PERIOD_NONE || period == child->key.period)
				continue;
			epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(period));
			node = &epoch->nodes[child->key.kpi];
			for (int up = node->first_up; up < node->first_up + node->n_up; up++)
			{
				const KpiEdge *edge = &epoch->edges[epoch->up[up]];

				if (edge->contributes == KPI_LINK_GROWTH)
					enqueue_to_gather(cascade, kpi_cascade_work(cascade, edge->parent, period));
			}
		}
	}
}

static void
hand_on(KpiCascade *cascade, const KpiWork *work)
{
	const KpiKpi *kpi = kpi_graph_kpi(cascade->graph, work->key.kpi);
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(work->key.period));
	const KpiNode *node = &epoch->nodes[work->key.kpi];
	KpiPeriod	coarser;

	for (int up = node->first_up; up < node->first_up + node->n_up; up++)
		tell_parent(cascade, epoch, &epoch->edges[epoch->up[up]], work);
	if (kpi_period_grain(work->key.period) != kpi->measure->grain)
		return;
	FOREACH_COARSER(kpi->measure, work->key.period, coarser)
		tell_coarser(cascade, work, coarser);
	if (kpi->feeds_growth)
		tell_growth(cascade, work);
}

/* ------------------------------------------------------------------------
 * Evaluating
 * ------------------------------------------------------------------------ */

/* own facts of a base period, after the changes noted */
static void
settle_own(KpiCascade *cascade, KpiWork *work, const KpiNode *node)
{
	KpiCell    *cell = &work->now;
	int64		kpi_id = kpi_graph_kpi(cascade->graph, work->key.kpi)->kpi_id;
	KpiTally	before = cell->own;
	bool		had = cell->has_own;

	if (!work->read_facts && !work->has_added && !work->has_removed)
		return;
	if (!work->read_facts)
	{
		if (had)
			kpi_tally_copy(&cell->own, &before);
		else
			kpi_tally_init(&cell->own);
		if (work->has_added)
			kpi_tally_merge(&cell->own, &work->added);
		cell->has_own = true;
		if (work->has_removed)
		{
			Numeric		minimum = cell->own.minimum;
			Numeric		maximum = cell->own.maximum;

			/* a removed extreme, and so the removal of the last fact, needs a look at the rest */
			if (minimum == NULL || kpi_number_compare(work->removed.minimum, minimum) <= 0 ||
				kpi_number_compare(work->removed.maximum, maximum) >= 0)
				work->read_facts = true;
			else
			{
				minimum = kpi_number_copy(minimum);
				maximum = kpi_number_copy(maximum);
				kpi_tally_subtract(&cell->own, &work->removed);
				cell->own.minimum = minimum;
				cell->own.maximum = maximum;
				cell->own.extremes_unknown = false;
			}
		}
	}
	if (work->read_facts)
		cell->has_own = kpi_store_facts(cascade->store, kpi_id, work->key.period, &cell->own);
	if (work->gather)
		return;
	if (node->n_down == 0)
	{
		cell->has_tally = cell->has_own;
		if (cell->has_own)
			kpi_tally_copy(&cell->tally, &cell->own);
		cell->is_fed = cell->has_own;
	}
	else if (had && !cell->has_own)
		work->gather = true;
	else
	{
		work->gather = !replace_contribution(&cell->has_tally, &cell->tally, NULL,
											 had ? &before : NULL,
											 cell->has_own ? &cell->own : NULL);
		cell->is_fed |= cell->has_own;
	}
}

static void
evaluate(KpiCascade *cascade, KpiWork *work)
{
	const KpiKpi *kpi = kpi_graph_kpi(cascade->graph, work->key.kpi);
	KpiPeriod	period = work->key.period;
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(period));
	const KpiNode *node = &epoch->nodes[work->key.kpi];

	cascade->evaluated++;
	if (!node->alive || !is_period_of(kpi->measure, period))
	{
		memset(&work->now, 0, sizeof(KpiCell));
		return;
	}
	if (kpi_period_grain(period) == kpi->measure->grain)
		settle_own(cascade, work, node);
	if (!kpi_takes_differences(kpi->measure, node, period))
		work->gather = true;
	if (work->gather)
		kpi_gather(cascade, work, epoch);
	kpi_finish(cascade, work, node);
}

void
kpi_cascade_run(KpiCascade *cascade)
{
	expand_marks(cascade);
	while (!pairingheap_is_empty(cascade->queue))
	{
		KpiWork    *work = pairingheap_container(KpiWork, node,
												 pairingheap_remove_first(cascade->queue));
		MemoryContext old = MemoryContextSwitchTo(cascade->context);

		CHECK_FOR_INTERRUPTS();
		Assert(!work->done);
		evaluate(cascade, work);
		work->done = true;
		work->changed = !kpi_cell_equal(&work->old, &work->now);
		if (work->changed)
			hand_on(cascade, work);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cascade->scratch);
	}
}

/* ------------------------------------------------------------------------
 * Results
 * ------------------------------------------------------------------------ */

bool
kpi_cell_equal(const KpiCell *a, const KpiCell *b)
{
	if (!a->exists || !b->exists)
		return a->exists == b->exists;
	return a->status == b->status && a->is_fed == b->is_fed &&
		a->last_actual == b->last_actual && same_tally(a, b) && same_own(a, b) &&
		kpi_number_same(a->actual, b->actual) &&
		kpi_number_same(a->target, b->target) &&
		kpi_number_same(a->attainment, b->attainment) &&
		kpi_number_same(a->target_to_date, b->target_to_date) &&
		kpi_number_same(a->attainment_to_date, b->attainment_to_date) &&
		kpi_number_same(a->driver_score, b->driver_score) &&
		kpi_number_same(a->score, b->score) &&
		kpi_number_same(a->coverage, b->coverage) &&
		kpi_number_same(a->coverage_sum, b->coverage_sum);
}

int64
kpi_cascade_evaluated(const KpiCascade *cascade)
{
	return cascade->evaluated;
}

bool
kpi_cascade_is_complete(const KpiCascade *cascade)
{
	return cascade->complete;
}

List *
kpi_cascade_lost_kpis(const KpiCascade *cascade)
{
	return cascade->lost_kpis;
}

static int
compare_keys(const ListCell *a, const ListCell *b)
{
	const KpiWork *x = lfirst(a);
	const KpiWork *y = lfirst(b);

	if (x->key.kpi != y->key.kpi)
		return x->key.kpi < y->key.kpi ? -1 : 1;
	return kpi_period_compare(x->key.period, y->key.period);
}

void
kpi_cascade_each_change(KpiCascade *cascade, KpiChangeVisitor visit, void *context)
{
	kpi_works_iterator iterator;
	KpiWorkEntry *entry;
	KpiWork    *work;
	List	   *changed = NIL;
	ListCell   *lc;

	kpi_works_start_iterate(cascade->works, &iterator);
	while ((entry = kpi_works_iterate(cascade->works, &iterator)) != NULL)
		if (entry->work->changed)
			changed = lappend(changed, entry->work);
	/* KPI indexes are in the order of their ids */
	list_sort(changed, compare_keys);
	foreach(lc, changed)
	{
		work = lfirst(lc);
		visit(context, kpi_graph_kpi(cascade->graph, work->key.kpi)->kpi_id, work->key.period,
			  &work->old, &work->now);
	}
	list_free(changed);
}
