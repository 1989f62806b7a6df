/*
 * entry.c
 *		The entry views kpi.fact_entry and kpi.target_entry: natural keys in, rows
 *		of kpi.fact and kpi.target out, written once per statement.
 *
 * Per view three triggers.  BEFORE STATEMENT pushes a frame, INSTEAD OF INSERT
 * puts each row into it, with the KPI looked up (once per unit and measure) and
 * the row checked, so that an error comes with the line of the COPY it belongs
 * to; AFTER STATEMENT writes all rows of the frame in one INSERT and pops it.
 * A load then costs what it costs on the table itself: one capture, not one
 * per row.
 *
 * Frames form a stack, because rows may come from a function that itself
 * writes to an entry view.  A statement nested so is done before the outer one
 * goes on, and statements of one query on the same view share one BEFORE and
 * one AFTER trigger call, so the top of the stack is always the frame of the
 * row at hand.  A frame lives in its own memory context, beneath that of the
 * transaction; when a statement fails, the (sub)transaction it ran in aborts,
 * and the callbacks below drop its frames.  Rows are kept in a tuplestore,
 * which spills to disk beyond work_mem.
 *
 * Whoever may insert into a view needs no privilege on the tables behind it:
 * KPIs are looked up and rows written with the rights of the extension's owner.
 * Except where row security policies concern the caller: where they do on
 * kpi.unit the lookup, and where they do on kpi.fact or kpi.target the writing,
 * is the caller's, with privileges of his own.  No locks of its own.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "path.h"
#include "period.h"
#include "period_sql.h"
#include "number.h"
#include "rights.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#define ENTRY_ROWS "kpi_cascade_entry_rows"

/* columns of both views */
enum
{
	ENTRY_UNIT, ENTRY_MEASURE, ENTRY_PERIOD, ENTRY_VALUE,
	FACT_ENTRY_WEIGHT, FACT_ENTRY_REFERENCE, FACT_ENTRY_NOTE, FACT_ENTRY_COLUMNS,
	TARGET_ENTRY_COLUMNS = 9
};

/* unit and measure as given, with a zero byte between them */
typedef struct KpiEntryKey
{
	const char *bytes;
	int			size;
} KpiEntryKey;

typedef struct KpiEntryKpi
{
	KpiEntryKey key;
	int64		kpi_id;
	KpiGrain	grain;
	int			fiscal_start;
} KpiEntryKpi;

typedef struct KpiEntryTarget
{
	int64		kpi_id;
	int64		period;
} KpiEntryTarget;

typedef struct KpiEntryFrame
{
	struct KpiEntryFrame *outer;
	Oid			view;
	int			nest_level;		/* of the subtransaction the statement runs in */
	MemoryContext context;
	TupleDesc	shape;			/* of the rows kept: a KPI's key in place of unit and measure */
	Tuplestorestate *rows;
	HTAB	   *kpis;
	HTAB	   *targets;		/* those of this statement, to name one that comes twice */
} KpiEntryFrame;

static KpiEntryFrame *top_frame = NULL;
static bool callbacks_registered = false;
static SPIPlanPtr lookup_plan = NULL;

/* ---------- frames ---------- */

static void
at_transaction_end(XactEvent event, void *arg)
{
	/* their memory goes with the transaction's */
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		top_frame = NULL;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId my_id, SubTransactionId parent_id, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (top_frame != NULL && top_frame->nest_level >= GetCurrentTransactionNestLevel())
	{
		KpiEntryFrame *frame = top_frame;

		top_frame = frame->outer;
		MemoryContextDelete(frame->context);
	}
}

static uint32
entry_key_hash(const void *key, Size size)
{
	const KpiEntryKey *k = key;

	return hash_bytes((const unsigned char *) k->bytes, k->size);
}

static int
entry_key_compare(const void *a, const void *b, Size size)
{
	const KpiEntryKey *x = a;
	const KpiEntryKey *y = b;

	return x->size == y->size ? memcmp(x->bytes, y->bytes, x->size) : 1;
}

/* the columns of the table that a row of the view is made of */
static TupleDesc
table_shape(const char *table, int columns, const char *const *names)
{
	Oid			relation = get_relname_relid(table, get_namespace_oid("kpi", false));
	TupleDesc	shape = CreateTemplateTupleDesc(columns);

	for (int i = 0; i < columns; i++)
	{
		AttrNumber	column = get_attnum(relation, names[i]);

		if (column == InvalidAttrNumber)
			elog(ERROR, "column %s of kpi.%s is missing", names[i], table);
		TupleDescInitEntry(shape, i + 1, names[i], get_atttype(relation, column), -1, 0);
	}
	return shape;
}

