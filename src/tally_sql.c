/*
 * tally_sql.c
 *		kpi_tally for SQL: input and output, order, operators and accessors.
 *
 * Thin wrappers over tally.c.  A tally that an aggregate hands over is
 * flattened when the argument is detoasted, so nothing here knows of it.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "compat.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "number.h"
#include "tally.h"
#include "utils/builtins.h"

#define TALLY_HINT \
	"Write {n=3,value=6,weight=3,product=12,min=1,max=3}, with min=?,max=? where they are unknown and without min and max where nothing was observed."

static KpiTally
tally_from_datum(Datum datum)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(datum);
	KpiTally	tally;

	kpi_tally_unpack(packed, &tally);
	if ((Pointer) packed != DatumGetPointer(datum))
		pfree(packed);
	return tally;
}

#define PG_GETARG_KPI_TALLY(n)		tally_from_datum(PG_GETARG_DATUM(n))
#define PG_RETURN_KPI_TALLY(x)		PG_RETURN_POINTER(kpi_tally_pack(x))

/* ---- input and output ---- */

PG_FUNCTION_INFO_V1(kpi_tally_in);
Datum
kpi_tally_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	KpiTally	tally;

	if (!kpi_tally_from_text(text, &tally))
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type kpi_tally: \"%s\"", text),
				 errhint(TALLY_HINT)));
	PG_RETURN_KPI_TALLY(&tally);
}

PG_FUNCTION_INFO_V1(kpi_tally_out);
Datum
kpi_tally_out(PG_FUNCTION_ARGS)
{
	KpiTally	tally = PG_GETARG_KPI_TALLY(0);

	PG_RETURN_CSTRING(kpi_tally_to_text(&tally));
}

static void
report_binary(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid binary form of type kpi_tally"),
			 errdetail("%s", detail),
			 errhint("Send what kpi_tally sends, or the text form.")));
}

static Numeric
receive_number(StringInfo message)
{
	Numeric		number;

	number = DatumGetNumeric(DirectFunctionCall3(numeric_recv, PointerGetDatum(message),
												 ObjectIdGetDatum(InvalidOid),
												 Int32GetDatum(-1)));
	if (numeric_is_nan(number) || numeric_is_inf(number))
		report_binary("A number in it is not finite.");
	return number;
}

static void
send_number(StringInfo message, Numeric number)
{
	bytea	   *sent = DatumGetByteaPP(DirectFunctionCall1(numeric_send,
														   NumericGetDatum(number)));

	pq_sendbytes(message, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent));
	pfree(sent);
}

/* what stands on the wire for a packed tally */
static void
send_tally(StringInfo message, const struct varlena *packed)
{
	uint8		flags = (uint8) VARDATA_ANY(packed)[1];
	KpiTally	tally;

	kpi_tally_unpack(packed, &tally);
	pq_sendbytes(message, VARDATA_ANY(packed), 2);
	send_number(message, tally.n);
	send_number(message, tally.sum_value);
	if ((flags & KPI_TALLY_WEIGHT_IS_N) == 0)
		send_number(message, tally.sum_weight);
	if ((flags & KPI_TALLY_PRODUCT_IS_VALUE) == 0)
		send_number(message, tally.sum_product);
	if ((flags & KPI_TALLY_HAS_EXTREMES) != 0)
	{
		send_number(message, tally.minimum);
		if ((flags & KPI_TALLY_ONE_EXTREME) == 0)
			send_number(message, tally.maximum);
	}
	kpi_tally_free(&tally);
}

/*
 * Accepts what send_tally writes and nothing else: the tally read is written
 * again and compared, so that the one form of each tally stays the only one.
 */
