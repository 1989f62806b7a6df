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
 * (kpi_cascade_tell_parent, kpi_cascade_tell_coarser); where they do not suffice (a minimum may have
 * fallen away, a contribution disappeared, links changed, scores, growth,
 * "require") the cell is marked to be gathered.  What follows from the
 * ingredients (finish) is the same for both.
 */
#include "postgres.h"

#include "cascade.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "works.h"

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
	if (old == NULL && (edge == NULL || edge->plain))
	{
		if (*has_sum)
			kpi_tally_merge(sum, now);
		else
			kpi_tally_copy(sum, now);
		*has_sum = true;
		return true;
	}
	if (!*has_sum)
		kpi_tally_init(sum);
	*has_sum = true;
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

/* what disappears may have been the last: false asks to look at all there is */
static bool
replace_feed(KpiCell *cell, bool old, bool now)
{
	cell->is_fed |= now;
	return now || !old;
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
			return !kpi_cell_same_tally(old, now);
		case KPI_LINK_NUMERATOR:
		case KPI_LINK_DENOMINATOR:
			return !kpi_number_same(old->actual, now->actual);
		case KPI_LINK_SCORE:
			return !kpi_number_same(old->score, now->score);
		default:
			return !kpi_number_same(old->actual, now->actual) || !kpi_cell_same_tally(old, now);
	}
}

void
kpi_cascade_tell_parent(KpiCascade *cascade, const KpiEpoch *epoch, const KpiEdge *edge,
						const KpiWork *child)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, edge->parent)->measure;
	const KpiNode *node = &epoch->nodes[edge->parent];
	KpiPeriod	period = child->key.period;
	const KpiCell *old = child->old;
	const KpiCell *now = &child->now;
	bool		takes_links;
	KpiWork    *work;
	bool		ok;

	if (!kpi_cascade_has_period(measure, period))
		return;
	takes_links = kpi_takes_links(measure, node, period);
	if (!matters_to_parent(edge, takes_links, old, now))
		return;
	work = kpi_cascade_work(cascade, edge->parent, period);
	kpi_cascade_enqueue(cascade, work);
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
	return kpi_cell_has_data(old) != kpi_cell_has_data(now) || !kpi_cell_same_own(old, now) || !kpi_cell_same_tally(old, now) ||
		!kpi_number_same(old->actual, now->actual) ||
		!kpi_number_same(old->coverage, now->coverage);
}

/* a base cell tells the coarser period it is in */
void
kpi_cascade_tell_coarser(KpiCascade *cascade, const KpiWork *inside, KpiPeriod period)
{
	int			kpi = inside->key.kpi;
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(period));
	const KpiNode *node = &epoch->nodes[kpi];
	const KpiCell *old = inside->old;
	const KpiCell *now = &inside->now;
	KpiWork    *work;
	KpiCell    *cell;
	bool		ok;

	if (!node->alive || !matters_to_coarser(old, now))
		return;
	work = kpi_cascade_work(cascade, kpi, period);
	kpi_cascade_enqueue(cascade, work);
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
		ok = ok && kpi_cell_same_own(old, now);
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

/* growth KPIs that compare this base period, or the one a year later, with the other */
void
kpi_cascade_each_growth(KpiCascade *cascade, int kpi, KpiPeriod base, KpiGrowthVisitor visit,
						void *context)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	KpiPeriod	bases[2];

	bases[0] = base;
	bases[1] = kpi_period_year_after(base);
	for (int i = 0; i < 2 && bases[i] != KPI_PERIOD_NONE; i++)
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
			if (period == KPI_PERIOD_NONE || period == base)
				continue;
			epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(period));
			node = &epoch->nodes[kpi];
			for (int up = node->first_up; up < node->first_up + node->n_up; up++)
			{
				const KpiEdge *edge = &epoch->edges[epoch->up[up]];

				if (edge->contributes == KPI_LINK_GROWTH)
					visit(context, edge->parent, period);
			}
		}
}

static void
gather_growth(void *context, int parent, KpiPeriod period)
{
	kpi_cascade_enqueue_to_gather(context, kpi_cascade_work(context, parent, period));
}

