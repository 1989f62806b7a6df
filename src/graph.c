/*
 * graph.c
 *		Units over time, KPIs and links: building the graph and looking things up.
 *
 * Everything is kept in sorted arrays and found by binary search; KPIs and
 * units are known by their index.  What is in force on a day is epoch.c's.
 */
#include "postgres.h"

#include "graph_layout.h"
#include "utils/memutils.h"

/* ------------------------------------------------------------------------
 * Building
 * ------------------------------------------------------------------------ */

static int
compare_measures(const void *a, const void *b)
{
	return KPI_COMPARE(((const KpiMeasure *) a)->measure_id, ((const KpiMeasure *) b)->measure_id);
}

static int
compare_units(const void *a, const void *b)
{
	return KPI_COMPARE(((const KpiUnit *) a)->unit_id, ((const KpiUnit *) b)->unit_id);
}

static int
compare_placements(const void *a, const void *b)
{
	const KpiPlacement *x = a;
	const KpiPlacement *y = b;

	if (x->unit_id != y->unit_id)
		return KPI_COMPARE(x->unit_id, y->unit_id);
	return KPI_COMPARE(x->effective_from, y->effective_from);
}

static int
compare_kpis(const void *a, const void *b)
{
	return KPI_COMPARE(((const KpiKpi *) a)->kpi_id, ((const KpiKpi *) b)->kpi_id);
}

static int
compare_kpis_by_unit(const void *a, const void *b, void *arg)
{
	const KpiKpi *kpis = arg;
	const KpiKpi *x = &kpis[*(const int *) a];
	const KpiKpi *y = &kpis[*(const int *) b];

	if (x->unit != y->unit)
		return KPI_COMPARE(x->unit, y->unit);
	return KPI_COMPARE(x->measure_id, y->measure_id);
}

static int
compare_links(const void *a, const void *b)
{
	return KPI_COMPARE(((const KpiLink *) a)->child_kpi_id, ((const KpiLink *) b)->child_kpi_id);
}

static int
compare_links_by_parent(const void *a, const void *b, void *arg)
{
	const KpiLink *links = arg;
	const KpiLink *x = &links[*(const int *) a];
	const KpiLink *y = &links[*(const int *) b];

	if (x->parent_kpi_id != y->parent_kpi_id)
		return KPI_COMPARE(x->parent_kpi_id, y->parent_kpi_id);
	return KPI_COMPARE(*(const int *) a, *(const int *) b);
}

static int
compare_days(const void *a, const void *b)
{
	return KPI_COMPARE(*(const DateADT *) a, *(const DateADT *) b);
}

/* rows is null where there are none */
static void *
find_row(const void *key, void *rows, int n, size_t size,
		 int (*compare) (const void *, const void *))
{
	return n > 0 ? bsearch(key, rows, n, size, compare) : NULL;
}

int
kpi_graph_find_unit(const KpiGraph *graph, int64 unit_id)
{
	KpiUnit		key = {.unit_id = unit_id};
	KpiUnit    *found = find_row(&key, graph->units, graph->n_units, sizeof(KpiUnit), compare_units);

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

	return find_row(&key, graph->measures, graph->n_measures, sizeof(KpiMeasure), compare_measures);
}

