/*
 * graph.c
 *		KPIs, the links in force between them, and their topological order.
 *
 * Everything is kept in sorted arrays and found by binary search; KPIs and
 * units are known by their index.  An epoch's links are stored as one array
 * of edges ordered by parent, with an index ordered by child beside it, so
 * that both the children and the parents of a KPI are adjacent.
 *
 * Resolved epochs are kept in a small cache, each in a memory context of its
 * own: an organisation that changes every day has many epochs, and only few
 * are in use at one time.
 */
#include "postgres.h"

#include "graph.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

typedef struct EpochSlot
{
	int			epoch;			/* -1: empty */
	uint64		used;
	MemoryContext context;
	KpiEpoch	resolved;
} EpochSlot;

struct KpiGraph
{
	MemoryContext context;
	KpiMeasure *measures;
	int			n_measures;
	KpiUnit    *units;			/* by unit_id */
	int			n_units;
	KpiPlacement *placements;	/* by unit_id, effective_from */
	int			n_placements;
	int		   *first_placement;	/* by unit index, n_units + 1 entries */
	KpiKpi	   *kpis;			/* by kpi_id */
	int			n_kpis;
	int		   *kpis_by_unit;	/* KPI indexes by unit index, measure_id */
	int		   *first_kpi;		/* by unit index into kpis_by_unit, n_units + 1 entries */
	KpiLink    *links;			/* by child_kpi_id */
	int			n_links;
	int		   *links_by_parent;	/* link indexes by parent_kpi_id */
	DateADT    *breaks;			/* sorted days on which an epoch begins */
	int			n_breaks;
	bool		is_frozen;		/* parents and links are those of as_of on every day */
	DateADT		as_of;
	uint64		clock;
	EpochSlot	slots[KPI_GRAPH_MAX_EPOCHS];
};

/* ------------------------------------------------------------------------
 * Building
 * ------------------------------------------------------------------------ */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int
compare_measures(const void *a, const void *b)
{
	return COMPARE(((const KpiMeasure *) a)->measure_id, ((const KpiMeasure *) b)->measure_id);
}

static int
compare_units(const void *a, const void *b)
{
	return COMPARE(((const KpiUnit *) a)->unit_id, ((const KpiUnit *) b)->unit_id);
}

static int
compare_placements(const void *a, const void *b)
{
	const KpiPlacement *x = a;
	const KpiPlacement *y = b;

	if (x->unit_id != y->unit_id)
		return COMPARE(x->unit_id, y->unit_id);
	return COMPARE(x->effective_from, y->effective_from);
}

static int
compare_kpis(const void *a, const void *b)
{
	return COMPARE(((const KpiKpi *) a)->kpi_id, ((const KpiKpi *) b)->kpi_id);
}

static int
compare_kpis_by_unit(const void *a, const void *b, void *arg)
{
	const KpiKpi *kpis = arg;
	const KpiKpi *x = &kpis[*(const int *) a];
	const KpiKpi *y = &kpis[*(const int *) b];

	if (x->unit != y->unit)
		return COMPARE(x->unit, y->unit);
	return COMPARE(x->measure_id, y->measure_id);
}

static int
compare_links(const void *a, const void *b)
{
	return COMPARE(((const KpiLink *) a)->child_kpi_id, ((const KpiLink *) b)->child_kpi_id);
}

static int
compare_links_by_parent(const void *a, const void *b, void *arg)
{
	const KpiLink *links = arg;
	const KpiLink *x = &links[*(const int *) a];
	const KpiLink *y = &links[*(const int *) b];

	if (x->parent_kpi_id != y->parent_kpi_id)
		return COMPARE(x->parent_kpi_id, y->parent_kpi_id);
	return COMPARE(*(const int *) a, *(const int *) b);
}

static int
compare_days(const void *a, const void *b)
{
	return COMPARE(*(const DateADT *) a, *(const DateADT *) b);
}

