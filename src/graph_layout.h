/*
 * graph_layout.h
 *		How a KpiGraph is laid out; only for graph.c and epoch.c.
 */
#ifndef KPI_GRAPH_LAYOUT_H
#define KPI_GRAPH_LAYOUT_H

#include "graph.h"

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

#define KPI_COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static inline bool
kpi_alive_on(const KpiKpi *kpi, DateADT day)
{
	return day >= kpi->alive_from && day < kpi->alive_to;
}

/* the index of a unit, or -1 */
extern int	kpi_graph_find_unit(const KpiGraph *graph, int64 unit_id);
/* the KPI of a measure at a unit, or -1 */
extern int	kpi_graph_kpi_at(const KpiGraph *graph, int unit, int64 measure_id);

#endif							/* KPI_GRAPH_LAYOUT_H */
