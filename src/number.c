/*
 * number.c
 *		Exact arithmetic on numerics, and the one place that rounds.
 *
 * PostgreSQL's numeric addition, subtraction and multiplication are exact as
 * long as the result's scale is not cut, which the bounds on input (30 digits
 * before and 20 after the point) keep far away.  Its division is not: it
 * rounds to a scale chosen from the operands, and rounding that result again
 * can go wrong by one unit in the last place.  So a quotient is taken from
 * integer division, which is exact:
 *
 *		round(a / b, s) = sign * div(2 |a| 10^s + |b|, 2 |b|) / 10^s
 *
 * where the last step is a multiplication by 10^-s, exact again.
 */
#include "postgres.h"

#include "digits.h"
#include "fmgr.h"
#include "number.h"
#include "utils/builtins.h"

#define MAX_PLACES		16383	/* numeric keeps no more after the point */

static Numeric
call1(PGFunction function, Numeric a)
{
	return DatumGetNumeric(DirectFunctionCall1(function, NumericGetDatum(a)));
}

static Numeric
call2(PGFunction function, Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(function, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

/* also false for what is not finite */
static bool
is_trimmed(Numeric a)
{
	KpiDigits	digits = kpi_digits_of(a);

	return !digits.special && digits.places == kpi_digits_places_needed(&digits);
}

/* trims a fresh result, in place of which it returns another if need be */
static Numeric
trim_and_free(Numeric a)
{
	Numeric		result;

	if (is_trimmed(a))
		return a;
	result = call1(numeric_trim_scale, a);
	pfree(a);
	return result;
}

/* ------------------------------------------------------------------------
 * Small numbers
 *
 * Nearly all numbers have few digits.  Those of up to four words are computed
 * with as integers, in units of 10000^-fraction; what does not fit takes
 * numeric's own functions, which give the same results.
 * ------------------------------------------------------------------------ */

#ifdef HAVE_INT128

#define SMALL_WORDS		4
#define SMALL_FRACTION	4		/* words after the point */

static const int64 powers_of_base[] = {
	INT64CONST(1), INT64CONST(10000), INT64CONST(100000000),
	INT64CONST(1000000000000), INT64CONST(10000000000000000)
};

typedef struct Small
{
	int128		units;
	int			fraction;
} Small;

static inline bool
is_small(Numeric a, Small *small)
{
	KpiDigits	digits = kpi_digits_of(a);
	int64		units = 0;

	if (digits.special || digits.count > SMALL_WORDS ||
		digits.weight >= SMALL_WORDS || digits.weight < -SMALL_FRACTION)
		return false;
	for (int i = 0; i < digits.count; i++)
		units = units * KPI_DIGITS_BASE + kpi_digits_word(&digits, i);
	small->fraction = kpi_digits_fraction(&digits);
	if (small->fraction > SMALL_FRACTION)
		return false;
	if (small->fraction < 0)
	{
		units *= powers_of_base[-small->fraction];
		small->fraction = 0;
	}
	small->units = digits.negative ? -units : units;
	return true;
}

/* both small, and brought to one fraction: below 10^32 in size */
static inline bool
are_small(Numeric a, Numeric b, Small *x, Small *y)
{
	if (!is_small(a, x) || !is_small(b, y))
		return false;
	if (x->fraction < y->fraction)
	{
		x->units *= powers_of_base[y->fraction - x->fraction];
		x->fraction = y->fraction;
	}
	else if (y->fraction < x->fraction)
	{
		y->units *= powers_of_base[x->fraction - y->fraction];
		y->fraction = x->fraction;
	}
	return true;
}

/* the numeric of units * 10000^-fraction */
static Numeric
build_small(int128 units, int fraction)
{
	uint16		words[16];
	int			first = lengthof(words);
	bool		negative = units < 0;

	if (negative)
		units = -units;
	while (units >= INT64CONST(1000000000000000000))
	{
		words[--first] = (uint16) (units % KPI_DIGITS_BASE);
		units /= KPI_DIGITS_BASE;
	}
	for (int64 rest = (int64) units; rest > 0; rest /= KPI_DIGITS_BASE)
		words[--first] = (uint16) (rest % KPI_DIGITS_BASE);
	return kpi_digits_build(negative, words + first, lengthof(words) - first,
							lengthof(words) - first - 1 - fraction);
}

#endif

Numeric
kpi_number_from_int(int64 value)
{
#ifdef HAVE_INT128
	return build_small(value, 0);
#else
	return int64_to_numeric(value);
#endif
}

Numeric
kpi_number_copy(Numeric a)
{
	Numeric		result = (Numeric) palloc(VARSIZE(a));

	memcpy(result, a, VARSIZE(a));
	return result;
}

Numeric
kpi_number_trim(Numeric a)
{
	return is_trimmed(a) ? kpi_number_copy(a) : call1(numeric_trim_scale, a);
}

Numeric
kpi_number_add(Numeric a, Numeric b)
{
#ifdef HAVE_INT128
	Small		x,
				y;

	if (are_small(a, b, &x, &y))
		return build_small(x.units + y.units, x.fraction);
#endif
	return trim_and_free(call2(numeric_add, a, b));
}

Numeric
kpi_number_subtract(Numeric a, Numeric b)
{
#ifdef HAVE_INT128
	Small		x,
				y;

	if (are_small(a, b, &x, &y))
		return build_small(x.units - y.units, x.fraction);
#endif
	return trim_and_free(call2(numeric_sub, a, b));
}

Numeric
kpi_number_multiply(Numeric a, Numeric b)
{
	KpiDigits	da = kpi_digits_of(a);
	KpiDigits	db = kpi_digits_of(b);
#ifdef HAVE_INT128
	Small		x,
				y;

	if (is_small(a, &x) && is_small(b, &y))
		return build_small(x.units * y.units, x.fraction + y.fraction);
#endif

	/* numeric_mul would round */
	if (!da.special && !db.special && da.places + db.places > MAX_PLACES)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("product has more than %d digits after the decimal point", MAX_PLACES)));
	return trim_and_free(call2(numeric_mul, a, b));
}

