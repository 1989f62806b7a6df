/*
 * cycle.c
 *		Finds links that form a cycle on some day.
 *
 * A depth-first search upwards, once for each epoch in which something is
 * suspect.  The links out of a KPI are worked out when it is reached, so that
 * a search costs what lies above its suspects, however large the graph: the
 * epochs of the graph, which resolve every link, would cost a second for each
 * link that is added to a large organisation with a long history.
 *
 * Links of every kind count that are in force, those that only align too: a
 * line of sight that comes back to where it began leads nowhere.
 *
 * Pure, as graph.c is.
 */
#include "postgres.h"

#include "cycle.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct Search
{
	const KpiGraph *graph;
	DateADT		day;
	int			epoch;			/* counts from 1 */
	/* by KPI, as of the epoch: 2 * epoch + a flag; less means not known */
	int		   *visited;		/* flag: all above it has been searched */
	int		   *computed;		/* flag: no implied link reaches it */
	/* the way from the suspect to the KPI in hand */
	struct Step
	{
		int			kpi;
		List	   *parents;
		int			next;
	}		   *path;
	int			length;
	int			room;
} Search;

/* what the links into a KPI make of it; see kpi_graph_epoch */
static bool
is_growth(Search *search, int kpi)
{
	ListCell   *lc;

	foreach(lc, kpi_graph_links_into(search->graph, kpi))
	{
		const KpiLink *link = lfirst(lc);

		if (link->contributes == KPI_LINK_GROWTH &&
			kpi_graph_in_force(search->graph, link, search->day))
			return true;
	}
	return false;
}

static bool
is_computed(Search *search, int kpi)
{
	int			known = 2 * search->epoch;
	ListCell   *lc;

	if (search->computed[kpi] >= known)
		return search->computed[kpi] > known;
	search->computed[kpi] = known;
	foreach(lc, kpi_graph_links_into(search->graph, kpi))
	{
		const KpiLink *link = lfirst(lc);
		bool		computes = false;

		switch (link->contributes)
		{
			case KPI_LINK_NUMERATOR:
			case KPI_LINK_DENOMINATOR:
			case KPI_LINK_GROWTH:
				computes = true;
				break;
			case KPI_LINK_VALUE:
				{
					int			child = kpi_graph_find(search->graph, link->child_kpi_id);

					computes = child >= 0 && kpi_graph_kpi(search->graph, child)->measure_id !=
						kpi_graph_kpi(search->graph, kpi)->measure_id;
					break;
				}
			case KPI_LINK_SCORE:
			case KPI_LINK_ALIGNED:
				break;
		}
		if (computes && kpi_graph_in_force(search->graph, link, search->day))
		{
			search->computed[kpi] = known + 1;
			break;
		}
	}
	return search->computed[kpi] > known;
}

/* the KPIs that a KPI contributes to on the day */
static List *
parents_of(Search *search, int kpi)
{
	List	   *result = NIL;
	int			above = kpi_graph_kpi_above(search->graph, kpi, search->day);
	ListCell   *lc;

	foreach(lc, kpi_graph_links_from(search->graph, kpi))
	{
		const KpiLink *link = lfirst(lc);

		if (kpi_graph_in_force(search->graph, link, search->day))
			result = lappend_int(result, kpi_graph_find(search->graph, link->parent_kpi_id));
	}
	if (above >= 0 && !is_computed(search, above) && !is_growth(search, kpi))
		result = lappend_int(result, above);
	return result;
}

static void
step_to(Search *search, int kpi)
{
	struct Step *step;

	if (search->length == search->room)
	{
		search->room *= 2;
		search->path = repalloc_huge(search->path, sizeof(struct Step) * (Size) search->room);
	}
	step = &search->path[search->length++];
	step->kpi = kpi;
	step->parents = parents_of(search, kpi);
	step->next = 0;
	search->visited[kpi] = 2 * search->epoch;
}

/* the cycle above a KPI, or NIL */
static List *
search_above(Search *search, int kpi)
{
	search->length = 0;
	step_to(search, kpi);
	while (search->length > 0)
	{
		struct Step *step = &search->path[search->length - 1];
		int			parent;

		CHECK_FOR_INTERRUPTS();
		if (step->next == list_length(step->parents))
		{
			search->visited[step->kpi] = 2 * search->epoch + 1;
			list_free(step->parents);
			search->length--;
			continue;
		}
		parent = list_nth_int(step->parents, step->next++);
		if (search->visited[parent] < 2 * search->epoch)
			step_to(search, parent);
		else if (search->visited[parent] == 2 * search->epoch)
		{
			/* on the way here already: told from the link that closes the cycle */
			List	   *cycle = list_make1_int(step->kpi);
			int			at = search->length - 1;

			while (search->path[at].kpi != parent)
				at--;
			for (; at < search->length; at++)
				cycle = lappend_int(cycle, search->path[at].kpi);
			return cycle;
		}
	}
	return NIL;
}

List *
kpi_cycle_find(const KpiGraph *graph, const KpiSuspect *suspects, int n_suspects, DateADT *day)
{
	Search		search = {.graph = graph, .room = 64};
	int			n_breaks;
	const DateADT *breaks = kpi_graph_breaks(graph, &n_breaks);
	int			n_kpis = kpi_graph_size(graph);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "kpi_cascade cycle",
												  ALLOCSET_DEFAULT_SIZES);

	search.visited = MemoryContextAllocZero(caller, sizeof(int) * (n_kpis + 1));
	search.computed = MemoryContextAllocZero(caller, sizeof(int) * (n_kpis + 1));
	for (int epoch = 0; epoch <= n_breaks; epoch++)
	{
		DateADT		begins = epoch == 0 ? DATEVAL_NOBEGIN : breaks[epoch - 1];
		DateADT		ends = epoch == n_breaks ? DATEVAL_NOEND : breaks[epoch];

		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		search.epoch = epoch + 1;
		search.day = begins;
		search.room = 64;
		search.path = palloc(sizeof(struct Step) * search.room);
		for (int i = 0; i < n_suspects; i++)
		{
			const KpiSuspect *suspect = &suspects[i];
			List	   *cycle;

			if (suspect->from >= ends || suspect->to <= begins ||
				search.visited[suspect->kpi] >= 2 * search.epoch)
				continue;
			cycle = search_above(&search, suspect->kpi);
			if (cycle != NIL)
			{
				*day = begins;
				MemoryContextSwitchTo(caller);
				return list_copy(cycle);
			}
		}
		MemoryContextSwitchTo(caller);
	}
	MemoryContextDelete(context);
	return NIL;
}
