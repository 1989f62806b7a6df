/*
 * gather.c
 *		What a cell is made of, and what follows from it.
 *
 * kpi_gather reads the ingredients of one cell from its children and from the
 * base periods inside it; kpi_finish turns ingredients into figures.  The
 * rules are those of the reference, chapter "What the numbers mean":
 *
 *		base period			own facts, and children over links in force
 *		coarser, by rule	numerator or denominator links in force: own facts
 *							  inside, and children at the coarser period
 *							last: own facts of the last base period that has
 *							  some, and children at the coarser period
 *							pool: the base periods inside, merged
 *							mean: the mean of the actuals of the base periods
 *		growth				like for like with a year earlier
 *
 * Long-lived figures are allocated in the cascade's context, everything else
 * in its scratch context.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "works.h"

static bool
is_base(const KpiMeasure *measure, KpiPeriod period)
{
	return kpi_period_grain(period) == measure->grain;
}

bool
kpi_takes_links(const KpiMeasure *measure, const KpiNode *node, KpiPeriod period)
{
	if (node->is_growth)
		return false;
	return is_base(measure, period) || node->has_ratio_links ||
		measure->time_rollup == KPI_TIME_LAST;
}

bool
kpi_takes_differences(const KpiMeasure *measure, const KpiNode *node, KpiPeriod period)
{
	if (node->is_growth || node->score_weight != NULL ||
		measure->missing_child == KPI_MISSING_REQUIRE)
		return false;
	return kpi_takes_links(measure, node, period) || measure->time_rollup != KPI_TIME_MEAN;
}

/* adds weight (NULL: 1) times amount to a sum that may not have begun */
static void
add_to(Numeric *sum, Numeric weight, Numeric amount)
{
	Numeric		part = weight ? kpi_number_multiply(weight, amount) : kpi_number_copy(amount);
	Numeric		before = *sum;

	if (before == NULL)
	{
		*sum = part;
		return;
	}
	*sum = kpi_number_add(before, part);
	pfree(before);
	pfree(part);
}

static void
add_tally(KpiCell *cell, const KpiTally *part, const KpiEdge *edge)
{
	KpiTally	scaled;

	if (edge == NULL || edge->plain)
	{
		if (cell->has_tally)
			kpi_tally_merge(&cell->tally, part);
		else
			kpi_tally_copy(&cell->tally, part);
	}
	else
	{
		kpi_tally_copy(&scaled, part);
		kpi_tally_scale(&scaled, edge->weight);
		if (cell->has_tally)
		{
			kpi_tally_merge(&cell->tally, &scaled);
			kpi_tally_free(&scaled);
		}
		else
			cell->tally = scaled;
	}
	cell->has_tally = true;
}

/* ------------------------------------------------------------------------
 * Children
 * ------------------------------------------------------------------------ */

typedef struct Drivers
{
	Numeric		sum;			/* of w * score */
	Numeric		weight;			/* of those with a score */
	Numeric		lowest;
	Numeric		highest;
	int			missing;
} Drivers;

static void
take_driver(Drivers *drivers, const KpiEdge *edge, const KpiCell *child)
{
	Numeric		score = child->exists ? child->score : NULL;

	if (score == NULL)
	{
		drivers->missing++;
		return;
	}
	add_to(&drivers->sum, edge->weight, score);
	add_to(&drivers->weight, NULL, edge->weight);
	if (drivers->lowest == NULL || kpi_number_compare(score, drivers->lowest) < 0)
		drivers->lowest = score;
	if (drivers->highest == NULL || kpi_number_compare(score, drivers->highest) > 0)
		drivers->highest = score;
}

