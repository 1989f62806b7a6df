/*
 * read.c
 *		Reading: what a fold would change, without folding.
 *
 * The views show kpi.cell, but in place of the cells that pending changes may
 * change (kpi.dirty_cells() lists them, kpi.is_dirty() tells) what these come
 * to: kpi.dirty_exists(), kpi.dirty_figure() and their like.  Both come from one
 * map for each snapshot (dirty_map.c).  So a reader sees its own uncommitted
 * writes, sees committed writes at once, and never a half-folded state, whoever
 * folds and whenever.  Nothing is written, so this works on a standby and in
 * read-only transactions.
 *
 * Only AccessShareLock on the tables read; no privileges of the user take
 * part, as the views that use these functions are what privileges are granted
 * on.  What shows figures works for the views only (check_view_key).
 */
#include "postgres.h"

#include "dirty_map.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(kpi_dirty);
PG_FUNCTION_INFO_V1(kpi_dirty_cells);
PG_FUNCTION_INFO_V1(kpi_dirty_exists);
PG_FUNCTION_INFO_V1(kpi_dirty_figure);
PG_FUNCTION_INFO_V1(kpi_dirty_of);
PG_FUNCTION_INFO_V1(kpi_dirty_status);
PG_FUNCTION_INFO_V1(kpi_dirty_tally);
PG_FUNCTION_INFO_V1(kpi_is_any_dirty);
PG_FUNCTION_INFO_V1(kpi_is_dirty);
PG_FUNCTION_INFO_V1(kpi_hot_generation);

/*
 * Views call functions as the user who reads, so whoever may read a view may
 * call these functions, which would show all figures to all of them.  The
 * views therefore show them a key that only their owner can read.
 */
static void
check_view_key(const pg_uuid_t *shown)
{
	if (memcmp(kpi_dirty_map_view_key(), shown, sizeof(pg_uuid_t)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function kpi.dirty"),
				 errhint("Read kpi.attainment: it shows what is pending.")));
}

/* puts rows of type (kpi_id, period), or whole rows of kpi.cell, into a result */
typedef struct DirtyResult
{
	ReturnSetInfo *result;
	const pg_uuid_t *view_key;
	bool		whole;
} DirtyResult;

static void
put_cell(void *context, int64 kpi_id, KpiPeriod period)
{
	DirtyResult *dirty = context;
	ReturnSetInfo *result = dirty->result;
	Datum		values[MaxHeapAttributeNumber];
	bool		nulls[MaxHeapAttributeNumber];

	/* columns that somebody has added to the table */
	memset(nulls, true, result->setDesc->natts);
	if (dirty->whole)
	{
		const KpiCell *cell = kpi_dirty_map_cell(kpi_id, period);

		if (cell == NULL)
			return;
		kpi_store_cell_values(kpi_id, period, cell,
							  TupleDescAttr(result->setDesc, KPI_CELL_STATUS_COLUMN - 1)->atttypid,
							  values, nulls);
	}
	else
	{
		values[0] = Int64GetDatum(kpi_id);
		values[1] = KpiPeriodGetDatum(period);
		values[2] = UUIDPGetDatum(dirty->view_key);
		memset(nulls, false, 3);
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_dirty_cells(FunctionCallInfo fcinfo, bool whole)
{
	DirtyResult dirty = {(ReturnSetInfo *) fcinfo->resultinfo, PG_GETARG_UUID_P(0), whole};

	InitMaterializedSRF(fcinfo, 0);
	check_view_key(dirty.view_key);
	kpi_dirty_map_each(put_cell, &dirty);
}

/*
 * kpi.dirty(view_key) returns setof kpi.cell: the cells that pending changes
 * may have changed, as they are now
 */
Datum
kpi_dirty(PG_FUNCTION_ARGS)
{
	put_dirty_cells(fcinfo, true);
	return (Datum) 0;
}

/* kpi.dirty_cells(view_key) returns setof record (kpi_id, period, view_key): which cells those may be */
Datum
kpi_dirty_cells(PG_FUNCTION_ARGS)
{
	put_dirty_cells(fcinfo, false);
	return (Datum) 0;
}

/*
 * kpi.dirty_of(view_key, kpi_id) returns setof kpi.cell: of kpi.dirty() those of
 * one KPI, for views that look cells up by KPI
 */
Datum
kpi_dirty_of(PG_FUNCTION_ARGS)
{
	DirtyResult dirty = {(ReturnSetInfo *) fcinfo->resultinfo, PG_GETARG_UUID_P(0), true};
	int64		kpi_id = PG_GETARG_INT64(1);
	int			n;
	KpiPeriod  *periods;

	InitMaterializedSRF(fcinfo, 0);
	check_view_key(dirty.view_key);
	periods = kpi_dirty_map_periods(kpi_id, &n);
	for (int i = 0; i < n; i++)
		put_cell(&dirty, kpi_id, periods[i]);
	return (Datum) 0;
}

/* kpi.is_dirty(kpi_id, period): may the row of kpi.cell be out of date? */
Datum
kpi_is_dirty(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kpi_dirty_map_has(PG_GETARG_INT64(0), PG_GETARG_KPI_PERIOD(1)));
}

/* kpi.is_any_dirty(): is there a cell that pending changes may have changed? */
Datum
kpi_is_any_dirty(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kpi_dirty_map_has_any());
}

static const KpiCell *
dirty_cell_of_call(FunctionCallInfo fcinfo)
{
	check_view_key(PG_GETARG_UUID_P(0));
	return kpi_dirty_map_cell(PG_GETARG_INT64(1), PG_GETARG_KPI_PERIOD(2));
}

/* kpi.dirty_exists(view_key, kpi_id, period, ...): is there such a cell, now? */
Datum
kpi_dirty_exists(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(dirty_cell_of_call(fcinfo) != NULL);
}

/* kpi.dirty_figure(view_key, kpi_id, period, figure): one of its figures, by its column in kpi.cell */
Datum
kpi_dirty_figure(PG_FUNCTION_ARGS)
{
	const KpiCell *cell = dirty_cell_of_call(fcinfo);
	Numeric		figure = cell ? kpi_store_cell_figure(cell, PG_GETARG_INT32(3)) : NULL;

	if (figure == NULL)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(kpi_number_copy(figure));
}

Datum
kpi_dirty_status(PG_FUNCTION_ARGS)
{
	const KpiCell *cell = dirty_cell_of_call(fcinfo);

	if (cell == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(kpi_store_status_datum(get_fn_expr_rettype(fcinfo->flinfo), cell->status));
}

/* own: the tally of the own facts, else that of the cell */
Datum
kpi_dirty_tally(PG_FUNCTION_ARGS)
{
	const KpiCell *cell = dirty_cell_of_call(fcinfo);
	bool		own = PG_GETARG_BOOL(3);

	if (cell == NULL || !(own ? cell->has_own : cell->has_tally))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(kpi_tally_pack(own ? &cell->own : &cell->tally));
}

/* kpi.hot_generation(): where to look for cells beside generation 0 */
Datum
kpi_hot_generation(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(kpi_dirty_map_generation());
}