static int
find_unit(const KpiGraph *graph, int64 unit_id)
{
	KpiUnit		key = {.unit_id = unit_id};
	KpiUnit    *found = bsearch(&key, graph->units, graph->n_units, sizeof(KpiUnit), compare_units);

	return found ? (int) (found - graph->units) : -1;
}

static void
add_break(KpiGraph *graph, DateADT day)
{
	if (!DATE_NOT_FINITE(day))
		graph->breaks[graph->n_breaks++] = day;
}

/* the sorted days on which anything begins or ends; in a frozen graph only KPIs do */
static void
find_breaks(KpiGraph *graph)
{
	int			n = 0;

	graph->n_breaks = 0;
	graph->breaks = palloc(sizeof(DateADT) * (2 * (graph->n_units + graph->n_kpis + graph->n_links) +
											  graph->n_placements + 1));
	for (int i = 0; i < graph->n_units; i++)
	{
		add_break(graph, graph->units[i].valid_from);
		add_break(graph, graph->units[i].valid_to);
	}
	for (int i = 0; i < graph->n_kpis; i++)
	{
		add_break(graph, graph->kpis[i].valid_from);
		add_break(graph, graph->kpis[i].valid_to);
	}
	for (int i = 0; i < graph->n_links && !graph->is_frozen; i++)
	{
		add_break(graph, graph->links[i].valid_from);
		add_break(graph, graph->links[i].valid_to);
	}
	for (int i = 0; i < graph->n_placements && !graph->is_frozen; i++)
		add_break(graph, graph->placements[i].effective_from);

	qsort(graph->breaks, graph->n_breaks, sizeof(DateADT), compare_days);
	for (int i = 0; i < graph->n_breaks; i++)
		if (n == 0 || graph->breaks[n - 1] != graph->breaks[i])
			graph->breaks[n++] = graph->breaks[i];
	graph->n_breaks = n;
}

static const KpiMeasure *
find_measure(const KpiGraph *graph, int64 measure_id)
{
	KpiMeasure	key = {.measure_id = measure_id};

	return bsearch(&key, graph->measures, graph->n_measures, sizeof(KpiMeasure), compare_measures);
}

static void
complete_kpis(KpiGraph *graph)
{
	int			n = 0;

	for (int i = 0; i < graph->n_kpis; i++)
	{
		KpiKpi	   *kpi = &graph->kpis[n];

		*kpi = graph->kpis[i];
		kpi->unit = find_unit(graph, kpi->unit_id);
		kpi->measure = find_measure(graph, kpi->measure_id);
		if (kpi->unit < 0 || kpi->measure == NULL)
			continue;
		n++;
		kpi->alive_from = Max(kpi->valid_from, graph->units[kpi->unit].valid_from);
		kpi->alive_to = Min(kpi->valid_to, graph->units[kpi->unit].valid_to);
		kpi->feeds_growth = false;
	}
	graph->n_kpis = n;
	for (int i = 0; i < graph->n_links; i++)
		if (graph->links[i].contributes == KPI_LINK_GROWTH)
		{
			int			child = kpi_graph_find(graph, graph->links[i].child_kpi_id);

			if (child >= 0)
				graph->kpis[child].feeds_growth = true;
		}
}

/*
 * Marks the KPIs whose rows may have coverage though no data: through score or
 * growth links, or under missing_child = require, and whatever takes from
 * such.  By measure, as implied links stay within one.
 */
static void
find_unseen_coverage(KpiGraph *graph)
{
	bool	   *unseen = palloc(sizeof(bool) * (graph->n_measures + 1));
	bool		changed = true;

	for (int i = 0; i < graph->n_measures; i++)
		unseen[i] = graph->measures[i].missing_child == KPI_MISSING_REQUIRE;
	while (changed)
	{
		changed = false;
		for (int i = 0; i < graph->n_links; i++)
		{
			const KpiLink *link = &graph->links[i];
			int			child = kpi_graph_find(graph, link->child_kpi_id);
			int			parent = kpi_graph_find(graph, link->parent_kpi_id);
			bool	   *into;

			if (child < 0 || parent < 0 || link->contributes == KPI_LINK_ALIGNED)
				continue;
			into = &unseen[graph->kpis[parent].measure - graph->measures];
			if (*into)
				continue;
			*into = link->contributes == KPI_LINK_SCORE || link->contributes == KPI_LINK_GROWTH ||
				unseen[graph->kpis[child].measure - graph->measures];
			changed |= *into;
		}
	}
	for (int i = 0; i < graph->n_kpis; i++)
		graph->kpis[i].covers_unseen = unseen[graph->kpis[i].measure - graph->measures];
	pfree(unseen);
}