/* the driver score; all_weight is the sum over all score links in force */
static Numeric
driver_score(const KpiMeasure *measure, const Drivers *drivers, Numeric all_weight)
{
	bool		counts_zero = measure->missing_child == KPI_MISSING_ZERO && drivers->missing > 0;
	Numeric		zero = kpi_number_from_int(0);

	if (drivers->weight == NULL)
		return NULL;			/* no child has a score */
	if (measure->missing_child == KPI_MISSING_REQUIRE && drivers->missing > 0)
		return NULL;
	switch (measure->driver_rollup)
	{
		case KPI_DRIVER_MEAN:
			return kpi_number_quotient(drivers->sum, counts_zero ? all_weight : drivers->weight);
		case KPI_DRIVER_MIN:
			if (counts_zero && kpi_number_compare(drivers->lowest, zero) > 0)
				return zero;
			return kpi_number_copy(drivers->lowest);
		case KPI_DRIVER_MAX:
			if (counts_zero && kpi_number_compare(drivers->highest, zero) < 0)
				return zero;
			return kpi_number_copy(drivers->highest);
	}
	elog(ERROR, "unknown driver rollup %d", (int) measure->driver_rollup);
	return NULL;				/* keep compilers quiet */
}

/*
 * Reads the children over all links in force.  takes_links: their values and
 * coverage count in this period; otherwise only their scores, and whether they
 * have data.  score_coverage: the coverage of score children is what counts.
 */
static void
gather_children(KpiCascade *cascade, KpiWork *work, const KpiEpoch *epoch, bool takes_links,
				bool score_coverage)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, work->key.kpi)->measure;
	const KpiNode *node = &epoch->nodes[work->key.kpi];
	KpiCell    *cell = &work->now;
	Drivers		drivers = {0};
	int			missing = 0;

	for (int i = node->first_down; i < node->first_down + node->n_down; i++)
	{
		const KpiEdge *edge = &epoch->edges[i];
		const KpiCell *child = &kpi_cascade_work(cascade, edge->child, work->key.period)->now;

		cell->is_fed |= kpi_cell_has_data(child);
		if (edge->contributes == KPI_LINK_SCORE)
		{
			take_driver(&drivers, edge, child);
			if (score_coverage && child->exists)
				add_to(&cell->coverage_sum, edge->weight, child->coverage);
			continue;
		}
		if (!takes_links || edge->contributes == KPI_LINK_GROWTH)
			continue;
		if (child->exists)
			add_to(&cell->coverage_sum, edge->magnitude, child->coverage);
		if (edge->contributes == KPI_LINK_VALUE)
		{
			if (child->exists && child->has_tally)
				add_tally(cell, &child->tally, edge);
			else
				missing++;
		}
		else if (child->exists && child->actual != NULL)
		{
			if (!cell->has_tally)
				kpi_tally_init(&cell->tally);
			cell->has_tally = true;
			add_to(edge->contributes == KPI_LINK_NUMERATOR ?
				   &cell->tally.sum_value : &cell->tally.sum_weight, edge->weight, child->actual);
		}
		else
			missing++;
	}
	if (missing > 0 && measure->missing_child == KPI_MISSING_REQUIRE)
		cell->has_tally = false;
	cell->driver_score = node->score_weight ?
		driver_score(measure, &drivers, node->score_weight) : NULL;
}

/* ------------------------------------------------------------------------
 * Base periods inside a coarser one
 * ------------------------------------------------------------------------ */

/* the stored or evaluated cell, or NULL where there is none */
static const KpiCell *
cell_if_any(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	KpiWork    *work = kpi_cascade_find(cascade, kpi, period);

	if (work != NULL && work->unread)
		work = kpi_cascade_work(cascade, kpi, period);
	return work != NULL && work->now.exists ? &work->now : NULL;
}

/* brings in the cells of a KPI in the base periods inside period */
static void
bring_in_bases(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	KpiPeriod	first = kpi_first_inside(measure, period, measure->grain);
	KpiPeriod	last = kpi_period_containing(kpi_period_last_day(period), measure->grain,
											 measure->grain >= KPI_GRAIN_QUARTER ?
											 measure->fiscal_start : 1);

	kpi_cascade_bring_in(cascade, kpi, first, last);
}

