/*
 * capture.h
 *		Pending rows of one statement, for the triggers that capture.
 */
#ifndef KPI_CAPTURE_H
#define KPI_CAPTURE_H

#include "statement.h"
#include "store_pending.h"

typedef struct KpiBatch
{
	KpiPending *rows;
	int			n;
	int			room;
} KpiBatch;
/* one more, empty but for its kind */
extern KpiPending *kpi_batch_add(KpiBatch *batch, KpiPendingKind kind);
/* appends them all to kpi.pending, and refuses what would change a closed period */
extern void kpi_batch_append(const KpiBatch *batch, TriggerData *trigger);

/* as kpi_trigger_data; raises where the trigger does not fire AFTER */
extern TriggerData *kpi_capture_trigger(FunctionCallInfo fcinfo, const char *function);

#endif							/* KPI_CAPTURE_H */
