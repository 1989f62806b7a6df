/*
 * graph.h
 *		KPIs, the links in force between them, and their topological order.
 *
 * Which links are in force depends on the day.  Between two days on which
 * something begins or ends nothing changes: such a stretch is an epoch, and
 * the links of an epoch are resolved once, when first asked for.
 *
 * Pure: the store hands over plain arrays, and nothing here reads a table.
 */
#ifndef KPI_GRAPH_H
#define KPI_GRAPH_H

#include "nodes/pg_list.h"
#include "scoring.h"

typedef enum KpiContributes
{
	KPI_LINK_VALUE,
	KPI_LINK_NUMERATOR,
	KPI_LINK_DENOMINATOR,
	KPI_LINK_GROWTH,
	KPI_LINK_SCORE,
	KPI_LINK_ALIGNED
} KpiContributes;

typedef struct KpiUnit
{
	int64		unit_id;
	DateADT		valid_from;		/* DATEVAL_NOBEGIN for open */
	DateADT		valid_to;		/* DATEVAL_NOEND for open */
} KpiUnit;

typedef struct KpiPlacement		/* one row of unit_history */
{
	int64		unit_id;
	DateADT		effective_from;
	int64		parent_unit_id; /* 0: none */
	Numeric		share;
} KpiPlacement;

typedef struct KpiKpi
{
	int64		kpi_id;
	int64		unit_id;
	int64		measure_id;
	DateADT		valid_from;
	DateADT		valid_to;
	/* filled in by kpi_graph_build */
	int			unit;
	const KpiMeasure *measure;
	DateADT		alive_from;		/* own validity and the unit's together */
	DateADT		alive_to;
	bool		feeds_growth;	/* is the child of a growth link on some day */
	bool		covers_unseen;	/* may have a row with coverage and yet no data */
} KpiKpi;

typedef struct KpiLink
{
	int64		child_kpi_id;
	int64		parent_kpi_id;
	KpiContributes contributes;
	Numeric		weight;
	DateADT		valid_from;
	DateADT		valid_to;
} KpiLink;

/* a link in force, explicit or implied, between KPIs by index */
typedef struct KpiEdge
{
	int			child;
	int			parent;
	KpiContributes contributes;
	Numeric		weight;
	Numeric		magnitude;		/* |weight| */
	bool		plain;			/* weight is 1 */
} KpiEdge;

/* what holds for one KPI throughout an epoch */
typedef struct KpiNode
{
	bool		alive;
	bool		is_growth;		/* a growth link is in force into it */
	bool		has_ratio_links;	/* numerator or denominator links */
	bool		is_computed;	/* no implied link reaches it */
	int			level;			/* above all its children */
	Numeric		flow_weight;	/* sum of |w| over value, numerator and denominator links; NULL: none */
	Numeric		score_weight;	/* sum of w over score links; NULL: none */
	int			first_down,
				n_down;			/* its children, in KpiEpoch.down */
	int			first_up,
				n_up;			/* its parents, in KpiEpoch.up */
} KpiNode;

typedef struct KpiEpoch
{
	KpiNode    *nodes;			/* by KPI index */
	KpiEdge    *edges;			/* ordered by parent: a node's children are adjacent */
	int		   *up;				/* indexes into edges, ordered by child */
	int			n_edges;
} KpiEpoch;

typedef struct KpiGraph KpiGraph;

/*
 * Builds a graph in the current memory context from arrays it takes over (and
 * sorts).  Measures are referred to by pointer and must stay.  KPIs whose unit
 * or measure is missing are left out: while a statement deletes units, theirs
 * are still there.
 */
extern KpiGraph *kpi_graph_build(KpiMeasure *measures, int n_measures,
								 KpiUnit *units, int n_units,
								 KpiPlacement *placements, int n_placements,
								 KpiKpi *kpis, int n_kpis,
								 KpiLink *links, int n_links);
/*
 * From now on parents and links are those in force on one day, whatever day is
 * asked about; KPIs stay alive by the day asked about.  Before any epoch is
 * asked for.
 */
extern void kpi_graph_freeze(KpiGraph *graph, DateADT as_of);
extern int	kpi_graph_size(const KpiGraph *graph);
/* the index of a KPI, or -1 */
extern int	kpi_graph_find(const KpiGraph *graph, int64 kpi_id);
extern const KpiKpi *kpi_graph_kpi(const KpiGraph *graph, int kpi);
extern bool kpi_graph_alive(const KpiGraph *graph, int kpi, KpiPeriod period);
/*
 * The links in force on a day; stays valid until the graph is freed or many
 * other epochs have been asked for (KPI_GRAPH_MAX_EPOCHS): look it up again
 * rather than keep it.  Raises when the links of that day form a cycle.
 */
extern const KpiEpoch *kpi_graph_epoch(KpiGraph *graph, DateADT day);

#define KPI_GRAPH_MAX_EPOCHS	64

/* the KPIs of a unit, as a list of ints */
extern List *kpi_graph_kpis_of_unit(const KpiGraph *graph, int64 unit_id);
/* an array of days by unit, all DATEVAL_NOEND; note_unit lowers one (unknown units are ignored) */
extern DateADT *kpi_graph_unit_days(const KpiGraph *graph);
extern void kpi_graph_note_unit(const KpiGraph *graph, DateADT *days, int64 unit_id, DateADT day);
/*
 * Calls visit for the KPIs of a measure (0: of all) at the units noted in days
 * and at all units that were or are above them on whatever day, with the
 * earliest day that reaches them.  Changes days.
 */
typedef void (*KpiDayVisitor) (void *context, int kpi, DateADT day);
extern void kpi_graph_each_kpi_above(const KpiGraph *graph, DateADT *days, int64 measure_id,
									 KpiDayVisitor visit, void *context);
/* is the KPI's unit that unit, or beneath it on a day? */
extern bool kpi_graph_is_beneath(const KpiGraph *graph, int kpi, int64 unit_id, DateADT day);
/* the KPIs of a unit and of all units that were or are beneath it on whatever day, as a list of ints */
extern List *kpi_graph_kpis_beneath(const KpiGraph *graph, int64 unit_id);
/* the explicit links that leave a KPI, on whatever day, as a list of const KpiLink * */
extern List *kpi_graph_links_from(const KpiGraph *graph, int kpi);
/* the explicit links that lead into a KPI, on whatever day, as a list of const KpiLink * */
extern List *kpi_graph_links_into(const KpiGraph *graph, int kpi);
/* all explicit links */
extern const KpiLink *kpi_graph_links(const KpiGraph *graph, int *n);
/* is an explicit link in force on a day? */
extern bool kpi_graph_in_force(const KpiGraph *graph, const KpiLink *link, DateADT day);
/*
 * The KPI of the same measure at the nearest unit above that has one alive on
 * a day and is not cut off by a share of 0, or -1; whether links into or out
 * of these KPIs rule the implied link out is not considered.
 */
extern int	kpi_graph_kpi_above(const KpiGraph *graph, int kpi, DateADT day);
/* the days on which an epoch begins, ascending; one more epoch comes before them */
extern const DateADT *kpi_graph_breaks(const KpiGraph *graph, int *n);
/* the KPIs of a measure */
extern List *kpi_graph_kpis_of_measure(const KpiGraph *graph, int64 measure_id);

#endif							/* KPI_GRAPH_H */