/* what a coarser period takes from the KPI's own base periods */
static void
gather_bases(KpiCascade *cascade, KpiWork *work, const KpiNode *node, bool takes_links)
{
	int			kpi = work->key.kpi;
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	KpiCell    *cell = &work->now;
	bool		only_last = measure->time_rollup == KPI_TIME_LAST && !node->has_ratio_links;
	Numeric		sum = NULL;
	int			actuals = 0;

	cell->has_own = false;
	bring_in_bases(cascade, kpi, work->key.period);
	KPI_FOREACH_BASE(measure, inside, work->key.period)
	{
		const KpiCell *base = cell_if_any(cascade, kpi, inside);

		if (base == NULL)
			continue;
		cell->is_fed |= base->has_own || kpi_cell_has_data(base);
		work->own_inside |= base->has_own;
		if (base->actual != NULL)
		{
			cell->last_actual = inside;
			add_to(&sum, NULL, base->actual);
			actuals++;
		}
		if (!takes_links)
		{
			add_to(&cell->coverage_sum, NULL, base->coverage);
			if (base->has_tally && !node->is_growth)
				add_tally(cell, &base->tally, NULL);
		}
		else if (base->has_own)
		{
			if (!cell->has_own || only_last)
				kpi_tally_copy(&cell->own, &base->own);
			else
				kpi_tally_merge(&cell->own, &base->own);
			cell->has_own = true;
		}
	}
	if (!takes_links && !node->is_growth && measure->time_rollup == KPI_TIME_MEAN && actuals > 0)
		cell->actual = kpi_number_quotient(sum, kpi_number_from_int(actuals));
}

/* ------------------------------------------------------------------------
 * Growth
 * ------------------------------------------------------------------------ */

int
kpi_growing_child(const KpiEpoch *epoch, const KpiNode *node)
{
	for (int i = node->first_down; i < node->first_down + node->n_down; i++)
		if (epoch->edges[i].contributes == KPI_LINK_GROWTH)
			return epoch->edges[i].child;
	return -1;
}

static Numeric
lesser_coverage(const KpiCell *now, const KpiCell *before)
{
	if (now == NULL || before == NULL)
		return kpi_number_from_int(0);
	return kpi_number_copy(kpi_number_compare(now->coverage, before->coverage) <= 0 ?
						   now->coverage : before->coverage);
}

static void
gather_growth_of_base(KpiCascade *cascade, KpiWork *work, int child)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, work->key.kpi)->measure;
	KpiPeriod	year_before = kpi_period_year_before(work->key.period);
	const KpiCell *now = &kpi_cascade_work(cascade, child, work->key.period)->now;
	const KpiCell *before = NULL;

	if (!now->exists)
		now = NULL;
	if (year_before != KPI_PERIOD_NONE)
		before = &kpi_cascade_work(cascade, child, year_before)->now;
	if (before != NULL && !before->exists)
		before = NULL;
	work->now.coverage_sum = lesser_coverage(now, before);
	if (now != NULL && before != NULL)
		work->now.actual = kpi_growth(measure, now->actual, before->actual);
}

/* like for like: only base periods whose actual exists in both years */
static void
gather_growth_of_coarser(KpiCascade *cascade, KpiWork *work, int child)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, work->key.kpi)->measure;
	const KpiMeasure *childs = kpi_graph_kpi(cascade->graph, child)->measure;
	KpiPeriod	year_before = kpi_period_year_before(work->key.period);
	KpiCell		now = {0},
				before = {0};
	Numeric		sum_now = NULL,
				sum_before = NULL;
	int			pairs = 0;

	if (kpi_period_grain(work->key.period) == KPI_GRAIN_WEEK)
		return;					/* a week has no year before */
	bring_in_bases(cascade, child, work->key.period);
	if (year_before != KPI_PERIOD_NONE)
		bring_in_bases(cascade, child, year_before);
	KPI_FOREACH_BASE(childs, inside, work->key.period)
	{
		KpiPeriod	earlier = kpi_period_year_before(inside);
		const KpiCell *a = cell_if_any(cascade, child, inside);
		const KpiCell *b = earlier != KPI_PERIOD_NONE ?
			cell_if_any(cascade, child, earlier) : NULL;

		if (a == NULL || b == NULL || a->actual == NULL || b->actual == NULL)
			continue;
		pairs++;
		if (childs->time_rollup == KPI_TIME_POOL)
		{
			/* in a year in which the child is itself the growth of something it has none */
			if (a->has_tally)
				add_tally(&now, &a->tally, NULL);
			if (b->has_tally)
				add_tally(&before, &b->tally, NULL);
		}
		else if (childs->time_rollup == KPI_TIME_MEAN)
		{
			add_to(&sum_now, NULL, a->actual);
			add_to(&sum_before, NULL, b->actual);
		}
		else
		{
			now.actual = a->actual;
			before.actual = b->actual;
		}
	}
	if (pairs == 0)
		return;
	if (childs->time_rollup == KPI_TIME_POOL)
	{
		now.actual = now.has_tally ? kpi_actual_of_tally(childs, &now.tally) : NULL;
		before.actual = before.has_tally ? kpi_actual_of_tally(childs, &before.tally) : NULL;
	}
	else if (childs->time_rollup == KPI_TIME_MEAN)
	{
		now.actual = kpi_number_quotient(sum_now, kpi_number_from_int(pairs));
		before.actual = kpi_number_quotient(sum_before, kpi_number_from_int(pairs));
	}
	work->now.actual = kpi_growth(measure, now.actual, before.actual);
}

