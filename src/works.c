/*
 * works.c
 *		The cells a cascade works on: found, brought in, queued, handed out.
 *
 * A cell is brought in from the table when it is first asked for, and its
 * stored ingredients are copied, so that differences can be applied to them.
 * The queue hands cells out by period, and within a period by the level of
 * their KPI in the graph of that period's last day.
 */
#include "postgres.h"

#include "lib/pairingheap.h"
#include "utils/memutils.h"
#include "works.h"

/* ------------------------------------------------------------------------
 * Cells in work
 * ------------------------------------------------------------------------ */

#define MISSES_BEFORE_ALL	4

static const KpiCell no_cell;

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

/* a stored cell: what it was, and the ingredients that differences are applied to */
static void
keep_old(KpiWork *work, const KpiCell *cell)
{
	KpiCell    *old = palloc(sizeof(KpiCell));

	*old = *cell;
	work->old = old;
	copy_ingredients(&work->now, old);
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
		entry->work->old = &no_cell;
	}
	return entry->work;
}

static void
bring_in(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell)
{
	KpiCascade *cascade = context;
	bool		found;
	KpiWork    *work = find_or_make(cascade, kpi_graph_find(cascade->graph, kpi_id), period, &found);

	if (found && !work->unread)
		return;
	work->unread = false;
	keep_old(work, cell);
}

KpiWork *
kpi_cascade_note(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	bool		found;
	KpiWork    *work = find_or_make(cascade, kpi, period, &found);

	work->unread |= !found;
	return work;
}

/* the cell in work, brought in from the table if it is not there yet */
KpiWork *
kpi_cascade_work(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	bool		found;
	KpiWork    *work = find_or_make(cascade, kpi, period, &found);
	int64		kpi_id;
	KpiCell		cell;
	MemoryContext old;

	if (found && !work->unread)
		return work;
	work->unread = false;
	if (cascade->complete || cascade->complete_kpis[kpi])
		return work;
	kpi_id = kpi_graph_kpi(cascade->graph, kpi)->kpi_id;
	old = MemoryContextSwitchTo(cascade->context);
	if (kpi_store_cell(cascade->store, kpi_id, period, &cell))
		keep_old(work, &cell);
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
bool
kpi_cascade_has_period(const KpiMeasure *measure, KpiPeriod period)
{
	KpiGrain	grain = kpi_period_grain(period);

	if (grain >= KPI_GRAIN_QUARTER && kpi_period_fiscal_start(period) != measure->fiscal_start)
		return false;
	return grain == measure->grain || kpi_grain_rolls_up_to(measure->grain, grain);
}

void
kpi_cascade_enqueue(KpiCascade *cascade, KpiWork *work)
{
	const KpiEpoch *epoch;

	if (work->queued)
		return;
	epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(work->key.period));
	work->level = epoch->nodes[work->key.kpi].level;
	work->queued = true;
	pairingheap_add(cascade->queue, &work->node);
}

void
kpi_cascade_enqueue_to_gather(KpiCascade *cascade, KpiWork *work)
{
	work->gather = true;
	kpi_cascade_enqueue(cascade, work);
}

/* ------------------------------------------------------------------------
 * Results
 * ------------------------------------------------------------------------ */

bool
kpi_cell_has_data(const KpiCell *cell)
{
	return cell->exists && (cell->has_tally || cell->actual != NULL || cell->score != NULL);
}

bool
kpi_cell_same_tally(const KpiCell *a, const KpiCell *b)
{
	if (!a->has_tally || !b->has_tally)
		return a->has_tally == b->has_tally;
	return kpi_tally_equal(&a->tally, &b->tally);
}

bool
kpi_cell_same_own(const KpiCell *a, const KpiCell *b)
{
	if (!a->has_own || !b->has_own)
		return a->has_own == b->has_own;
	return kpi_tally_equal(&a->own, &b->own);
}

bool
kpi_cell_equal(const KpiCell *a, const KpiCell *b)
{
	if (!a->exists || !b->exists)
		return a->exists == b->exists;
	return a->status == b->status && a->is_fed == b->is_fed &&
		a->last_actual == b->last_actual && kpi_cell_same_tally(a, b) && kpi_cell_same_own(a, b) &&
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

static int
compare_ids(const ListCell *a, const ListCell *b)
{
	int64		x = *(int64 *) lfirst(a);
	int64		y = *(int64 *) lfirst(b);

	return x < y ? -1 : x > y;
}

/* each once, however often it changed before it was deleted */
List *
kpi_cascade_lost_kpis(KpiCascade *cascade)
{
	MemoryContext old = MemoryContextSwitchTo(cascade->context);
	List	   *ids = NIL;
	ListCell   *lc;

	list_sort(cascade->lost_kpis, compare_ids);
	foreach(lc, cascade->lost_kpis)
		if (ids == NIL || *(int64 *) llast(ids) != *(int64 *) lfirst(lc))
			ids = lappend(ids, lfirst(lc));
	MemoryContextSwitchTo(old);
	return ids;
}

void
kpi_cascade_each_reread(KpiCascade *cascade, KpiRereadVisitor visit, void *context)
{
	kpi_works_iterator iterator;
	KpiWorkEntry *entry;

	kpi_works_start_iterate(cascade->works, &iterator);
	while ((entry = kpi_works_iterate(cascade->works, &iterator)) != NULL)
	{
		const KpiKpi *kpi = kpi_graph_kpi(cascade->graph, entry->key.kpi);

		if (entry->work->read_facts && kpi_period_grain(entry->key.period) == kpi->measure->grain)
			visit(context, kpi->kpi_id, entry->key.period);
	}
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
			  work->old, &work->now);
	}
	list_free(changed);
}
