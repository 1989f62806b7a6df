/*
 * demand.c
 *		Evaluates single cells for a reader, who seldom wants all that changed.
 *
 * A fold hands every change on upwards and so evaluates every cell that it
 * concerns (cascade.c).  A reader asks for a few of those cells.  So two steps:
 *
 *	1.	Spread: from the cells with noted changes upwards along the links, and
 *		from base periods to the coarser ones around them, everything that
 *		may change is listed, and nothing is read.
 *	2.	Demand: when the value of one of these is asked for, first those it
 *		rests on are demanded, as far as they are listed; then they hand
 *		their changes on to this one, by the very functions a fold uses; then
 *		it is evaluated.  Each cell is evaluated at most once.
 *
 * What is demanded only to hand on a tally needs no targets and no score.  A
 * cell listed that turns out not to change keeps the figures it has.
 *
 * A figure at the top with many small changes far beneath is what is read most
 * often.  Where facts were only added, all links on the way hand on values, and
 * the cell's coverage is 1, so that nothing beneath can become known that was
 * not, the tallies added beneath it, times the weights of the links, are its
 * own difference: the cells between need not be brought in at all.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "works.h"

/* ------------------------------------------------------------------------
 * Spread
 * ------------------------------------------------------------------------ */

typedef struct Spread
{
	KpiCascade *cascade;
	KpiWorkKey *keys;			/* listed, and up to done also spread from */
	int			n;
	int			room;
} Spread;

static void
list_cell(void *context, int kpi, KpiPeriod period)
{
	Spread	   *spread = context;
	KpiWorkKey	key = {kpi, period};
	bool		found;

	(void) kpi_works_insert(spread->cascade->listed, key, &found);
	if (found)
		return;
	if (spread->n == spread->room)
	{
		spread->room *= 2;
		spread->keys = repalloc_huge(spread->keys, sizeof(KpiWorkKey) * spread->room);
	}
	spread->keys[spread->n++] = key;
}

static void
spread_from(Spread *spread, KpiWorkKey key)
{
	KpiCascade *cascade = spread->cascade;
	const KpiKpi *kpi = kpi_graph_kpi(cascade->graph, key.kpi);
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(key.period));
	const KpiNode *node = &epoch->nodes[key.kpi];
	KpiPeriod	coarser;

	for (int up = node->first_up; up < node->first_up + node->n_up; up++)
	{
		int			parent = epoch->edges[epoch->up[up]].parent;

		if (kpi_cascade_has_period(kpi_graph_kpi(cascade->graph, parent)->measure, key.period))
			list_cell(spread, parent, key.period);
	}
	if (kpi_period_grain(key.period) != kpi->measure->grain)
		return;
	KPI_FOREACH_COARSER(kpi->measure, key.period, coarser)
		list_cell(spread, key.kpi, coarser);
	if (kpi->feeds_growth)
		kpi_cascade_each_growth(cascade, key.kpi, key.period, list_cell, spread);
}

void
kpi_cascade_spread(KpiCascade *cascade)
{
	MemoryContext old = MemoryContextSwitchTo(cascade->context);
	Spread		spread = {.cascade = cascade, .room = 256};
	kpi_works_iterator iterator;
	KpiWorkEntry *entry;

	kpi_cascade_expand_marks(cascade);
	cascade->listed = kpi_works_create(cascade->context, 1024 + 8 * cascade->works->members, NULL);
	spread.keys = palloc(sizeof(KpiWorkKey) * spread.room);
	kpi_works_start_iterate(cascade->works, &iterator);
	while ((entry = kpi_works_iterate(cascade->works, &iterator)) != NULL)
		if (entry->work->queued)
			list_cell(&spread, entry->key.kpi, entry->key.period);
	for (int done = 0; done < spread.n; done++)
	{
		CHECK_FOR_INTERRUPTS();
		spread_from(&spread, spread.keys[done]);
	}
	pfree(spread.keys);
	MemoryContextSwitchTo(old);
}

bool
kpi_cascade_lists(const KpiCascade *cascade, int64 kpi_id, KpiPeriod period)
{
	KpiWorkKey	key = {kpi_graph_find(cascade->graph, kpi_id), period};

	return key.kpi >= 0 && kpi_works_lookup(cascade->listed, key) != NULL;
}

void
kpi_cascade_each_listed(KpiCascade *cascade, KpiListedVisitor visit, void *context)
{
	kpi_works_iterator iterator;
	KpiWorkEntry *entry;

	kpi_works_start_iterate(cascade->listed, &iterator);
	while ((entry = kpi_works_iterate(cascade->listed, &iterator)) != NULL)
		visit(context, kpi_graph_kpi(cascade->graph, entry->key.kpi)->kpi_id, entry->key.period);
}