KpiGraph *
kpi_graph_build(KpiMeasure *measures, int n_measures, KpiUnit *units, int n_units,
				KpiPlacement *placements, int n_placements, KpiKpi *kpis, int n_kpis,
				KpiLink *links, int n_links)
{
	KpiGraph   *graph = palloc0(sizeof(KpiGraph));

	graph->context = CurrentMemoryContext;
	graph->measures = measures;
	graph->n_measures = n_measures;
	graph->units = units;
	graph->n_units = n_units;
	graph->placements = placements;
	graph->n_placements = n_placements;
	graph->kpis = kpis;
	graph->n_kpis = n_kpis;
	graph->links = links;
	graph->n_links = n_links;
	for (int i = 0; i < KPI_GRAPH_MAX_EPOCHS; i++)
		graph->slots[i].epoch = -1;

	qsort(measures, n_measures, sizeof(KpiMeasure), compare_measures);
	qsort(units, n_units, sizeof(KpiUnit), compare_units);
	qsort(placements, n_placements, sizeof(KpiPlacement), compare_placements);
	qsort(kpis, n_kpis, sizeof(KpiKpi), compare_kpis);
	qsort(links, n_links, sizeof(KpiLink), compare_links);
	complete_kpis(graph);
	find_unseen_coverage(graph);
	n_kpis = graph->n_kpis;
	find_breaks(graph);

	graph->first_placement = palloc0(sizeof(int) * (n_units + 1));
	for (int unit = 0, i = 0; unit < n_units; unit++)
	{
		while (i < n_placements && placements[i].unit_id < units[unit].unit_id)
			i++;
		graph->first_placement[unit] = i;
		while (i < n_placements && placements[i].unit_id == units[unit].unit_id)
			i++;
		graph->first_placement[unit + 1] = i;
	}

	graph->links_by_parent = palloc(sizeof(int) * (n_links + 1));
	for (int i = 0; i < n_links; i++)
		graph->links_by_parent[i] = i;
	qsort_arg(graph->links_by_parent, n_links, sizeof(int), compare_links_by_parent, links);

	graph->kpis_by_unit = palloc(sizeof(int) * (n_kpis + 1));
	graph->first_kpi = palloc0(sizeof(int) * (n_units + 1));
	for (int i = 0; i < n_kpis; i++)
		graph->kpis_by_unit[i] = i;
	qsort_arg(graph->kpis_by_unit, n_kpis, sizeof(int), compare_kpis_by_unit, kpis);
	for (int unit = 0, i = 0; unit < n_units; unit++)
	{
		graph->first_kpi[unit] = i;
		while (i < n_kpis && kpis[graph->kpis_by_unit[i]].unit == unit)
			i++;
		graph->first_kpi[unit + 1] = i;
	}
	return graph;
}

void
kpi_graph_freeze(KpiGraph *graph, DateADT as_of)
{
	Assert(graph->clock == 0);	/* no epoch has been resolved */
	graph->is_frozen = true;
	graph->as_of = as_of;
	pfree(graph->breaks);
	find_breaks(graph);
}

/* ------------------------------------------------------------------------
 * Looking up
 * ------------------------------------------------------------------------ */

int
kpi_graph_size(const KpiGraph *graph)
{
	return graph->n_kpis;
}

int
kpi_graph_find(const KpiGraph *graph, int64 kpi_id)
{
	KpiKpi		key = {.kpi_id = kpi_id};
	KpiKpi	   *found = bsearch(&key, graph->kpis, graph->n_kpis, sizeof(KpiKpi), compare_kpis);

	return found ? (int) (found - graph->kpis) : -1;
}