static void
complete_kpis(KpiGraph *graph)
{
	int			n = 0;

	for (int i = 0; i < graph->n_kpis; i++)
	{
		KpiKpi	   *kpi = &graph->kpis[n];

		*kpi = graph->kpis[i];
		kpi->unit = kpi_graph_find_unit(graph, kpi->unit_id);
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
	KpiKpi	   *found = find_row(&key, graph->kpis, graph->n_kpis, sizeof(KpiKpi), compare_kpis);

	return found ? (int) (found - graph->kpis) : -1;
}

const KpiKpi *
kpi_graph_kpi(const KpiGraph *graph, int kpi)
{
	return &graph->kpis[kpi];
}

bool
kpi_graph_alive(const KpiGraph *graph, int kpi, KpiPeriod period)
{
	return kpi_alive_on(&graph->kpis[kpi], kpi_period_last_day(period));
}

/* the KPI of a measure at a unit, or -1 */
int
kpi_graph_kpi_at(const KpiGraph *graph, int unit, int64 measure_id)
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
	int			unit = kpi_graph_find_unit(graph, unit_id);

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
	int			unit = kpi_graph_find_unit(graph, unit_id);

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
			int			parent = parent_id ? kpi_graph_find_unit(graph, parent_id) : -1;

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
			int			kpi = kpi_graph_kpi_at(graph, unit, measure_id);

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
		kpi_alive_on(&graph->kpis[child], day) && kpi_alive_on(&graph->kpis[parent], day);
}

/* the placement of a unit on a day, or NULL */
static const KpiPlacement *
placement_on(const KpiGraph *graph, int unit, DateADT day)
{
	const KpiPlacement *placement = NULL;

	for (int i = graph->first_placement[unit]; i < graph->first_placement[unit + 1]; i++)
		if (graph->placements[i].effective_from <= day)
			placement = &graph->placements[i];
	return placement;
}

bool
kpi_graph_is_beneath(const KpiGraph *graph, int kpi, int64 unit_id, DateADT day)
{
	int			unit = graph->kpis[kpi].unit;

	for (int steps = 0; steps < graph->n_units && unit >= 0; steps++)
	{
		const KpiPlacement *placement;

		if (graph->units[unit].unit_id == unit_id)
			return true;
		placement = placement_on(graph, unit, day);
		if (placement == NULL || placement->parent_unit_id == 0)
			return false;
		unit = kpi_graph_find_unit(graph, placement->parent_unit_id);
	}
	return false;
}

List *
kpi_graph_kpis_beneath(const KpiGraph *graph, int64 unit_id)
{
	bool	   *beneath = palloc0(sizeof(bool) * (graph->n_units + 1));
	List	   *result = NIL;
	int			top = kpi_graph_find_unit(graph, unit_id);
	bool		grown = top >= 0;

	if (top >= 0)
		beneath[top] = true;
	while (grown)
	{
		grown = false;
		for (int i = 0; i < graph->n_placements; i++)
		{
			int			parent = kpi_graph_find_unit(graph, graph->placements[i].parent_unit_id);
			int			unit;

			if (parent < 0 || !beneath[parent])
				continue;
			unit = kpi_graph_find_unit(graph, graph->placements[i].unit_id);
			grown |= unit >= 0 && !beneath[unit];
			if (unit >= 0)
				beneath[unit] = true;
		}
	}
	for (int kpi = 0; kpi < graph->n_kpis; kpi++)
		if (graph->kpis[kpi].unit >= 0 && beneath[graph->kpis[kpi].unit])
			result = lappend_int(result, kpi);
	pfree(beneath);
	return result;
}

int
kpi_graph_kpi_above(const KpiGraph *graph, int kpi, DateADT day)
{
	const KpiKpi *child = &graph->kpis[kpi];
	int			unit = child->unit;

	if (!kpi_alive_on(child, day) || !child->measure->rolls_up ||
		child->measure->rollup == KPI_ROLLUP_NONE)
		return -1;
	/* where the units themselves form a cycle, which is refused elsewhere, this ends too */
	for (int steps = 0; steps < graph->n_units; steps++)
	{
		const KpiPlacement *placement = placement_on(graph, unit, day);
		int			above;

		if (placement == NULL || placement->parent_unit_id == 0 ||
			kpi_number_sign(placement->share) == 0)
			return -1;
		unit = kpi_graph_find_unit(graph, placement->parent_unit_id);
		if (unit < 0)
			return -1;
		above = kpi_graph_kpi_at(graph, unit, child->measure_id);
		if (above >= 0 && kpi_alive_on(&graph->kpis[above], day))
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
