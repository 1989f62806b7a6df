/*
 * statement.h
 *		The rows that a trigger's statement changed.
 */
#ifndef KPI_STATEMENT_H
#define KPI_STATEMENT_H

#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/tuplestore.h"

/* what the trigger manager says; raises where somebody else has called the function */
extern TriggerData *kpi_trigger_data(FunctionCallInfo fcinfo, const char *function);

/* walks the old or new rows of a statement, or of a row trigger the one row */
typedef struct KpiRowReader
{
	Tuplestorestate *rows;
	HeapTuple	single;
	TupleTableSlot *slot;		/* the row last read */
} KpiRowReader;
extern void kpi_rows_start(KpiRowReader *reader, TriggerData *trigger, bool old);
/* false: there are no more, or none of that kind */
extern bool kpi_rows_next(KpiRowReader *reader);
extern void kpi_rows_stop(KpiRowReader *reader);

/* is a column of two rows the same? */
extern bool kpi_rows_same_column(TupleTableSlot *a, TupleTableSlot *b, int attribute);

#endif							/* KPI_STATEMENT_H */
