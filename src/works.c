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
#include "store_graph.h"
#include "utils/memutils.h"
#include "works.h"

/* ------------------------------------------------------------------------
 * Cells in work
 * ------------------------------------------------------------------------ */

#define MISSES_BEFORE_ALL	4

static const KpiCell no_cell;

static int
compare_buckets(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const KpiBucket *x = pairingheap_const_container(KpiBucket, node, a);
	const KpiBucket *y = pairingheap_const_container(KpiBucket, node, b);
	int			order = kpi_period_compare(x->period, y->period);

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
	cascade->queue = pairingheap_allocate(compare_buckets, NULL);
	cascade->buckets = kpi_buckets_create(context, 64, NULL);
	cascade->works = kpi_works_create(context, 256, NULL);
	n = kpi_graph_size(cascade->graph);
	cascade->works_of_kpi = palloc0(sizeof(KpiWork *) * (n + 1));
	cascade->targets = palloc0(sizeof(KpiTargetSet *) * (n + 1));
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

/* as many as fill an allocation without waste */
#define WORKS_AT_A_TIME	(8192 / sizeof(KpiWork))

static KpiWork *
make_work(KpiCascade *cascade, KpiWorkKey key)
{
	KpiWork    *work;

	if (cascade->n_spare == 0)
	{
		cascade->n_spare = WORKS_AT_A_TIME;
		cascade->spare_works = MemoryContextAllocZero(cascade->context,
													  sizeof(KpiWork) * WORKS_AT_A_TIME);
	}
	cascade->n_spare--;
	work = cascade->spare_works++;
	work->key = key;
	work->old = &no_cell;
	work->next_of_kpi = cascade->works_of_kpi[key.kpi];
	cascade->works_of_kpi[key.kpi] = work;
	return work;
}

/* the cell in work; sets found, or makes an empty one */
static KpiWork *
find_or_make(KpiCascade *cascade, int kpi, KpiPeriod period, bool *found)
{
	KpiWorkKey	key = {kpi, period};
	KpiWorkEntry *entry = kpi_works_insert(cascade->works, key, found);

	if (!*found)
		entry->work = make_work(cascade, key);
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

/* with a cell of a base period a fold needs those of the coarser ones around it */
static void
bring_in_with_coarser(KpiCascade *cascade, int kpi, KpiPeriod period)
{
	const KpiMeasure *measure = kpi_graph_kpi(cascade->graph, kpi)->measure;
	KpiPeriod	periods[KPI_GRAIN_YEAR + 1];
	int			n = 0;
	KpiPeriod	coarser;

	/* not of days and weeks: there are too many in between */
	if (cascade->listed != NULL || measure->grain < KPI_GRAIN_MONTH ||
		kpi_period_grain(period) != measure->grain)
		return;
	periods[n++] = period;
	KPI_FOREACH_COARSER(measure, period, coarser)
		periods[n++] = coarser;
	if (n > 1)
		kpi_store_cells_among(cascade->store, kpi_graph_kpi(cascade->graph, kpi)->kpi_id, periods, n,
							  bring_in, cascade);
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
	if (cascade->complete || cascade->complete_kpis[kpi])
	{
		work->unread = false;
		return work;
	}
	kpi_id = kpi_graph_kpi(cascade->graph, kpi)->kpi_id;
	old = MemoryContextSwitchTo(cascade->context);
	work->unread = true;
	bring_in_with_coarser(cascade, kpi, period);
	if (!work->unread)
	{
		MemoryContextSwitchTo(old);
		return work;
	}
	work->unread = false;
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

static KpiBucket *
bucket_of(KpiCascade *cascade, KpiPeriod period, int level)
{
	KpiBucketKey key = {period, level};
	KpiBucket  *last = cascade->last_bucket;
	KpiBucketEntry *entry;
	bool		found;

	if (last != NULL && last->period == period && last->level == level)
		return last;
	entry = kpi_buckets_insert(cascade->buckets, key, &found);
	if (!found)
	{
		entry->bucket = MemoryContextAllocZero(cascade->context, sizeof(KpiBucket));
		entry->bucket->period = period;
		entry->bucket->level = level;
	}
	return cascade->last_bucket = entry->bucket;
}

void
kpi_cascade_enqueue(KpiCascade *cascade, KpiWork *work)
{
	KpiPeriod	period = work->key.period;
	const KpiEpoch *epoch;
	KpiBucket  *bucket;

	if (work->queued)
		return;
	epoch = kpi_graph_epoch(cascade->graph, kpi_period_last_day(period));
	bucket = bucket_of(cascade, period, epoch->nodes[work->key.kpi].level);
	if (bucket->first == NULL)
		pairingheap_add(cascade->queue, &bucket->node);
	work->queued = true;
	work->next_queued = bucket->first;
	bucket->first = work;
}

KpiWork *
kpi_cascade_dequeue(KpiCascade *cascade)
{
	KpiBucket  *bucket;
	KpiWork    *work;

	if (pairingheap_is_empty(cascade->queue))
		return NULL;
	bucket = pairingheap_container(KpiBucket, node, pairingheap_first(cascade->queue));
	work = bucket->first;
	bucket->first = work->next_queued;
	if (bucket->first == NULL)
		(void) pairingheap_remove_first(cascade->queue);
	return work;
}

void
kpi_cascade_reset_works(KpiCascade *cascade)
{
	pairingheap_reset(cascade->queue);
	kpi_buckets_reset(cascade->buckets);
	cascade->last_bucket = NULL;
	kpi_works_reset(cascade->works);
	memset(cascade->works_of_kpi, 0, sizeof(KpiWork *) * kpi_graph_size(cascade->graph));
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
compare_periods(const void *a, const void *b)
{
	return kpi_period_compare((*(KpiWork *const *) a)->key.period,
							  (*(KpiWork *const *) b)->key.period);
}

void
kpi_cascade_each_change(KpiCascade *cascade, KpiChangeVisitor visit, void *context)
{
	int			room = 256;
	KpiWork   **changed = palloc(sizeof(KpiWork *) * room);

	/* KPI indexes are in the order of their ids */
	for (int kpi = 0; kpi < kpi_graph_size(cascade->graph); kpi++)
	{
		int			n = 0;

		for (KpiWork *work = cascade->works_of_kpi[kpi]; work != NULL; work = work->next_of_kpi)
		{
			if (!work->changed)
				continue;
			if (n == room)
			{
				room *= 2;
				changed = repalloc_huge(changed, sizeof(KpiWork *) * room);
			}
			changed[n++] = work;
		}
		qsort(changed, n, sizeof(KpiWork *), compare_periods);
		for (int i = 0; i < n; i++)
			visit(context, kpi_graph_kpi(cascade->graph, kpi)->kpi_id, changed[i]->key.period,
				  changed[i]->old, &changed[i]->now);
	}
	pfree(changed);
}
