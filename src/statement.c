/*
 * statement.c
 *		The rows that a trigger's statement changed.
 *
 * A statement trigger finds them in the transition tables, which other
 * triggers of the statement read too: each has a read pointer of its own.  A
 * row trigger has the one row.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "statement.h"
#include "utils/datum.h"
#include "utils/rel.h"

TriggerData *
kpi_trigger_data(FunctionCallInfo fcinfo, const char *function)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", function)));
	return (TriggerData *) fcinfo->context;
}

void
kpi_rows_start(KpiRowReader *reader, TriggerData *trigger, bool old)
{
	TupleDesc	descriptor = RelationGetDescr(trigger->tg_relation);

	memset(reader, 0, sizeof(KpiRowReader));
	if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
	{
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
			reader->single = old ? trigger->tg_trigtuple : trigger->tg_newtuple;
		else if (old == TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
			reader->single = trigger->tg_trigtuple;
		reader->slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsHeapTuple);
		return;
	}
	reader->rows = old ? trigger->tg_oldtable : trigger->tg_newtable;
	reader->slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
	if (reader->rows != NULL)
	{
		/* other triggers read the same rows with pointers of their own */
		int			pointer = tuplestore_alloc_read_pointer(reader->rows, EXEC_FLAG_REWIND);

		tuplestore_select_read_pointer(reader->rows, pointer);
		tuplestore_rescan(reader->rows);
	}
}

bool
kpi_rows_next(KpiRowReader *reader)
{
	if (reader->single != NULL)
	{
		ExecForceStoreHeapTuple(reader->single, reader->slot, false);
		reader->single = NULL;
		return true;
	}
	return reader->rows != NULL &&
		tuplestore_gettupleslot(reader->rows, true, false, reader->slot);
}

void
kpi_rows_stop(KpiRowReader *reader)
{
	ExecDropSingleTupleTableSlot(reader->slot);
}

bool
kpi_rows_same_column(TupleTableSlot *a, TupleTableSlot *b, int attribute)
{
	Form_pg_attribute form = TupleDescAttr(a->tts_tupleDescriptor, attribute - 1);
	bool		null_a,
				null_b;
	Datum		value_a = slot_getattr(a, attribute, &null_a);
	Datum		value_b = slot_getattr(b, attribute, &null_b);

	if (null_a || null_b)
		return null_a == null_b;
	return datum_image_eq(value_a, value_b, form->attbyval, form->attlen);
}