/* ------------------------------------------------------------------------
 * Demand
 * ------------------------------------------------------------------------ */

static KpiWork *demand(KpiCascade *cascade, int kpi, KpiPeriod period, bool fully);

/* the cell evaluated, if it is one that may change */
static KpiWork *
demand_listed(KpiCascade *cascade, int kpi, KpiPeriod period, bool fully)
{
	KpiWorkKey	key = {kpi, period};

	if (period == KPI_PERIOD_NONE || kpi_works_lookup(cascade->listed, key) == NULL)
		return NULL;
	return demand(cascade, kpi, period, fully);
}

static void
demand_children(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	DateADT		day = kpi_period_last_day(period);
	const KpiNode *node = &kpi_graph_epoch(cascade->graph, day)->nodes[kpi];
	int			first = node->first_down;
	int			n = node->n_down;

	for (int i = first; i < first + n; i++)
	{
		/* demanding one may drop an epoch */
		KpiEdge		edge = kpi_graph_epoch(cascade->graph, day)->edges[i];
		KpiWork    *child = demand_listed(cascade, edge.child, period,
										  edge.contributes == KPI_LINK_SCORE);

		if (child != NULL)
			kpi_cascade_tell_parent(cascade, kpi_graph_epoch(cascade->graph, day), &edge, child);
	}
}

/* the base periods inside a coarser one; are any listed? */
static bool
demand_bases(KpiCascade *cascade, int kpi, KpiPeriod period, bool tell)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	bool		any = false;

	KPI_FOREACH_BASE(measure, inside, period)
	{
		KpiWork    *base = demand_listed(cascade, kpi, inside, false);

		any |= base != NULL;
		if (base != NULL && tell)
			kpi_cascade_tell_coarser(cascade, base, period);
	}
	return any;
}

/*
 * What a growth KPI compares, over its growth link.  The child tells its parent
 * in the same period only, so the growth of a later one is looked at again
 * wherever something it compares is listed, as a fold does.
 */
static void
demand_growth(KpiCascade *cascade, int kpi, KpiPeriod period, bool base)
{
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(period));
	int			child = kpi_growing_child(epoch, &epoch->nodes[kpi]);
	KpiPeriod	year_before = kpi_period_year_before(period);
	bool		any;

	if (child < 0)
		return;
	if (base)
		any = demand_listed(cascade, child, year_before, false) != NULL;
	else
	{
		any = demand_bases(cascade, child, period, false);
		if (year_before != KPI_PERIOD_NONE)
			any |= demand_bases(cascade, child, year_before, false);
	}
	if (any)
		kpi_cascade_enqueue_to_gather(cascade, kpi_cascade_work(cascade, kpi, period));
}

static KpiWork *
demand(KpiCascade *cascade, int kpi, KpiPeriod period, bool fully)
{
	KpiWork    *work = kpi_cascade_work(cascade, kpi, period);
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	bool		base = kpi_period_grain(period) == measure->grain;

	if (work->done)
	{
		if (fully && work->partly)
			kpi_cascade_complete_work(cascade, work);
		return work;
	}
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	demand_children(cascade, kpi, period);
	if (!base && kpi_cascade_has_period(measure, period))
		(void) demand_bases(cascade, kpi, period, true);
	if (kpi_graph_epoch(cascade->graph, kpi_period_last_day(period))->nodes[kpi].is_growth)
		demand_growth(cascade, kpi, period, base);

	if (work->queued)
		kpi_cascade_evaluate(cascade, work, fully);
	work->done = true;
	MemoryContextReset(cascade->scratch);
	return work;
}

/* ------------------------------------------------------------------------
 * What was added beneath
 * ------------------------------------------------------------------------ */

typedef struct Added
{
	KpiCascade *cascade;
	bool		has_sum;
	KpiTally	sum;
	int64		visits;			/* many ways to one cell are left to the other procedure */
} Added;

static void
add_scaled(Added *added, const KpiTally *part, Numeric weight)
{
	KpiTally	scaled;

	kpi_tally_copy(&scaled, part);
	if (weight != NULL)
		kpi_tally_scale(&scaled, weight);
	if (added->has_sum)
		kpi_tally_merge(&added->sum, &scaled);
	else
		added->sum = scaled;
	added->has_sum = true;
}