const KpiKpi *
kpi_graph_kpi(const KpiGraph *graph, int kpi)
{
	return &graph->kpis[kpi];
}

static bool
alive_on(const KpiKpi *kpi, DateADT day)
{
	return day >= kpi->alive_from && day < kpi->alive_to;
}

bool
kpi_graph_alive(const KpiGraph *graph, int kpi, KpiPeriod period)
{
	return alive_on(&graph->kpis[kpi], kpi_period_last_day(period));
}

/* the KPI of a measure at a unit, or -1 */
static int
kpi_at(const KpiGraph *graph, int unit, int64 measure_id)
{
	int			low = graph->first_kpi[unit],
				high = graph->first_kpi[unit + 1] - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			kpi = graph->kpis_by_unit[middle];

		if (graph->kpis[kpi].measure_id == measure_id)
			return kpi;
		if (graph->kpis[kpi].measure_id < measure_id)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return -1;
}

List *
kpi_graph_kpis_of_unit(const KpiGraph *graph, int64 unit_id)
{
	List	   *result = NIL;
	int			unit = find_unit(graph, unit_id);

	if (unit < 0)
		return NIL;
	for (int i = graph->first_kpi[unit]; i < graph->first_kpi[unit + 1]; i++)
		result = lappend_int(result, graph->kpis_by_unit[i]);
	return result;
}

DateADT *
kpi_graph_unit_days(const KpiGraph *graph)
{
	DateADT    *days = palloc(sizeof(DateADT) * (graph->n_units + 1));

	for (int i = 0; i < graph->n_units; i++)
		days[i] = DATEVAL_NOEND;
	return days;
}

void
kpi_graph_note_unit(const KpiGraph *graph, DateADT *days, int64 unit_id, DateADT day)
{
	int			unit = find_unit(graph, unit_id);

	if (unit >= 0)
		days[unit] = Min(days[unit], day);
}

void
kpi_graph_each_kpi_above(const KpiGraph *graph, DateADT *days, int64 measure_id,
						 KpiDayVisitor visit, void *context)
{
	List	   *queue = NIL;

	for (int unit = 0; unit < graph->n_units; unit++)
		if (days[unit] != DATEVAL_NOEND)
			queue = lappend_int(queue, unit);
	for (int at = 0; at < list_length(queue); at++)
	{
		int			unit = list_nth_int(queue, at);

		for (int i = graph->first_placement[unit]; i < graph->first_placement[unit + 1]; i++)
		{
			int64		parent_id = graph->placements[i].parent_unit_id;
			int			parent = parent_id ? find_unit(graph, parent_id) : -1;

			/* again when reached by an earlier day; days only ever get earlier */
			if (parent >= 0 && days[parent] > days[unit])
			{
				days[parent] = days[unit];
				queue = lappend_int(queue, parent);
			}
		}
	}
	list_free(queue);
	for (int unit = 0; unit < graph->n_units; unit++)
	{
		if (days[unit] == DATEVAL_NOEND)
			continue;
		if (measure_id != 0)
		{
			int			kpi = kpi_at(graph, unit, measure_id);

			if (kpi >= 0)
				visit(context, kpi, days[unit]);
			continue;
		}
		for (int i = graph->first_kpi[unit]; i < graph->first_kpi[unit + 1]; i++)
			visit(context, graph->kpis_by_unit[i], days[unit]);
	}
}

List *
kpi_graph_links_from(const KpiGraph *graph, int kpi)
{
	List	   *result = NIL;
	int64		kpi_id = graph->kpis[kpi].kpi_id;
	int			low = 0,
				high = graph->n_links;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (graph->links[middle].child_kpi_id < kpi_id)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < graph->n_links && graph->links[low].child_kpi_id == kpi_id; low++)
		result = lappend(result, &graph->links[low]);
	return result;
}