Numeric
kpi_number_negate(Numeric a)
{
	return trim_and_free(call1(numeric_uminus, a));
}

Numeric
kpi_number_absolute(Numeric a)
{
	return trim_and_free(call1(numeric_abs, a));
}

int
kpi_number_compare(Numeric a, Numeric b)
{
#ifdef HAVE_INT128
	Small		x,
				y;

	if (are_small(a, b, &x, &y))
		return (x.units > y.units) - (x.units < y.units);
#endif
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a),
											 NumericGetDatum(b)));
}

int
kpi_number_sign(Numeric a)
{
	KpiDigits	digits = kpi_digits_of(a);

	Assert(!digits.special);
	return digits.count == 0 ? 0 : digits.negative ? -1 : 1;
}

bool
kpi_number_same(Numeric a, Numeric b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return kpi_number_compare(a, b) == 0;
}

/* 10^exponent as a numeric without rounding; exponent may be negative */
static Numeric
power_of_ten(int exponent)
{
	char		text[32];

	snprintf(text, sizeof(text), "1e%d", exponent);
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
}

Numeric
kpi_number_quotient(Numeric numerator, Numeric denominator)
{
	Numeric		two;
	Numeric		n;
	Numeric		d;
	Numeric		scaled;
	Numeric		whole;
	Numeric		result;
#ifdef HAVE_INT128
	Small		x,
				y;

	if (are_small(numerator, denominator, &x, &y) && y.units != 0)
	{
		int128		size = x.units < 0 ? -x.units : x.units;
		int128		by = y.units < 0 ? -y.units : y.units;

		/* three words of fraction are the twelve places; 2 * size * 10^12 must fit */
		if (size < (int128) 10000000 * INT64CONST(1000000000000000000))
		{
			int128		quotient = (2 * size * INT64CONST(1000000000000) + by) / (2 * by);

			return build_small((x.units < 0) != (y.units < 0) ? -quotient : quotient,
							   KPI_QUOTIENT_SCALE / KPI_DIGITS_PER_WORD);
		}
	}
#endif
	two = int64_to_numeric(2);
	n = call1(numeric_abs, numerator);
	d = call1(numeric_abs, denominator);
	scaled = call2(numeric_mul, call2(numeric_mul, n, two), power_of_ten(KPI_QUOTIENT_SCALE));
	whole = call2(numeric_div_trunc, call2(numeric_add, scaled, d), call2(numeric_mul, d, two));
	result = call2(numeric_mul, whole, power_of_ten(-KPI_QUOTIENT_SCALE));
	if (kpi_number_sign(numerator) * kpi_number_sign(denominator) < 0)
		result = call1(numeric_uminus, result);
	return call1(numeric_trim_scale, result);
}

Numeric
kpi_number_round(Numeric a)
{
	Numeric		rounded;

	rounded = DatumGetNumeric(DirectFunctionCall2(numeric_round, NumericGetDatum(a),
												  Int32GetDatum(KPI_QUOTIENT_SCALE)));
	return trim_and_free(rounded);
}

bool
kpi_number_is_storable(Numeric a)
{
	KpiDigits	digits = kpi_digits_of(a);

	if (digits.special)
		return false;
	if (digits.count == 0)
		return true;
	if (kpi_digits_places_needed(&digits) > KPI_NUMBER_MAX_SCALE)
		return false;
	return (digits.weight + 1) * KPI_DIGITS_PER_WORD -
		kpi_digits_leading_zeros(kpi_digits_word(&digits, 0)) <= KPI_NUMBER_MAX_INTEGER_DIGITS;
}

void
kpi_number_check(Numeric a, const char *what)
{
	if (kpi_number_is_storable(a))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("%s \"%s\" cannot be stored", what,
					DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(a)))),
			 errdetail("Numbers must be finite, with at most %d digits before and %d after the decimal point.",
					   KPI_NUMBER_MAX_INTEGER_DIGITS, KPI_NUMBER_MAX_SCALE)));
}