static void
hand_on(KpiCascade *cascade, const KpiWork *work)
{
	const KpiKpi *kpi = kpi_graph_kpi(cascade->graph, work->key.kpi);
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(work->key.period));
	const KpiNode *node = &epoch->nodes[work->key.kpi];
	KpiPeriod	coarser;

	for (int up = node->first_up; up < node->first_up + node->n_up; up++)
		kpi_cascade_tell_parent(cascade, epoch, &epoch->edges[epoch->up[up]], work);
	if (kpi_period_grain(work->key.period) != kpi->measure->grain)
		return;
	KPI_FOREACH_COARSER(kpi->measure, work->key.period, coarser)
		kpi_cascade_tell_coarser(cascade, work, coarser);
	if (kpi->feeds_growth)
		kpi_cascade_each_growth(cascade, work->key.kpi, work->key.period, gather_growth, cascade);
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

	if (!work->read_facts && work->added == NULL && work->removed == NULL)
		return;
	if (!work->read_facts)
	{
		if (had)
			kpi_tally_copy(&cell->own, &before);
		else if (work->added != NULL)
			cell->own = *work->added;
		else
			kpi_tally_init(&cell->own);
		if (had && work->added != NULL)
			kpi_tally_merge(&cell->own, work->added);
		cell->has_own = true;
		if (work->removed != NULL)
		{
			Numeric		minimum = cell->own.minimum;
			Numeric		maximum = cell->own.maximum;

			/* a removed extreme, and so the removal of the last fact, needs a look at the rest */
			if (minimum == NULL || kpi_number_compare(work->removed->minimum, minimum) <= 0 ||
				kpi_number_compare(work->removed->maximum, maximum) >= 0)
				work->read_facts = true;
			else
			{
				minimum = kpi_number_copy(minimum);
				maximum = kpi_number_copy(maximum);
				kpi_tally_subtract(&cell->own, work->removed);
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
		/* nothing else will be added to either, so they may be one */
		cell->has_tally = cell->has_own;
		cell->tally = cell->own;
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

void
kpi_cascade_evaluate(KpiCascade *cascade, KpiWork *work, bool fully)
{
	const KpiKpi *kpi = kpi_graph_kpi(cascade->graph, work->key.kpi);
	KpiPeriod	period = work->key.period;
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(period));
	const KpiNode *node = &epoch->nodes[work->key.kpi];

	cascade->evaluated++;
	if (work->unread)
		(void) kpi_cascade_work(cascade, work->key.kpi, period);
	if (!node->alive || !kpi_cascade_has_period(kpi->measure, period))
	{
		memset(&work->now, 0, sizeof(KpiCell));
		return;
	}
	if (kpi_period_grain(period) == kpi->measure->grain)
		settle_own(cascade, work, node);
	if (!kpi_takes_differences(kpi->measure, node, period))
		work->gather = true;
	/* where there was no cell, what is covered but has no data was not kept */
	if (!work->old->exists && kpi->covers_unseen && !cascade->complete)
		work->gather = true;
	if (work->gather)
		kpi_gather(cascade, work, epoch);
	kpi_finish(cascade, work, node, fully);
}

void
kpi_cascade_complete_work(KpiCascade *cascade, KpiWork *work)
{
	const KpiEpoch *epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(work->key.period));
	MemoryContext old = MemoryContextSwitchTo(cascade->context);

	kpi_finish(cascade, work, &epoch->nodes[work->key.kpi], true);
	MemoryContextSwitchTo(old);
	MemoryContextReset(cascade->scratch);
}

void
kpi_cascade_run(KpiCascade *cascade)
{
	KpiWork    *work;

	kpi_cascade_expand_marks(cascade);
	while ((work = kpi_cascade_dequeue(cascade)) != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(cascade->context);

		CHECK_FOR_INTERRUPTS();
		Assert(!work->done);
		kpi_cascade_evaluate(cascade, work, true);
		work->done = true;
		work->changed = !kpi_cell_equal(work->old, &work->now);
		if (work->changed)
			hand_on(cascade, work);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cascade->scratch);
	}
}