static bool
is_target_view(Relation view)
{
	return strcmp(RelationGetRelationName(view), "target_entry") == 0;
}

static void
push_frame(Relation view)
{
	static const char *const fact_columns[] =
	{"kpi_id", "period", "value", "weight", "reference", "note"};
	static const char *const target_columns[] =
	{"kpi_id", "period", "value", "baseline", "low", "high", "points", "note"};
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "kpi_cascade entry",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KpiEntryFrame *frame = palloc0(sizeof(KpiEntryFrame));
	HASHCTL		control = {0};

	frame->view = RelationGetRelid(view);
	frame->nest_level = GetCurrentTransactionNestLevel();
	frame->context = context;
	if (is_target_view(view))
	{
		HASHCTL		targets = {0};

		frame->shape = table_shape("target", lengthof(target_columns), target_columns);
		targets.keysize = targets.entrysize = sizeof(KpiEntryTarget);
		targets.hcxt = context;
		frame->targets = hash_create("kpi_cascade targets entered", 256, &targets,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	else
		frame->shape = table_shape("fact", lengthof(fact_columns), fact_columns);
	frame->rows = tuplestore_begin_heap(false, false, work_mem);

	control.keysize = sizeof(KpiEntryKey);
	control.entrysize = sizeof(KpiEntryKpi);
	control.hash = entry_key_hash;
	control.match = entry_key_compare;
	control.hcxt = context;
	frame->kpis = hash_create("kpi_cascade KPIs entered", 256, &control,
							  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);

	MemoryContextSwitchTo(old);
	frame->outer = top_frame;
	top_frame = frame;
}

static KpiEntryFrame *
frame_of(Relation view)
{
	if (top_frame == NULL || top_frame->view != RelationGetRelid(view))
		elog(ERROR, "no rows are being collected for view %s", RelationGetRelationName(view));
	return top_frame;
}

static TriggerData *
trigger_data(FunctionCallInfo fcinfo, TriggerEvent timing, bool for_row)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		(trigger->tg_event & TRIGGER_EVENT_TIMINGMASK) != timing ||
		(bool) TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != for_row ||
		RelationGetNamespace(trigger->tg_relation) != get_namespace_oid("kpi", false) ||
		trigger->tg_relation->rd_rel->relkind != RELKIND_VIEW)
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("function \"%s\" belongs to a trigger of the entry views",
					   get_func_name(fcinfo->flinfo->fn_oid)));
	return trigger;
}

/* ---------- rows ---------- */

static KpiEntryKpi *
find_kpi(KpiEntryFrame *frame, const char *unit, const char *measure)
{
	int			unit_size = strlen(unit) + 1;
	int			size = unit_size + strlen(measure);
	char	   *bytes = palloc(size + 1);
	KpiEntryKey key = {bytes, size};
	KpiEntryKpi *kpi;
	KpiEntryKpi found;
	Datum		arguments[2];
	bool		is_null;
	bool		exists;
	KpiCaller	caller;
	bool		as_caller;

	memcpy(bytes, unit, unit_size);
	memcpy(bytes + unit_size, measure, size + 1 - unit_size);
	kpi = hash_search(frame->kpis, &key, HASH_FIND, NULL);
	if (kpi != NULL)
		return kpi;

	as_caller = kpi_row_security_is_on("unit") || kpi_row_security_is_on("measure") ||
		kpi_row_security_is_on("kpi");
	if (!as_caller)
		kpi_rights_of_owner(&caller);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (lookup_plan == NULL)
	{
		Oid			types[2] = {TEXTOID, TEXTOID};

		lookup_plan = SPI_prepare("SELECT kpi_id, grain, fiscal_start FROM kpi.entry_kpi($1, $2)", 2, types);
		if (lookup_plan == NULL || SPI_keepplan(lookup_plan) != 0)
			elog(ERROR, "could not prepare the lookup of KPIs");
	}
	arguments[0] = CStringGetTextDatum(unit);
	arguments[1] = CStringGetTextDatum(measure);
	if (SPI_execute_plan(lookup_plan, arguments, NULL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "lookup of KPIs failed");
	found.kpi_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	found.grain = kpi_grain_from_name(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
	found.fiscal_start = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &is_null));
	SPI_finish();
	if (!as_caller)
		kpi_rights_of_caller(&caller);

	key.bytes = MemoryContextAlloc(frame->context, size + 1);
	memcpy((char *) key.bytes, bytes, size + 1);
	kpi = hash_search(frame->kpis, &key, HASH_ENTER, &exists);
	kpi->kpi_id = found.kpi_id;
	kpi->grain = found.grain;
	kpi->fiscal_start = found.fiscal_start;
	return kpi;
}

