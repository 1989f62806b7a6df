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