/* ------------------------------------------------------------------------
 * The two steps
 * ------------------------------------------------------------------------ */

/* coverage of a coarser period is the mean over its base periods, or taken from links and facts */
static bool
coverage_is_mean(const KpiMeasure *measure, const KpiNode *node, const KpiWork *work)
{
	if (is_base(measure, work->key.period))
		return false;
	if (node->is_growth)
		return true;
	if (kpi_takes_links(measure, node, work->key.period))
		return false;
	return !(node->score_weight != NULL && node->flow_weight == NULL && !work->own_inside);
}

void
kpi_gather(KpiCascade *cascade, KpiWork *work, const KpiEpoch *epoch)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, work->key.kpi)->measure;
	const KpiNode *node = &epoch->nodes[work->key.kpi];
	KpiCell    *cell = &work->now;
	bool		base = is_base(measure, work->key.period);
	bool		takes_links = kpi_takes_links(measure, node, work->key.period);
	bool		score_coverage;

	cell->has_tally = false;
	cell->actual = NULL;
	cell->driver_score = NULL;
	cell->coverage_sum = NULL;
	cell->last_actual = KPI_PERIOD_NONE;
	cell->is_fed = base && cell->has_own;
	work->own_inside = base && cell->has_own;

	if (!base)
		gather_bases(cascade, work, node, takes_links);
	if (takes_links && cell->has_own)
		add_tally(cell, &cell->own, NULL);
	score_coverage = node->score_weight != NULL && node->flow_weight == NULL &&
		!node->is_growth && !coverage_is_mean(measure, node, work);
	if (score_coverage)
		cell->coverage_sum = NULL;
	gather_children(cascade, work, epoch, takes_links, score_coverage);
	if (node->is_growth)
	{
		cell->has_tally = false;
		if (base)
			gather_growth_of_base(cascade, work, kpi_growing_child(epoch, node));
		else
			gather_growth_of_coarser(cascade, work, kpi_growing_child(epoch, node));
	}
}

static KpiTargetSet *
targets_of(KpiCascade *cascade, int kpi)
{
	KpiTargetSet *set = cascade->targets[kpi];

	if (set == NULL)
	{
		const KpiKpi *row = kpi_graph_kpi(cascade->graph, kpi);
		MemoryContext old = MemoryContextSwitchTo(cascade->context);

		set = palloc(sizeof(KpiTargetSet));
		kpi_store_targets(cascade->store, row, set);
		set->alive_from = row->alive_from;
		set->alive_to = row->alive_to;
		cascade->targets[kpi] = set;
		MemoryContextSwitchTo(old);
	}
	return set;
}

static Numeric
coverage_of(const KpiMeasure *measure, const KpiKpi *kpi, const KpiNode *node, const KpiWork *work)
{
	const KpiCell *cell = &work->now;
	Numeric		one = kpi_number_from_int(1);
	Numeric		zero = kpi_number_from_int(0);
	Numeric		sum = cell->coverage_sum ? cell->coverage_sum : zero;

	if (coverage_is_mean(measure, node, work))
		return kpi_number_quotient(sum,
								   kpi_number_from_int(kpi_alive_periods(measure, work->key.period,
																		 measure->grain,
																		 kpi->alive_from,
																		 kpi->alive_to)));
	if (node->is_growth)
		return kpi_number_copy(sum);
	if (node->flow_weight != NULL)
		return cell->has_own ?
			kpi_number_quotient(kpi_number_add(sum, one), kpi_number_add(node->flow_weight, one)) :
			kpi_number_quotient(sum, node->flow_weight);
	if (cell->has_own)
		return one;
	if (node->score_weight != NULL)
		return kpi_number_quotient(sum, node->score_weight);
	return zero;
}