PG_FUNCTION_INFO_V1(kpi_tally_recv);
Datum
kpi_tally_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			start = message->cursor;
	int			version = pq_getmsgbyte(message);
	int			flags = pq_getmsgbyte(message);
	KpiTally	tally = {0};
	struct varlena *packed;
	StringInfoData again;

	if (version != KPI_TALLY_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("version %d of the binary form of type kpi_tally is not supported", version),
				 errhint("This server reads version %d.", KPI_TALLY_VERSION)));
	if ((flags & ~KPI_TALLY_ALL_FLAGS) != 0)
		report_binary("A reserved flag is set.");

	tally.n = receive_number(message);
	tally.sum_value = receive_number(message);
	tally.sum_weight = (flags & KPI_TALLY_WEIGHT_IS_N) ?
		kpi_number_copy(tally.n) : receive_number(message);
	tally.sum_product = (flags & KPI_TALLY_PRODUCT_IS_VALUE) ?
		kpi_number_copy(tally.sum_value) : receive_number(message);
	tally.extremes_unknown = (flags & KPI_TALLY_EXTREMES_UNKNOWN) != 0;
	if (flags & KPI_TALLY_HAS_EXTREMES)
	{
		tally.minimum = receive_number(message);
		tally.maximum = (flags & KPI_TALLY_ONE_EXTREME) ?
			kpi_number_copy(tally.minimum) : receive_number(message);
		if (kpi_number_compare(tally.minimum, tally.maximum) > 0)
			report_binary("Its minimum is greater than its maximum.");
	}

	packed = kpi_tally_pack(&tally);
	initStringInfo(&again);
	send_tally(&again, packed);
	if (again.len != message->cursor - start ||
		memcmp(again.data, message->data + start, again.len) != 0)
		report_binary("It is not the one form of this tally.");
	PG_RETURN_POINTER(packed);
}

PG_FUNCTION_INFO_V1(kpi_tally_send);
Datum
kpi_tally_send(PG_FUNCTION_ARGS)
{
	StringInfoData message;

	pq_begintypsend(&message);
	send_tally(&message, PG_GETARG_VARLENA_PP(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* ---- equality and order ---- */

/* there is one form for each tally, so the bytes tell */
static bool
same_bytes(FunctionCallInfo fcinfo)
{
	struct varlena *a = PG_GETARG_VARLENA_PP(0);
	struct varlena *b = PG_GETARG_VARLENA_PP(1);
	bool		same = VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return same;
}

static int
order_of_arguments(FunctionCallInfo fcinfo)
{
	KpiTally	a = PG_GETARG_KPI_TALLY(0);
	KpiTally	b = PG_GETARG_KPI_TALLY(1);
	int			order = kpi_tally_compare(&a, &b);

	/* index builds call this many times in one memory context */
	kpi_tally_free(&a);
	kpi_tally_free(&b);
	return order;
}

PG_FUNCTION_INFO_V1(kpi_tally_eq);
Datum
kpi_tally_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(same_bytes(fcinfo));
}

PG_FUNCTION_INFO_V1(kpi_tally_ne);
Datum
kpi_tally_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!same_bytes(fcinfo));
}