List *
kpi_graph_links_into(const KpiGraph *graph, int kpi)
{
	List	   *result = NIL;
	int64		kpi_id = graph->kpis[kpi].kpi_id;
	int			low = 0,
				high = graph->n_links;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (graph->links[graph->links_by_parent[middle]].parent_kpi_id < kpi_id)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < graph->n_links; low++)
	{
		const KpiLink *link = &graph->links[graph->links_by_parent[low]];

		if (link->parent_kpi_id != kpi_id)
			break;
		result = lappend(result, (void *) link);
	}
	return result;
}

const KpiLink *
kpi_graph_links(const KpiGraph *graph, int *n)
{
	*n = graph->n_links;
	return graph->links;
}

bool
kpi_graph_in_force(const KpiGraph *graph, const KpiLink *link, DateADT day)
{
	int			child,
				parent;

	if (day < link->valid_from || day >= link->valid_to || kpi_number_sign(link->weight) == 0)
		return false;
	child = kpi_graph_find(graph, link->child_kpi_id);
	parent = kpi_graph_find(graph, link->parent_kpi_id);
	return child >= 0 && parent >= 0 &&
		alive_on(&graph->kpis[child], day) && alive_on(&graph->kpis[parent], day);
}

int
kpi_graph_kpi_above(const KpiGraph *graph, int kpi, DateADT day)
{
	const KpiKpi *child = &graph->kpis[kpi];
	int			unit = child->unit;

	if (!alive_on(child, day) || !child->measure->rolls_up ||
		child->measure->rollup == KPI_ROLLUP_NONE)
		return -1;
	/* where the units themselves form a cycle, which is refused elsewhere, this ends too */
	for (int steps = 0; steps < graph->n_units; steps++)
	{
		const KpiPlacement *placement = NULL;
		int			above;

		for (int i = graph->first_placement[unit]; i < graph->first_placement[unit + 1]; i++)
			if (graph->placements[i].effective_from <= day)
				placement = &graph->placements[i];
		if (placement == NULL || placement->parent_unit_id == 0 ||
			kpi_number_sign(placement->share) == 0)
			return -1;
		unit = find_unit(graph, placement->parent_unit_id);
		if (unit < 0)
			return -1;
		above = kpi_at(graph, unit, child->measure_id);
		if (above >= 0 && alive_on(&graph->kpis[above], day))
			return above;
	}
	return -1;
}

const DateADT *
kpi_graph_breaks(const KpiGraph *graph, int *n)
{
	*n = graph->n_breaks;
	return graph->breaks;
}

List *
kpi_graph_kpis_of_measure(const KpiGraph *graph, int64 measure_id)
{
	List	   *result = NIL;

	for (int i = 0; i < graph->n_kpis; i++)
		if (graph->kpis[i].measure_id == measure_id)
			result = lappend_int(result, i);
	return result;
}

/* ------------------------------------------------------------------------
 * Resolving an epoch
 * ------------------------------------------------------------------------ */

typedef struct Resolver
{
	const KpiGraph *graph;
	DateADT		day;			/* on which parents and links are looked up */
	KpiEpoch   *epoch;
	int			room;
	int		   *parent_of;		/* by unit: its parent on that day, or -1 */
	Numeric    *share_of;		/* by unit, on that day; NULL: 1 */
} Resolver;

static void
add_edge(Resolver *r, int child, int parent, KpiContributes contributes, Numeric weight)
{
	KpiEpoch   *epoch = r->epoch;
	KpiEdge    *edge;
	Numeric		one = kpi_number_from_int(1);

	if (epoch->n_edges == r->room)
	{
		r->room *= 2;
		epoch->edges = repalloc_huge(epoch->edges, sizeof(KpiEdge) * (Size) r->room);
	}
	edge = &epoch->edges[epoch->n_edges++];
	edge->child = child;
	edge->parent = parent;
	edge->contributes = contributes;
	edge->plain = weight == NULL || kpi_number_compare(weight, one) == 0;
	if (edge->plain)
		edge->weight = edge->magnitude = one;
	else
	{
		edge->weight = kpi_number_trim(weight);
		edge->magnitude = kpi_number_absolute(weight);
		pfree(one);
	}
}

