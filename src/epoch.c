/*
 * epoch.c
 *		The links in force in one epoch of a graph: resolving and keeping them.
 *
 * Explicit links come first, because they decide which KPIs are computed or
 * show growth; then the implied ones, which stop at the former and never leave
 * the latter.  An epoch's links are one array of edges ordered by parent, with
 * an index ordered by child beside it, so that both the children and the
 * parents of a KPI are adjacent.
 *
 * Resolved epochs are kept in a small cache, each in a memory context of its
 * own: an organisation that changes every day has many, and only few are in
 * use at one time.
 */
#include "postgres.h"

#include "graph_layout.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

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
			r->parent_of[unit] = kpi_graph_find_unit(graph, graph->placements[last].parent_unit_id);
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
			parent = kpi_graph_kpi_at(graph, r->parent_of[unit], kpi->measure_id);
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
		return KPI_COMPARE(x->parent, y->parent);
	if (x->child != y->child)
		return KPI_COMPARE(x->child, y->child);
	return KPI_COMPARE((int) x->contributes, (int) y->contributes);
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
		epoch->nodes[i].alive = kpi_alive_on(&graph->kpis[i], day);
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
