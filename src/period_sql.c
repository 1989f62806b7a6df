/*
 * period_sql.c
 *		kpi_period for SQL: input and output, functions, operators and the
 *		support of its operator classes.
 *
 * Thin wrappers over period.c.  Arguments and results of the enum type
 * kpi_grain are translated by their label, through the system cache; its
 * labels never change, so that these functions are immutable.
 *
 * The comparison functions are leakproof: they raise nothing and look at
 * nothing but their two words.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "common/hashfn.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "period_sql.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"
#include "utils/sortsupport.h"
#include "utils/syscache.h"

#define RANGE_HINT	"All days of a period lie within the years 0001 to 9999."

KpiGrain
kpi_grain_from_enum(Oid value)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	KpiGrain	grain;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum value %u", value);
	grain = kpi_grain_from_name(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	if (grain == 0)
		elog(ERROR, "enum value %u is no grain", value);
	return grain;
}

Oid
kpi_grain_to_enum(KpiGrain grain, Oid type)
{
	Oid			value = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
										ObjectIdGetDatum(type),
										CStringGetDatum(kpi_grain_name(grain)));

	if (!OidIsValid(value))
		elog(ERROR, "type %u has no value for grain \"%s\"", type, kpi_grain_name(grain));
	return value;
}

#define PG_GETARG_GRAIN(n)	kpi_grain_from_enum(PG_GETARG_OID(n))

static int
fiscal_start_argument(int fiscal_start)
{
	kpi_period_check_fiscal_start(fiscal_start);
	return fiscal_start;
}

/* ---- input and output ---- */

PG_FUNCTION_INFO_V1(kpi_period_in);
Datum
kpi_period_in(PG_FUNCTION_ARGS)
{
	static const char *const hints[] = {
		[KPI_PERIOD_MALFORMED] = "Write 2026, 2026-H1, 2026-Q3, 2026-08, 2026-W34 or 2026-08-14, or for fiscal years FY2027/04, FY2027-H1/04 or FY2027-Q1/04.",
		[KPI_PERIOD_NO_SUCH_HALF] = "A year has the halves H1 and H2.",
		[KPI_PERIOD_NO_SUCH_QUARTER] = "A year has the quarters Q1 to Q4.",
		[KPI_PERIOD_NO_SUCH_MONTH] = "A year has the months 01 to 12.",
		[KPI_PERIOD_NO_SUCH_WEEK] = "An ISO year has the weeks W01 to W52, and only some have W53.",
		[KPI_PERIOD_NO_SUCH_DAY] = "The month does not have that day.",
		[KPI_PERIOD_NO_SUCH_FISCAL_START] = "A fiscal year starts in one of the months 01 to 12.",
		[KPI_PERIOD_OUT_OF_RANGE] = RANGE_HINT,
	};
	char	   *text = PG_GETARG_CSTRING(0);
	KpiPeriod	period;
	KpiPeriodFault fault = kpi_period_parse(text, &period);

	if (fault == KPI_PERIOD_MALFORMED)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type kpi_period: \"%s\"", text),
				 errhint("%s", hints[fault])));
	if (fault != KPI_PERIOD_FINE)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
				 fault == KPI_PERIOD_OUT_OF_RANGE ?
				 errmsg("period \"%s\" is out of range", text) :
				 errmsg("period \"%s\" does not exist", text),
				 errhint("%s", hints[fault])));
	PG_RETURN_KPI_PERIOD(period);
}

PG_FUNCTION_INFO_V1(kpi_period_out);
Datum
kpi_period_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(kpi_period_to_text(PG_GETARG_KPI_PERIOD(0)));
}

PG_FUNCTION_INFO_V1(kpi_period_recv);
Datum
kpi_period_recv(PG_FUNCTION_ARGS)
{
	uint32		bits = pq_getmsgint((StringInfo) PG_GETARG_POINTER(0), 4);

	if (!kpi_period_is_valid(bits))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary form of type kpi_period: \"%08x\"", bits),
				 errhint("Send the four bytes that kpi_period sends, or the text form.")));
	PG_RETURN_KPI_PERIOD(bits);
}