/* the explicit links in force, and what they make of the KPIs they reach */
static void
add_explicit_links(Resolver *r)
{
	const KpiGraph *graph = r->graph;
	KpiNode    *nodes = r->epoch->nodes;

	for (int i = 0; i < graph->n_links; i++)
	{
		const KpiLink *link = &graph->links[i];
		int			child,
					parent;

		if (r->day < link->valid_from || r->day >= link->valid_to ||
			link->contributes == KPI_LINK_ALIGNED || kpi_number_sign(link->weight) == 0)
			continue;
		child = kpi_graph_find(graph, link->child_kpi_id);
		parent = kpi_graph_find(graph, link->parent_kpi_id);
		if (child < 0 || parent < 0 || !nodes[child].alive || !nodes[parent].alive)
			continue;
		add_edge(r, child, parent, link->contributes, link->weight);
		switch (link->contributes)
		{
			case KPI_LINK_NUMERATOR:
			case KPI_LINK_DENOMINATOR:
				nodes[parent].has_ratio_links = true;
				nodes[parent].is_computed = true;
				break;
			case KPI_LINK_GROWTH:
				nodes[parent].is_growth = true;
				nodes[parent].is_computed = true;
				break;
			case KPI_LINK_VALUE:
				if (graph->kpis[child].measure_id != graph->kpis[parent].measure_id)
					nodes[parent].is_computed = true;
				break;
			default:
				break;
		}
	}
}

/*
 * Where each unit stands on that day.  In a frozen graph, which is asked about
 * units that came later too, one without history so early has its first.
 */
static void
place_units(Resolver *r)
{
	const KpiGraph *graph = r->graph;
	Numeric		one = kpi_number_from_int(1);

	r->parent_of = palloc(sizeof(int) * (graph->n_units + 1));
	r->share_of = palloc0(sizeof(Numeric) * (graph->n_units + 1));
	for (int unit = 0; unit < graph->n_units; unit++)
	{
		int			last = -1;

		for (int i = graph->first_placement[unit]; i < graph->first_placement[unit + 1]; i++)
			if (graph->placements[i].effective_from <= r->day || (graph->is_frozen && last < 0))
				last = i;
		r->parent_of[unit] = -1;
		if (last < 0)
			continue;
		if (graph->placements[last].parent_unit_id != 0)
			r->parent_of[unit] = find_unit(graph, graph->placements[last].parent_unit_id);
		if (kpi_number_compare(graph->placements[last].share, one) != 0)
			r->share_of[unit] = graph->placements[last].share;
	}
}

static bool
has_explicit_value_link(const KpiEpoch *epoch, const int *next_explicit,
						const int *first_explicit, int child, int parent)
{
	for (int i = first_explicit[child]; i >= 0; i = next_explicit[i])
		if (epoch->edges[i].contributes == KPI_LINK_VALUE && epoch->edges[i].parent == parent)
			return true;
	return false;
}

/*
 * The implied links: from each KPI to the KPI of its measure at the nearest
 * unit above that has one alive.
 */