static void
refuse_null(const char *column, const char *unit, const char *measure)
{
	ereport(ERROR,
			errcode(ERRCODE_NOT_NULL_VIOLATION),
			errmsg("%s for unit \"%s\" and measure \"%s\" must not be null", column, unit, measure),
			strcmp(column, "weight") == 0 ?
			errhint("The weight is 1 where the column is left out.") :
			errhint("Leave the row out where nothing is known."));
}

static void
check_number(Numeric number, const char *column, const char *unit, const char *measure, KpiPeriod period)
{
	if (!kpi_number_is_storable(number))
		ereport(ERROR,
				errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				errmsg("%s \"%s\" for unit \"%s\" and measure \"%s\" in %s is out of range", column,
					   DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number))),
					   unit, measure, kpi_period_to_text(period)),
				errhint("Numbers are finite and have at most %d digits before and %d after the point.",
						KPI_NUMBER_MAX_INTEGER_DIGITS, KPI_NUMBER_MAX_SCALE));
}

/* refuses what is no fact of that KPI; period, value and weight are not null */
static void
check_fact(const char *unit, const char *measure, KpiGrain grain, int fiscal_start,
		   KpiPeriod period, Numeric value, Numeric weight)
{
	if (kpi_period_grain(period) != grain ||
		(grain > KPI_GRAIN_MONTH && kpi_period_fiscal_start(period) != fiscal_start))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("period \"%s\" for unit \"%s\" does not fit measure \"%s\"",
					   kpi_period_to_text(period), unit, measure),
				errdetail("Facts of the measure are by %s, with the year starting in month %d.",
						  kpi_grain_name(grain), fiscal_start),
				errhint("Use a period such as %s.",
						kpi_period_to_text(kpi_period_containing(kpi_period_first_day(period), grain, fiscal_start))));
	check_number(value, "value", unit, measure, period);
	check_number(weight, "weight", unit, measure, period);
}

PG_FUNCTION_INFO_V1(kpi_check_fact);
Datum
kpi_check_fact(PG_FUNCTION_ARGS)
{
	char	   *unit = PG_ARGISNULL(0) ? "null" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *measure = PG_ARGISNULL(1) ? "null" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	static const char *const columns[] = {"period", "value", "weight"};

	for (int i = 0; i < lengthof(columns); i++)
		if (PG_ARGISNULL(4 + i))
			refuse_null(columns[i], unit, measure);
	if (PG_ARGISNULL(2) || PG_ARGISNULL(3))
		elog(ERROR, "grain or fiscal_start is null");
	check_fact(unit, measure, kpi_grain_from_enum(PG_GETARG_OID(2)), PG_GETARG_INT32(3),
			   PG_GETARG_KPI_PERIOD(4), PG_GETARG_NUMERIC(5), PG_GETARG_NUMERIC(6));
	PG_RETURN_VOID();
}

