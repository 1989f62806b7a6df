/*
 * cycle.h
 *		Finds links that form a cycle on some day.
 */
#ifndef KPI_CYCLE_H
#define KPI_CYCLE_H

#include "graph.h"

/* a KPI that a new cycle may lead through, and from when to when */
typedef struct KpiSuspect
{
	int			kpi;
	DateADT		from;
	DateADT		to;
} KpiSuspect;

/*
 * The first cycle, by day, that any of the suspects reaches upwards on a day
 * it is suspect: KPI indexes from child to parent, the first one again at the
 * end.  NIL where there is none.  day is the first day of that cycle,
 * DATEVAL_NOBEGIN where it always was there.
 */
extern List *kpi_cycle_find(const KpiGraph *graph, const KpiSuspect *suspects, int n_suspects,
							DateADT *day);

#endif							/* KPI_CYCLE_H */