/* adds what was added at and beneath a cell; false where more than that happened */
static bool
add_beneath(Added *added, int kpi, KpiPeriod period, Numeric weight)
{
	KpiCascade *cascade = added->cascade;
	DateADT		day = kpi_period_last_day(period);
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, day);
	const KpiNode *node = &epoch->nodes[kpi];
	const KpiWork *work = kpi_cascade_find(cascade, kpi, period);

	check_stack_depth();
	if (++added->visits > 4 * (int64) cascade->listed->members ||
		!node->alive || kpi_period_grain(period) != measure->grain ||
		node->has_ratio_links || !kpi_takes_differences(measure, node, period))
		return false;
	if (work != NULL)
	{
		if (work->gather || work->read_facts || work->removed != NULL)
			return false;
		if (work->added != NULL)
			add_scaled(added, work->added, weight);
	}
	/* epochs stay: all of this is in one period */
	for (int i = node->first_down; i < node->first_down + node->n_down; i++)
	{
		const KpiEdge *edge = &epoch->edges[i];
		KpiWorkKey	key = {edge->child, period};
		Numeric		way = weight;

		if (kpi_works_lookup(cascade->listed, key) == NULL)
			continue;
		if (edge->contributes != KPI_LINK_VALUE)
			return false;
		if (!edge->plain)
			way = weight ? kpi_number_multiply(weight, edge->weight) : edge->weight;
		if (!add_beneath(added, edge->child, period, way))
			return false;
	}
	return true;
}

/* is a tally of the measure without an actual impossible? */
static bool
always_has_actual(const KpiMeasure *measure)
{
	return measure->rollup != KPI_ROLLUP_RATIO && measure->rollup != KPI_ROLLUP_WEIGHTED_MEAN;
}

/* brings the cell up to date by what was added beneath it, if that is all */
static bool
take_what_was_added(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	KpiWork    *work = kpi_cascade_find(cascade, kpi, period);
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	const KpiNode *node = &kpi_graph_epoch(cascade->graph, kpi_period_last_day(period))->nodes[kpi];
	Added		added = {.cascade = cascade};

	if (work != NULL && (work->done || work->queued))
		return false;
	if (!node->alive || !kpi_cascade_has_period(measure, period))
		return false;
	if (kpi_period_grain(period) == measure->grain)
	{
		if (!add_beneath(&added, kpi, period, NULL))
			return false;
	}
	else
	{
		if (kpi_takes_links(measure, node, period) || !always_has_actual(measure) ||
			!kpi_takes_differences(measure, node, period))
			return false;
		KPI_FOREACH_BASE(measure, inside, period)
		{
			KpiWorkKey	key = {kpi, inside};

			if (kpi_works_lookup(cascade->listed, key) != NULL &&
				!add_beneath(&added, kpi, inside, NULL))
				return false;
		}
	}
	work = kpi_cascade_work(cascade, kpi, period);
	if (!work->old->exists || !work->now.has_tally || !work->now.is_fed ||
		kpi_number_compare(work->now.coverage, kpi_number_from_int(1)) != 0)
		return false;
	if (added.has_sum)
	{
		kpi_tally_merge(&work->now.tally, &added.sum);
		kpi_cascade_enqueue(cascade, work);
		kpi_cascade_evaluate(cascade, work, true);
	}
	work->done = true;
	MemoryContextReset(cascade->scratch);
	return true;
}

const KpiCell *
kpi_cascade_evaluated_cell(const KpiCascade *cascade, int64 kpi_id, KpiPeriod period)
{
	KpiWorkKey	key = {kpi_graph_find(cascade->graph, kpi_id), period};
	KpiWorkEntry *entry = key.kpi >= 0 ? kpi_works_lookup(cascade->works, key) : NULL;

	return entry != NULL && entry->work->done && !entry->work->partly ? &entry->work->now : NULL;
}

const KpiCell *
kpi_cascade_demand(KpiCascade *cascade, KpiStore *store, int64 kpi_id, KpiPeriod period)
{
	int			kpi = kpi_graph_find(cascade->graph, kpi_id);
	MemoryContext old = MemoryContextSwitchTo(cascade->context);
	KpiWork    *work;

	cascade->store = store;
	if (kpi >= 0 && kpi_cascade_lists(cascade, kpi_id, period))
		(void) take_what_was_added(cascade, kpi, period);
	work = demand_listed(cascade, kpi, period, true);
	cascade->store = NULL;
	MemoryContextSwitchTo(old);
	return work ? &work->now : NULL;
}

void
kpi_cascade_demand_all(KpiCascade *cascade, KpiStore *store)
{
	kpi_works_iterator iterator;
	KpiWorkEntry *entry;
	MemoryContext old = MemoryContextSwitchTo(cascade->context);

	cascade->store = store;
	kpi_works_start_iterate(cascade->listed, &iterator);
	while ((entry = kpi_works_iterate(cascade->listed, &iterator)) != NULL)
		(void) demand(cascade, entry->key.kpi, entry->key.period, true);
	cascade->store = NULL;
	MemoryContextSwitchTo(old);
}