extern Datum kpi_period_in(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(kpi_entry_row);
Datum
kpi_entry_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, TRIGGER_EVENT_INSTEAD, true);
	KpiEntryFrame *frame = frame_of(trigger->tg_relation);
	bool		for_targets = frame->targets != NULL;
	Datum		given[TARGET_ENTRY_COLUMNS];
	bool		nulls[TARGET_ENTRY_COLUMNS];
	char	   *unit;
	char	   *measure;
	KpiEntryKpi *kpi;
	KpiPeriod	period;
	MemoryContext old;

	heap_deform_tuple(trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation), given, nulls);
	unit = nulls[ENTRY_UNIT] ? "null" : TextDatumGetCString(given[ENTRY_UNIT]);
	measure = nulls[ENTRY_MEASURE] ? "null" : TextDatumGetCString(given[ENTRY_MEASURE]);
	if (nulls[ENTRY_UNIT])
		refuse_null("unit", unit, measure);
	if (nulls[ENTRY_MEASURE])
		refuse_null("measure", unit, measure);
	kpi = find_kpi(frame, unit, measure);
	if (nulls[ENTRY_PERIOD])
		refuse_null("period", unit, measure);
	period = DatumGetKpiPeriod(DirectFunctionCall1(kpi_period_in,
												   CStringGetDatum(TextDatumGetCString(given[ENTRY_PERIOD]))));
	if (for_targets)
	{
		KpiEntryTarget target = {kpi->kpi_id, period};
		bool		twice;

		hash_search(frame->targets, &target, HASH_ENTER, &twice);
		if (twice)
			ereport(ERROR,
					errcode(ERRCODE_CARDINALITY_VIOLATION),
					errmsg("target for unit \"%s\" and measure \"%s\" in %s comes twice",
						   unit, measure, kpi_period_to_text(period)),
					errhint("One statement can set a target once; keep the row that counts."));
	}
	else
	{
		if (nulls[ENTRY_VALUE])
			refuse_null("value", unit, measure);
		if (nulls[FACT_ENTRY_WEIGHT])
			refuse_null("weight", unit, measure);
		check_fact(unit, measure, kpi->grain, kpi->fiscal_start, period,
				   DatumGetNumeric(given[ENTRY_VALUE]), DatumGetNumeric(given[FACT_ENTRY_WEIGHT]));
	}

	/* unit, measure, period become kpi_id, period; the rest stays */
	given[ENTRY_MEASURE] = Int64GetDatum(kpi->kpi_id);
	given[ENTRY_PERIOD] = KpiPeriodGetDatum(period);
	old = MemoryContextSwitchTo(frame->context);
	tuplestore_putvalues(frame->rows, frame->shape, given + 1, nulls + 1);
	MemoryContextSwitchTo(old);

	return PointerGetDatum(trigger->tg_trigtuple);
}

/* ---------- statements ---------- */

PG_FUNCTION_INFO_V1(kpi_entry_begin);
Datum
kpi_entry_begin(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, TRIGGER_EVENT_BEFORE, false);

	if (!callbacks_registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		callbacks_registered = true;
	}
	push_frame(trigger->tg_relation);
	return PointerGetDatum(NULL);
}

PG_FUNCTION_INFO_V1(kpi_entry_write);
Datum
kpi_entry_write(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, TRIGGER_EVENT_AFTER, false);
	KpiEntryFrame *frame = frame_of(trigger->tg_relation);
	int64		count = tuplestore_tuple_count(frame->rows);

	if (count > 0)
	{
		EphemeralNamedRelation rows;
		KpiCaller	caller;
		bool		as_caller = kpi_row_security_is_on(frame->targets == NULL ? "fact" : "target");

		if (!as_caller)
			kpi_rights_of_owner(&caller);
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		rows = palloc0(sizeof(EphemeralNamedRelationData));
		rows->md.name = ENTRY_ROWS;
		rows->md.tupdesc = frame->shape;
		rows->md.enrtype = ENR_NAMED_TUPLESTORE;
		rows->md.enrtuples = count;
		rows->reldata = frame->rows;
		if (SPI_register_relation(rows) != SPI_OK_REL_REGISTER)
			elog(ERROR, "could not register the rows entered");
		if (SPI_execute(frame->targets == NULL ?
						"INSERT INTO kpi.fact (kpi_id, period, value, weight, reference, note)"
						" SELECT kpi_id, period, value, weight, reference, note FROM " ENTRY_ROWS :
						"INSERT INTO kpi.target (kpi_id, period, value, baseline, low, high, points, note)"
						" SELECT kpi_id, period, value, baseline, low, high, points, note FROM " ENTRY_ROWS
						" ON CONFLICT (kpi_id, period) DO UPDATE SET value = EXCLUDED.value,"
						" baseline = EXCLUDED.baseline, low = EXCLUDED.low, high = EXCLUDED.high,"
						" points = EXCLUDED.points, note = EXCLUDED.note",
						false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not write the rows entered");
		SPI_finish();
		if (!as_caller)
			kpi_rights_of_caller(&caller);
	}

	tuplestore_end(frame->rows);
	top_frame = frame->outer;
	MemoryContextDelete(frame->context);
	return PointerGetDatum(NULL);
}

/* ---------- units by path or code ---------- */

PG_FUNCTION_INFO_V1(kpi_path_or_null);
Datum
kpi_path_or_null(PG_FUNCTION_ARGS)
{
	text	   *given = PG_GETARG_TEXT_PP(0);
	char	   *problem;
	KpiPath    *path = kpi_path_from_text(VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given), &problem);

	if (path == NULL)
		PG_RETURN_NULL();
	PG_RETURN_KPI_PATH(path);
}