static void
add_implied_links(Resolver *r)
{
	const KpiGraph *graph = r->graph;
	KpiNode    *nodes = r->epoch->nodes;
	int			n_explicit = r->epoch->n_edges;
	int		   *first_explicit = palloc(sizeof(int) * (graph->n_kpis + 1));
	int		   *next_explicit = palloc(sizeof(int) * (n_explicit + 1));

	for (int i = 0; i < graph->n_kpis; i++)
		first_explicit[i] = -1;
	for (int i = 0; i < n_explicit; i++)
	{
		next_explicit[i] = first_explicit[r->epoch->edges[i].child];
		first_explicit[r->epoch->edges[i].child] = i;
	}

	for (int child = 0; child < graph->n_kpis; child++)
	{
		const KpiKpi *kpi = &graph->kpis[child];
		const KpiMeasure *measure = kpi->measure;
		bool		shares = measure->apply_share && measure->rollup != KPI_ROLLUP_MIN &&
			measure->rollup != KPI_ROLLUP_MAX;
		Numeric		weight = NULL;	/* 1 */
		bool		cut = false;
		int			parent = -1;
		int			steps = 0;

		if (!nodes[child].alive || !measure->rolls_up || measure->rollup == KPI_ROLLUP_NONE ||
			nodes[child].is_growth)
			continue;
		for (int unit = kpi->unit; !cut && parent < 0; unit = r->parent_of[unit])
		{
			if (r->parent_of[unit] < 0)
				break;
			if (++steps > graph->n_units)
				ereport(ERROR,
						(errcode(ERRCODE_DATA_CORRUPTED),
						 errmsg("the units above unit " INT64_FORMAT " form a cycle", kpi->unit_id)));
			if (r->share_of[unit] != NULL)
			{
				if (kpi_number_sign(r->share_of[unit]) == 0)
					cut = true;
				else if (shares)
					weight = weight ? kpi_number_multiply(weight, r->share_of[unit]) :
						r->share_of[unit];
			}
			parent = kpi_at(graph, r->parent_of[unit], kpi->measure_id);
			if (parent >= 0 && !nodes[parent].alive)
				parent = -1;
		}
		if (parent < 0 || cut || nodes[parent].is_computed)
			continue;
		if (first_explicit[child] >= 0 &&
			has_explicit_value_link(r->epoch, next_explicit, first_explicit, child, parent))
			continue;
		add_edge(r, child, parent, KPI_LINK_VALUE, weight);
	}
}

static int
compare_edges(const void *a, const void *b)
{
	const KpiEdge *x = a;
	const KpiEdge *y = b;

	if (x->parent != y->parent)
		return COMPARE(x->parent, y->parent);
	if (x->child != y->child)
		return COMPARE(x->child, y->child);
	return COMPARE((int) x->contributes, (int) y->contributes);
}

/* orders the edges both ways and adds up the weights that reach each KPI */
static void
index_edges(const KpiGraph *graph, KpiEpoch *epoch)
{
	KpiNode    *nodes = epoch->nodes;
	int			at = 0;

	qsort(epoch->edges, epoch->n_edges, sizeof(KpiEdge), compare_edges);
	for (int i = 0; i < epoch->n_edges; i++)
	{
		const KpiEdge *edge = &epoch->edges[i];
		KpiNode    *node = &nodes[edge->parent];

		if (node->n_down++ == 0)
			node->first_down = i;
		nodes[edge->child].n_up++;
		if (edge->contributes == KPI_LINK_SCORE)
			node->score_weight = node->score_weight ?
				kpi_number_add(node->score_weight, edge->weight) : edge->weight;
		else if (edge->contributes != KPI_LINK_GROWTH)
			node->flow_weight = node->flow_weight ?
				kpi_number_add(node->flow_weight, edge->magnitude) : edge->magnitude;
	}
	epoch->up = palloc(sizeof(int) * (epoch->n_edges + 1));
	for (int i = 0; i < graph->n_kpis; i++)
	{
		nodes[i].first_up = at;
		at += nodes[i].n_up;
		nodes[i].n_up = 0;
	}
	for (int i = 0; i < epoch->n_edges; i++)
	{
		KpiNode    *node = &nodes[epoch->edges[i].child];

		epoch->up[node->first_up + node->n_up++] = i;
	}
}

/*
 * Links that form a cycle are refused when they are written (links.c), except
 * while a dump is restored.  KPIs still waiting for a child are in a cycle or
 * above one: going down from any of them ends in it.
 */