static Numeric
keep(MemoryContext context, Numeric figure)
{
	MemoryContext old;
	Numeric		result;

	if (figure == NULL)
		return NULL;
	old = MemoryContextSwitchTo(context);
	result = kpi_number_copy(figure);
	MemoryContextSwitchTo(old);
	return result;
}

void
kpi_finish(KpiCascade *cascade, KpiWork *work, const KpiNode *node, bool fully)
{
	const KpiKpi *kpi = kpi_graph_kpi(cascade->graph, work->key.kpi);
	const KpiMeasure *measure = kpi->measure;
	KpiPeriod	period = work->key.period;
	KpiCell    *cell = &work->now;
	KpiTargetSet *targets;
	bool		summed = kpi_targets_are_summed(measure, node->is_growth);
	MemoryContext context = MemoryContextSwitchTo(cascade->scratch);
	bool		averages = !node->is_growth && !kpi_takes_links(measure, node, period) &&
		measure->time_rollup == KPI_TIME_MEAN;
	KpiTarget	target,
				to_date;
	bool		has_target;
	bool		has_to_date;
	Numeric		actual = cell->actual;
	Numeric		attainment;
	Numeric		attainment_to_date;
	Numeric		score;

	work->partly = !fully && cell->is_fed && cell->has_tally;
	if (work->partly)
	{
		/* what parents and coarser periods may ask for is there without targets */
		cell->exists = true;
		if (cell->coverage_sum != NULL && kpi_number_sign(cell->coverage_sum) == 0)
			cell->coverage_sum = NULL;
		if (!node->is_growth && !averages)
			cell->actual = keep(context, kpi_actual_of_tally(measure, &cell->tally));
		cell->coverage = keep(context, coverage_of(measure, kpi, node, work));
		MemoryContextSwitchTo(context);
		return;
	}
	MemoryContextSwitchTo(context);
	targets = targets_of(cascade, work->key.kpi);
	MemoryContextSwitchTo(cascade->scratch);
	has_target = kpi_target_in_period(measure, summed, targets, period, &target);
	if (!has_target && !cell->is_fed)
	{
		memset(cell, 0, sizeof(KpiCell));
		MemoryContextSwitchTo(context);
		return;
	}
	cell->exists = true;
	ItemPointerSetInvalid(&cell->tid);
	/* a sum of zeros is as good as none, and differences cannot tell them apart */
	if (cell->coverage_sum != NULL && kpi_number_sign(cell->coverage_sum) == 0)
		cell->coverage_sum = NULL;
	if (!node->is_growth && !averages)
		actual = cell->has_tally ? kpi_actual_of_tally(measure, &cell->tally) : NULL;
	has_to_date = kpi_target_to_date(measure, summed, targets, period, has_target ? &target : NULL,
									 cell->last_actual, &to_date);
	attainment = kpi_attainment(measure, actual, has_target ? &target : NULL);
	attainment_to_date = kpi_attainment(measure, actual, has_to_date ? &to_date : NULL);
	score = kpi_score(measure, attainment_to_date, cell->driver_score, node->score_weight != NULL);

	cell->actual = keep(context, actual);
	cell->target = keep(context, has_target ? target.value : NULL);
	cell->attainment = keep(context, attainment);
	cell->target_to_date = keep(context, has_to_date ? to_date.value : NULL);
	cell->attainment_to_date = keep(context, attainment_to_date);
	cell->score = keep(context, score);
	cell->status = kpi_status(measure, actual, attainment_to_date, score);
	cell->coverage = keep(context, coverage_of(measure, kpi, node, work));
	MemoryContextSwitchTo(context);
}