PG_FUNCTION_INFO_V1(kpi_period_send);
Datum
kpi_period_send(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendint32(&buffer, PG_GETARG_KPI_PERIOD(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/* ---- making periods and asking about them ---- */

PG_FUNCTION_INFO_V1(kpi_period);
Datum
kpi_period(PG_FUNCTION_ARGS)
{
	PG_RETURN_KPI_PERIOD(kpi_period_containing(PG_GETARG_DATEADT(0), PG_GETARG_GRAIN(1),
											   fiscal_start_argument(PG_GETARG_INT32(2))));
}

PG_FUNCTION_INFO_V1(kpi_grain);
Datum
kpi_grain(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(kpi_grain_to_enum(kpi_period_grain(PG_GETARG_KPI_PERIOD(0)),
									get_func_rettype(fcinfo->flinfo->fn_oid)));
}

PG_FUNCTION_INFO_V1(kpi_fiscal_start);
Datum
kpi_fiscal_start(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(kpi_period_fiscal_start(PG_GETARG_KPI_PERIOD(0)));
}

PG_FUNCTION_INFO_V1(kpi_first_day);
Datum
kpi_first_day(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATEADT(kpi_period_first_day(PG_GETARG_KPI_PERIOD(0)));
}

PG_FUNCTION_INFO_V1(kpi_last_day);
Datum
kpi_last_day(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATEADT(kpi_period_last_day(PG_GETARG_KPI_PERIOD(0)));
}

PG_FUNCTION_INFO_V1(kpi_days);
Datum
kpi_days(PG_FUNCTION_ARGS)
{
	KpiPeriod	period = PG_GETARG_KPI_PERIOD(0);

	PG_RETURN_INT32(kpi_period_last_day(period) - kpi_period_first_day(period) + 1);
}

static Datum
period_or_null(FunctionCallInfo fcinfo, KpiPeriod period)
{
	if (period == KPI_PERIOD_NONE)
		PG_RETURN_NULL();
	PG_RETURN_KPI_PERIOD(period);
}

/* enclosing(period, grain [, fiscal_start]) */
PG_FUNCTION_INFO_V1(kpi_enclosing);
Datum
kpi_enclosing(PG_FUNCTION_ARGS)
{
	KpiPeriod	period = PG_GETARG_KPI_PERIOD(0);
	int			fiscal_start = PG_NARGS() > 2 ?
		fiscal_start_argument(PG_GETARG_INT32(2)) : kpi_period_fiscal_start(period);

	return period_or_null(fcinfo,
						  kpi_period_enclosing(period, PG_GETARG_GRAIN(1), fiscal_start));
}

PG_FUNCTION_INFO_V1(kpi_year_before);
Datum
kpi_year_before(PG_FUNCTION_ARGS)
{
	return period_or_null(fcinfo, kpi_period_year_before(PG_GETARG_KPI_PERIOD(0)));
}

PG_FUNCTION_INFO_V1(kpi_year_after);
Datum
kpi_year_after(PG_FUNCTION_ARGS)
{
	return period_or_null(fcinfo, kpi_period_year_after(PG_GETARG_KPI_PERIOD(0)));
}

PG_FUNCTION_INFO_V1(kpi_daterange);
Datum
kpi_daterange(PG_FUNCTION_ARGS)
{
	KpiPeriod	period = PG_GETARG_KPI_PERIOD(0);
	RangeBound	lower = {.inclusive = true,.lower = true};
	RangeBound	upper = {.inclusive = true};

	lower.val = DateADTGetDatum(kpi_period_first_day(period));
	upper.val = DateADTGetDatum(kpi_period_last_day(period));
	PG_RETURN_RANGE_P(kpi_make_range(range_get_typcache(fcinfo, get_func_rettype(fcinfo->flinfo->fn_oid)),
									 &lower, &upper));
}

/* ---- sets ---- */

/* returns count periods from first on, one a call; first and count matter in the first call */
static Datum
next_of_series(FunctionCallInfo fcinfo, KpiPeriod first, int64 count)
{
	FuncCallContext *context;

	if (SRF_IS_FIRSTCALL())
	{
		context = SRF_FIRSTCALL_INIT();
		context->max_calls = Max(count, 0);
		context->user_fctx = MemoryContextAlloc(context->multi_call_memory_ctx, sizeof(KpiPeriod));
		*(KpiPeriod *) context->user_fctx = first;
	}
	context = SRF_PERCALL_SETUP();
	if (context->call_cntr >= context->max_calls)
		SRF_RETURN_DONE(context);
	/* computed first: the macro counts the call before it looks at the result */
	first = kpi_period_shift(*(KpiPeriod *) context->user_fctx, context->call_cntr);
	SRF_RETURN_NEXT(context, KpiPeriodGetDatum(first));
}

/* the periods of a finer grain, or the same, that a period consists of */
PG_FUNCTION_INFO_V1(kpi_periods);
Datum
kpi_periods(PG_FUNCTION_ARGS)
{
	KpiPeriod	first = KPI_PERIOD_NONE;
	int64		count = 0;

	if (SRF_IS_FIRSTCALL())
	{
		KpiPeriod	period = PG_GETARG_KPI_PERIOD(0);
		KpiGrain	grain = PG_GETARG_GRAIN(1);

		if (grain == kpi_period_grain(period) ||
			kpi_grain_rolls_up_to(grain, kpi_period_grain(period)))
		{
			int			fiscal_start = kpi_period_fiscal_start(period);

			first = kpi_period_containing(kpi_period_first_day(period), grain, fiscal_start);
			count = 1 + kpi_period_distance(first,
											kpi_period_containing(kpi_period_last_day(period),
																  grain, fiscal_start));
		}
	}
	return next_of_series(fcinfo, first, count);
}

PG_FUNCTION_INFO_V1(kpi_generate_series);
Datum
kpi_generate_series(PG_FUNCTION_ARGS)
{
	KpiPeriod	first = PG_GETARG_KPI_PERIOD(0);
	int64		count = 0;

	if (SRF_IS_FIRSTCALL())
		count = 1 + kpi_period_distance(first, PG_GETARG_KPI_PERIOD(1));
	return next_of_series(fcinfo, first, count);
}

/* ---- arithmetic ---- */

PG_FUNCTION_INFO_V1(kpi_period_plus);
Datum
kpi_period_plus(PG_FUNCTION_ARGS)
{
	PG_RETURN_KPI_PERIOD(kpi_period_shift(PG_GETARG_KPI_PERIOD(0), PG_GETARG_INT32(1)));
}

PG_FUNCTION_INFO_V1(kpi_period_minus);
Datum
kpi_period_minus(PG_FUNCTION_ARGS)
{
	PG_RETURN_KPI_PERIOD(kpi_period_shift(PG_GETARG_KPI_PERIOD(0), -(int64) PG_GETARG_INT32(1)));
}

PG_FUNCTION_INFO_V1(kpi_period_difference);
Datum
kpi_period_difference(PG_FUNCTION_ARGS)
{
	/* fewer than four million days between any two */
	PG_RETURN_INT32((int32) kpi_period_distance(PG_GETARG_KPI_PERIOD(1), PG_GETARG_KPI_PERIOD(0)));
}

/* ---- containment, by days ---- */

static bool
contains_day(KpiPeriod period, DateADT day)
{
	return kpi_period_first_day(period) <= day && day <= kpi_period_last_day(period);
}

static bool
contains_period(KpiPeriod outer, KpiPeriod inner)
{
	return contains_day(outer, kpi_period_first_day(inner)) &&
		contains_day(outer, kpi_period_last_day(inner));
}

PG_FUNCTION_INFO_V1(kpi_period_contains_day);
Datum
kpi_period_contains_day(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(contains_day(PG_GETARG_KPI_PERIOD(0), PG_GETARG_DATEADT(1)));
}

PG_FUNCTION_INFO_V1(kpi_day_in_period);
Datum
kpi_day_in_period(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(contains_day(PG_GETARG_KPI_PERIOD(1), PG_GETARG_DATEADT(0)));
}

PG_FUNCTION_INFO_V1(kpi_period_contains);
Datum
kpi_period_contains(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(contains_period(PG_GETARG_KPI_PERIOD(0), PG_GETARG_KPI_PERIOD(1)));
}

PG_FUNCTION_INFO_V1(kpi_period_contained);
Datum
kpi_period_contained(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(contains_period(PG_GETARG_KPI_PERIOD(1), PG_GETARG_KPI_PERIOD(0)));
}

PG_FUNCTION_INFO_V1(kpi_period_overlaps);
Datum
kpi_period_overlaps(PG_FUNCTION_ARGS)
{
	KpiPeriod	a = PG_GETARG_KPI_PERIOD(0);
	KpiPeriod	b = PG_GETARG_KPI_PERIOD(1);

	PG_RETURN_BOOL(kpi_period_first_day(a) <= kpi_period_last_day(b) &&
				   kpi_period_first_day(b) <= kpi_period_last_day(a));
}

/* ---- comparison and operator classes ---- */

#define COMPARISON(name, operator) \
PG_FUNCTION_INFO_V1(name); \
Datum \
name(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_BOOL(PG_GETARG_KPI_PERIOD(0) operator PG_GETARG_KPI_PERIOD(1)); \
}

COMPARISON(kpi_period_eq, ==)
COMPARISON(kpi_period_ne, !=)
COMPARISON(kpi_period_lt, <)
COMPARISON(kpi_period_le, <=)
COMPARISON(kpi_period_gt, >)
COMPARISON(kpi_period_ge, >=)

PG_FUNCTION_INFO_V1(kpi_period_cmp);
Datum
kpi_period_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(kpi_period_compare(PG_GETARG_KPI_PERIOD(0), PG_GETARG_KPI_PERIOD(1)));
}

static int
compare_datums(Datum a, Datum b, SortSupport support)
{
	return kpi_period_compare(DatumGetKpiPeriod(a), DatumGetKpiPeriod(b));
}

PG_FUNCTION_INFO_V1(kpi_period_sortsupport);
Datum
kpi_period_sortsupport(PG_FUNCTION_ARGS)
{
	((SortSupport) PG_GETARG_POINTER(0))->comparator = compare_datums;
	PG_RETURN_VOID();
}

/* RANGE BETWEEN n PRECEDING AND m FOLLOWING counts periods of the row's own kind */
PG_FUNCTION_INFO_V1(kpi_period_in_range);
Datum
kpi_period_in_range(PG_FUNCTION_ARGS)
{
	KpiPeriod	value = PG_GETARG_KPI_PERIOD(0);
	KpiPeriod	base = PG_GETARG_KPI_PERIOD(1);
	int64		offset = PG_GETARG_INT32(2);
	bool		subtract = PG_GETARG_BOOL(3);
	bool		less = PG_GETARG_BOOL(4);
	int			order;

	if (offset < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PRECEDING_OR_FOLLOWING_SIZE),
				 errmsg("invalid preceding or following size in window function: \"%d\"", (int) offset),
				 errhint("Give a number of periods, 0 or more.")));

	order = kpi_period_compare_shifted(value, base, subtract ? -offset : offset);
	PG_RETURN_BOOL(less ? order <= 0 : order >= 0);
}

PG_FUNCTION_INFO_V1(kpi_period_hash);
Datum
kpi_period_hash(PG_FUNCTION_ARGS)
{
	return hash_uint32(PG_GETARG_KPI_PERIOD(0));
}

PG_FUNCTION_INFO_V1(kpi_period_hash_extended);
Datum
kpi_period_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_uint32_extended(PG_GETARG_KPI_PERIOD(0), PG_GETARG_INT64(1));
}