PG_FUNCTION_INFO_V1(kpi_tally_lt);
Datum
kpi_tally_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(order_of_arguments(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(kpi_tally_le);
Datum
kpi_tally_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(order_of_arguments(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(kpi_tally_gt);
Datum
kpi_tally_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(order_of_arguments(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(kpi_tally_ge);
Datum
kpi_tally_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(order_of_arguments(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(kpi_tally_cmp);
Datum
kpi_tally_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(order_of_arguments(fcinfo));
}

PG_FUNCTION_INFO_V1(kpi_tally_hash);
Datum
kpi_tally_hash(PG_FUNCTION_ARGS)
{
	struct varlena *tally = PG_GETARG_VARLENA_PP(0);
	Datum		hash = hash_any((unsigned char *) VARDATA_ANY(tally), VARSIZE_ANY_EXHDR(tally));

	PG_FREE_IF_COPY(tally, 0);
	return hash;
}

PG_FUNCTION_INFO_V1(kpi_tally_hash_extended);
Datum
kpi_tally_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *tally = PG_GETARG_VARLENA_PP(0);
	Datum		hash = hash_any_extended((unsigned char *) VARDATA_ANY(tally),
										 VARSIZE_ANY_EXHDR(tally), PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(tally, 0);
	return hash;
}

/* ---- arithmetic ---- */

static void
check_finite(Numeric number, const char *what)
{
	if (numeric_is_nan(number) || numeric_is_inf(number))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s \"%s\" is not a finite number", what,
						DatumGetCString(DirectFunctionCall1(numeric_out,
															NumericGetDatum(number))))));
}

PG_FUNCTION_INFO_V1(kpi_tally_plus);
Datum
kpi_tally_plus(PG_FUNCTION_ARGS)
{
	KpiTally	a = PG_GETARG_KPI_TALLY(0);
	KpiTally	b = PG_GETARG_KPI_TALLY(1);

	kpi_tally_merge(&a, &b);
	PG_RETURN_KPI_TALLY(&a);
}

PG_FUNCTION_INFO_V1(kpi_tally_minus);
Datum
kpi_tally_minus(PG_FUNCTION_ARGS)
{
	KpiTally	a = PG_GETARG_KPI_TALLY(0);
	KpiTally	b = PG_GETARG_KPI_TALLY(1);

	kpi_tally_subtract(&a, &b);
	PG_RETURN_KPI_TALLY(&a);
}

static Datum
scaled(Datum datum, Numeric factor)
{
	KpiTally	tally = tally_from_datum(datum);

	check_finite(factor, "factor");
	kpi_tally_scale(&tally, factor);
	PG_RETURN_KPI_TALLY(&tally);
}

PG_FUNCTION_INFO_V1(kpi_tally_times_number);
Datum
kpi_tally_times_number(PG_FUNCTION_ARGS)
{
	return scaled(PG_GETARG_DATUM(0), PG_GETARG_NUMERIC(1));
}

PG_FUNCTION_INFO_V1(kpi_number_times_tally);
Datum
kpi_number_times_tally(PG_FUNCTION_ARGS)
{
	return scaled(PG_GETARG_DATUM(1), PG_GETARG_NUMERIC(0));
}

/* ---- accessors ---- */

static Datum
number_or_null(FunctionCallInfo fcinfo, Numeric number)
{
	if (number == NULL)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(number);
}

static Datum
quotient_or_null(FunctionCallInfo fcinfo, Numeric numerator, Numeric denominator)
{
	if (kpi_number_sign(denominator) == 0)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(kpi_number_quotient(numerator, denominator));
}

PG_FUNCTION_INFO_V1(kpi_observations);
Datum
kpi_observations(PG_FUNCTION_ARGS)
{
	PG_RETURN_NUMERIC(PG_GETARG_KPI_TALLY(0).n);
}

PG_FUNCTION_INFO_V1(kpi_total);
Datum
kpi_total(PG_FUNCTION_ARGS)
{
	PG_RETURN_NUMERIC(PG_GETARG_KPI_TALLY(0).sum_value);
}

PG_FUNCTION_INFO_V1(kpi_total_weight);
Datum
kpi_total_weight(PG_FUNCTION_ARGS)
{
	PG_RETURN_NUMERIC(PG_GETARG_KPI_TALLY(0).sum_weight);
}

PG_FUNCTION_INFO_V1(kpi_minimum);
Datum
kpi_minimum(PG_FUNCTION_ARGS)
{
	return number_or_null(fcinfo, PG_GETARG_KPI_TALLY(0).minimum);
}

PG_FUNCTION_INFO_V1(kpi_maximum);
Datum
kpi_maximum(PG_FUNCTION_ARGS)
{
	return number_or_null(fcinfo, PG_GETARG_KPI_TALLY(0).maximum);
}

PG_FUNCTION_INFO_V1(kpi_mean);
Datum
kpi_mean(PG_FUNCTION_ARGS)
{
	KpiTally	tally = PG_GETARG_KPI_TALLY(0);

	return quotient_or_null(fcinfo, tally.sum_value, tally.n);
}

PG_FUNCTION_INFO_V1(kpi_weighted_mean);
Datum
kpi_weighted_mean(PG_FUNCTION_ARGS)
{
	KpiTally	tally = PG_GETARG_KPI_TALLY(0);

	return quotient_or_null(fcinfo, tally.sum_product, tally.sum_weight);
}

PG_FUNCTION_INFO_V1(kpi_ratio);
Datum
kpi_ratio(PG_FUNCTION_ARGS)
{
	KpiTally	tally = PG_GETARG_KPI_TALLY(0);
	Numeric		multiplier = PG_GETARG_NUMERIC(1);

	check_finite(multiplier, "multiplier");
	return quotient_or_null(fcinfo, kpi_number_multiply(multiplier, tally.sum_value),
							tally.sum_weight);
}
