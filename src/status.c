/*
 * status.c
 *		What kpi.status() cannot ask in SQL: how many changes wait to be folded.
 *
 * They are counted under the snapshot of the query, by the cursor (see
 * store_pending.c), so that rows already folded are not even passed.  Takes no
 * lock but those for reading; works on a standby.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "store_pending.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(kpi_count_pending);

/* kpi.count_pending(): how many there are, and since when the oldest waits */
Datum
kpi_count_pending(PG_FUNCTION_ARGS)
{
	KpiStore   *store = kpi_store_open(GetActiveSnapshot());
	KpiFoldState state;
	int64		oldest;
	TupleDesc	row;
	Datum		values[2];
	bool		nulls[2] = {0};

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	kpi_store_read_state(store, &state);
	values[0] = Int64GetDatum(kpi_store_count_pending(store, &state, 0, &oldest));
	values[1] = TimestampTzGetDatum(oldest);
	nulls[1] = oldest == 0;
	kpi_store_close(store);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}
