/*
 * restated.c
 *		Every cell as it would be with the parents and links of one day.
 *
 * kpi.restated_cells(as_of) runs the complete cascade, the one that rebuilds
 * all cells from the facts and targets, on a graph in which every day has the
 * parents and links of as_of.  It reads facts, targets and structure under the
 * snapshot of the statement and neither reads nor writes kpi.cell, so pending
 * changes do not matter.
 *
 * Only AccessShareLock on the tables read; as in read.c no privileges of the
 * user take part.
 */
#include "postgres.h"

#include "cascade.h"
#include "fmgr.h"
#include "funcapi.h"
#include "store_graph.h"
#include "utils/date.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(kpi_restated_cells);

typedef struct Output
{
	ReturnSetInfo *result;
	Oid			status_type;
	MemoryContext row;			/* reset after each row */
} Output;

static void
put_cell(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *old, const KpiCell *now)
{
	Output	   *output = context;
	Datum		values[MaxHeapAttributeNumber];
	bool		nulls[MaxHeapAttributeNumber];
	MemoryContext before;

	if (!now->exists)
		return;
	before = MemoryContextSwitchTo(output->row);
	/* columns that somebody has added to the table */
	memset(nulls, true, output->result->setDesc->natts);
	kpi_store_cell_values(kpi_id, period, now, output->status_type, values, nulls);
	tuplestore_putvalues(output->result->setResult, output->result->setDesc, values, nulls);
	MemoryContextSwitchTo(before);
	MemoryContextReset(output->row);
}

/* kpi.restated_cells(as_of) returns setof kpi.cell */
Datum
kpi_restated_cells(PG_FUNCTION_ARGS)
{
	DateADT		as_of = PG_GETARG_DATEADT(0);
	MemoryContext context;
	MemoryContext before;
	KpiStore   *store;
	KpiCascade *cascade;
	KpiPending	everything = {.kind = KPI_PENDING_EVERYTHING};
	Output		output;

	InitMaterializedSRF(fcinfo, 0);
	output.result = (ReturnSetInfo *) fcinfo->resultinfo;
	output.status_type = TupleDescAttr(output.result->setDesc, KPI_CELL_STATUS_COLUMN - 1)->atttypid;

	context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade restated",
									ALLOCSET_DEFAULT_SIZES);
	before = MemoryContextSwitchTo(context);
	output.row = AllocSetContextCreate(context, "kpi_cascade restated row", ALLOCSET_DEFAULT_SIZES);
	store = kpi_store_open(GetActiveSnapshot());
	cascade = kpi_cascade_begin_on(store, kpi_store_graph_as_of(store, as_of));
	kpi_cascade_add(cascade, &everything);
	kpi_cascade_run(cascade);
	kpi_cascade_each_change(cascade, put_cell, &output);
	kpi_store_close(store);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
	return (Datum) 0;
}