static void
refuse_cycle(const KpiGraph *graph, const KpiEpoch *epoch, const int *waiting)
{
	bool	   *seen = palloc0(sizeof(bool) * graph->n_kpis);
	StringInfoData path;
	int			at = 0,
				start;

	while (waiting[at] == 0)
		at++;
	for (int pass = 0; pass < 2; pass++)
	{
		/* the first pass leads into the cycle, the second once around it */
		start = at;
		if (pass == 1)
		{
			initStringInfo(&path);
			appendStringInfo(&path, INT64_FORMAT, graph->kpis[at].kpi_id);
		}
		do
		{
			const KpiNode *node = &epoch->nodes[at];

			seen[at] = true;
			for (int i = node->first_down; i < node->first_down + node->n_down; i++)
				if (waiting[epoch->edges[i].child] > 0)
				{
					at = epoch->edges[i].child;
					break;
				}
			if (pass == 1)
				appendStringInfo(&path, " <- " INT64_FORMAT, graph->kpis[at].kpi_id);
		} while (pass == 0 ? !seen[at] : at != start);
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("links between KPIs form a cycle"),
			 errdetail("By kpi_id the cycle is %s.", path.data),
			 errhint("Delete or end one of these links.")));
}

/* gives each KPI a level above all its children; raises on a cycle */
static void
order_levels(const KpiGraph *graph, KpiEpoch *epoch)
{
	KpiNode    *nodes = epoch->nodes;
	int		   *waiting = palloc(sizeof(int) * (graph->n_kpis + 1));
	int		   *queue = palloc(sizeof(int) * (graph->n_kpis + 1));
	int			head = 0,
				tail = 0;

	for (int i = 0; i < graph->n_kpis; i++)
	{
		waiting[i] = nodes[i].n_down;
		if (waiting[i] == 0)
			queue[tail++] = i;
	}
	while (head < tail)
	{
		KpiNode    *node = &nodes[queue[head++]];

		for (int i = node->first_up; i < node->first_up + node->n_up; i++)
		{
			int			parent = epoch->edges[epoch->up[i]].parent;

			nodes[parent].level = Max(nodes[parent].level, node->level + 1);
			if (--waiting[parent] == 0)
				queue[tail++] = parent;
		}
	}
	if (tail < graph->n_kpis)
		refuse_cycle(graph, epoch, waiting);
	pfree(waiting);
	pfree(queue);
}

static void
resolve(const KpiGraph *graph, DateADT day, KpiEpoch *epoch)
{
	Resolver	r = {.graph = graph, .day = graph->is_frozen ? graph->as_of : day,
		.epoch = epoch, .room = graph->n_kpis + 16};

	memset(epoch, 0, sizeof(KpiEpoch));
	epoch->nodes = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(KpiNode) * (graph->n_kpis + 1));
	memset(epoch->nodes, 0, sizeof(KpiNode) * (graph->n_kpis + 1));
	epoch->edges = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(KpiEdge) * r.room);
	for (int i = 0; i < graph->n_kpis; i++)
		epoch->nodes[i].alive = alive_on(&graph->kpis[i], day);
	place_units(&r);
	add_explicit_links(&r);
	add_implied_links(&r);
	index_edges(graph, epoch);
	order_levels(graph, epoch);
}

const KpiEpoch *
kpi_graph_epoch(KpiGraph *graph, DateADT day)
{
	int			low = 0,
				high = graph->n_breaks;
	EpochSlot  *slot = NULL;

	/* the number of breaks up to and including that day names the epoch */
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (graph->breaks[middle] <= day)
			low = middle + 1;
		else
			high = middle;
	}
	for (int i = 0; i < KPI_GRAPH_MAX_EPOCHS; i++)
	{
		EpochSlot  *candidate = &graph->slots[i];

		if (candidate->epoch == low)
		{
			candidate->used = ++graph->clock;
			return &candidate->resolved;
		}
		if (slot == NULL || candidate->used < slot->used)
			slot = candidate;
	}

	if (slot->context != NULL)
		MemoryContextDelete(slot->context);
	slot->epoch = -1;
	slot->context = AllocSetContextCreate(graph->context, "kpi_cascade epoch", ALLOCSET_DEFAULT_SIZES);
	{
		MemoryContext old = MemoryContextSwitchTo(slot->context);

		resolve(graph, day, &slot->resolved);
		MemoryContextSwitchTo(old);
	}
	slot->epoch = low;
	slot->used = ++graph->clock;
	return &slot->resolved;
}
