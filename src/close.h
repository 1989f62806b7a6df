/*
 * close.h
 *		Closed periods keep their figures: what would change one is refused.
 */
#ifndef KPI_CLOSE_H
#define KPI_CLOSE_H

#include "commands/trigger.h"
#include "store_pending.h"

extern void kpi_close_install(void);
/*
 * Looks at the pending rows that a trigger has appended.  Facts, and TRUNCATE,
 * are refused at once; what else may concern a closed period is checked when
 * the statement's other triggers have had their say, by kpi.watch_closes().
 */
extern void kpi_close_check(TriggerData *trigger, const KpiPending *rows, int n);

#endif							/* KPI_CLOSE_H */
