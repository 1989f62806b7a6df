/*
 * changes.c
 *		Taking note of changes: which cells a cascade has to look at.
 *
 * Changed facts and targets name their cells.  Changes of units, measures,
 * KPIs and links name what changed, and which cells that concerns is found
 * here, in the graph as the snapshot has it: all whose links may have changed
 * gather again.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "works.h"

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
		kpi_cascade_enqueue_to_gather(cascade, work);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(cascade->scratch);
}

/*
 * Links decide in which periods a KPI has cells.  The periods in use are all
 * that its children can have, apart from those that this cascade brings.
 */
void
kpi_cascade_expand_marks(KpiCascade *cascade)
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
				kpi_cascade_has_period(kpi_graph_kpi(cascade->graph, kpi)->measure, period))
				kpi_cascade_enqueue_to_gather(cascade, kpi_cascade_work(cascade, kpi, period));
	}
}

static void
mark_facts(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	KpiWork    *work = kpi_cascade_work(cascade, kpi, period);

	work->read_facts = true;
	kpi_cascade_enqueue_to_gather(cascade, work);
}

static void
mark_target(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	KpiPeriod	coarser;

	if (!kpi_cascade_has_period(measure, period))
		return;
	kpi_cascade_enqueue(cascade, kpi_cascade_work(cascade, kpi, period));
	KPI_FOREACH_COARSER(measure, period, coarser)
		kpi_cascade_enqueue(cascade, kpi_cascade_work(cascade, kpi, coarser));
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

		if (!kpi_cascade_has_period(row->measure, period))
			continue;
		mark_facts(cascade, kpi, period);
		KPI_FOREACH_COARSER(row->measure, period, coarser)
			kpi_cascade_enqueue_to_gather(cascade, kpi_cascade_work(cascade, kpi, coarser));
	}
	kpi_store_targets(cascade->store, row, &targets);
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
add_tally(KpiTally **sum, const KpiTally *part)
{
	if (*sum != NULL)
		kpi_tally_merge(*sum, part);
	else
	{
		*sum = palloc(sizeof(KpiTally));
		kpi_tally_copy(*sum, part);
	}
}

static void
add_facts(KpiCascade *cascade, int kpi, const KpiPending *change)
{
	KpiWork    *work;
	MemoryContext old;

	if (!kpi_cascade_has_period(kpi_graph_kpi(cascade->graph, kpi)->measure, change->period))
		return;
	if (!change->has_delta)
	{
		mark_facts(cascade, kpi, change->period);
		return;
	}
	work = kpi_cascade_note(cascade, kpi, change->period);
	old = MemoryContextSwitchTo(cascade->context);
	if (change->kind == KPI_PENDING_ADDED)
		add_tally(&work->added, &change->delta);
	else
		add_tally(&work->removed, &change->delta);
	MemoryContextSwitchTo(old);
	kpi_cascade_enqueue(cascade, work);
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

	if (kpi < 0 || !kpi_cascade_has_period(kpi_graph_kpi(cascade->graph, kpi)->measure, period))
		return;
	work = kpi_cascade_work(cascade, kpi, period);
	old = MemoryContextSwitchTo(cascade->context);
	if (work->added == NULL)
	{
		work->added = palloc(sizeof(KpiTally));
		kpi_tally_init(work->added);
	}
	kpi_tally_observe(work->added, value, weight);
	MemoryContextSwitchTo(old);
	kpi_cascade_enqueue(cascade, work);
}

/* forget what was noted, and compute everything from the facts and targets */
void
kpi_cascade_start_over(KpiCascade *cascade)
{
	cascade->complete = true;
	kpi_cascade_reset_works(cascade);
	cascade->lost_kpis = NIL;
	cascade->unit_marks = NIL;
	cascade->marked = NULL;

	kpi_store_each_fact(cascade->store, start_from_fact, cascade);
	for (int kpi = 0; kpi < kpi_graph_size(cascade->graph); kpi++)
	{
		KpiTargetSet targets;
		MemoryContext old = MemoryContextSwitchTo(cascade->scratch);

		kpi_store_targets(cascade->store, kpi_graph_kpi(cascade->graph, kpi), &targets);
		for (int i = 0; i < targets.n; i++)
			mark_target(cascade, kpi, targets.targets[i].period);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cascade->scratch);
	}
}
