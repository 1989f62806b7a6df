/*
 * accumulator.c
 *		Tallies many observations fast.
 *
 * An observation whose value and weight have few digits is added to integers,
 * in units of 10000^-scale, which is how numeric cuts its digits anyway.  The
 * scales start at 0 and grow with the digits seen.  Integers of W bits never
 * overflow: values, weights and products of more than W-2 bits are not taken,
 * and as soon as a sum needs more than W-2 bits all sums are settled, that is
 * merged into the tally of numerics, and start again from 0.  Whatever does not
 * fit goes to that tally directly.
 */
#include "postgres.h"

#include "accumulator.h"
#include "digits.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#define WIDE_BITS		((int) sizeof(KpiWide) * 8)
#define WIDE_LIMIT		((KpiWide) 1 << (WIDE_BITS - 2))

#define MAX_WORDS		(WIDE_BITS / 14)	/* 10000^MAX_WORDS is within the limit */
#define MAX_SCALE		(WIDE_BITS > 64 ? KPI_NUMBER_MAX_SCALE / KPI_DIGITS_PER_WORD : 2)
/* within what kpi_number_check lets in, so that only the rest is asked */
#define MAX_INTEGER_WORDS	(KPI_NUMBER_MAX_INTEGER_DIGITS / KPI_DIGITS_PER_WORD)
#define WORDS_IN_INT64	4

void
kpi_accumulator_init(KpiAccumulator *accumulator, MemoryContext context)
{
	memset(accumulator, 0, sizeof(*accumulator));
	accumulator->context = context;
}

/* wide * 10000^-scale */
static Numeric
number_from_wide(KpiWide wide, int scale)
{
	uint16		words[sizeof(KpiWide)];
	int			at = lengthof(words);
	bool		negative = wide < 0;

	while (wide != 0)
	{
		int			word = (int) (wide % KPI_DIGITS_BASE);

		words[--at] = (uint16) (negative ? -word : word);
		wide /= KPI_DIGITS_BASE;
	}
	return kpi_digits_build(negative, words + at, lengthof(words) - at,
							(int) lengthof(words) - at - 1 - scale);
}

KpiTally *
kpi_accumulator_settle(KpiAccumulator *accumulator)
{
	MemoryContext old = MemoryContextSwitchTo(accumulator->context);
	int			value_scale = accumulator->value_scale;
	int			weight_scale = accumulator->weight_scale;
	KpiTally	recent;

	if (accumulator->n != 0)
	{
		recent.n = number_from_wide(accumulator->n, 0);
		recent.sum_value = number_from_wide(accumulator->sum_value, value_scale);
		recent.sum_weight = number_from_wide(accumulator->sum_weight, weight_scale);
		recent.sum_product = number_from_wide(accumulator->sum_product,
											  value_scale + weight_scale);
		recent.minimum = number_from_wide(accumulator->minimum, value_scale);
		recent.maximum = number_from_wide(accumulator->maximum, value_scale);
		recent.extremes_unknown = false;
		if (accumulator->has_tally)
		{
			kpi_tally_merge(&accumulator->tally, &recent);
			kpi_tally_free(&recent);
		}
		else
			accumulator->tally = recent;
		accumulator->n = 0;
		accumulator->sum_value = 0;
		accumulator->sum_weight = 0;
		accumulator->sum_product = 0;
	}
	else if (!accumulator->has_tally)
		kpi_tally_init(&accumulator->tally);
	accumulator->has_tally = true;
	MemoryContextSwitchTo(old);
	return &accumulator->tally;
}

static inline bool
is_beyond(KpiWide sum, KpiWide limit)
{
	return sum > limit || sum < -limit;
}

static KpiWide
power(int words)
{
	KpiWide		result = 1;

	while (words-- > 0)
		result *= KPI_DIGITS_BASE;
	return result;
}

/* The number in units of 10000^-scale; false where it has finer digits or too many. */
static inline bool
count_units(const KpiDigits *digits, int scale, KpiWide *units)
{
	int			missing = scale - kpi_digits_fraction(digits);
	int			i = 0;
	int64		leading = 0;
	KpiWide		total;

	if (digits->count == 0)
	{
		*units = 0;
		return true;
	}
	if (missing < 0 || digits->weight + 1 > MAX_INTEGER_WORDS ||
		digits->weight + 1 + scale > MAX_WORDS)
		return false;
	for (; i < digits->count && i < WORDS_IN_INT64; i++)
		leading = leading * KPI_DIGITS_BASE + kpi_digits_word(digits, i);
	total = leading;
	for (; i < digits->count; i++)
		total = total * KPI_DIGITS_BASE + kpi_digits_word(digits, i);
	while (missing-- > 0)
		total *= KPI_DIGITS_BASE;
	*units = digits->negative ? -total : total;
	return true;
}

static inline int
bits_of(KpiWide wide)
{
	int			half = WIDE_BITS / 2;
	uint64		high;

	if (wide < 0)
		wide = -wide;
	high = (uint64) (wide >> half);
	if (high != 0)
		return half + 1 + pg_leftmost_one_pos64(high);
	return wide == 0 ? 0 : 1 + pg_leftmost_one_pos64((uint64) wide);
}

/* makes the units finer by 10000^value_steps and 10000^weight_steps */
static void
refine_units(KpiAccumulator *accumulator, int value_steps, int weight_steps)
{
	int			steps = value_steps + weight_steps;

	if (accumulator->n != 0)
	{
		KpiWide		limit = WIDE_LIMIT / power(Min(steps, MAX_SCALE));

		if (steps > MAX_SCALE ||
			is_beyond(accumulator->sum_value, limit) ||
			is_beyond(accumulator->sum_weight, limit) ||
			is_beyond(accumulator->sum_product, limit) ||
			is_beyond(accumulator->minimum, limit) ||
			is_beyond(accumulator->maximum, limit))
			kpi_accumulator_settle(accumulator);
		else
		{
			accumulator->sum_value *= power(value_steps);
			accumulator->sum_weight *= power(weight_steps);
			accumulator->sum_product *= power(steps);
			accumulator->minimum *= power(value_steps);
			accumulator->maximum *= power(value_steps);
		}
	}
	accumulator->value_scale += value_steps;
	accumulator->weight_scale += weight_steps;
}

static bool
observe_units(KpiAccumulator *accumulator, const KpiDigits *value, const KpiDigits *weight)
{
	int			value_steps = kpi_digits_fraction(value) - accumulator->value_scale;
	int			weight_steps = weight == NULL ? 0 :
		kpi_digits_fraction(weight) - accumulator->weight_scale;
	KpiWide		value_units;
	KpiWide		weight_units;

	value_steps = Max(value_steps, 0);
	weight_steps = Max(weight_steps, 0);
	if (accumulator->value_scale + value_steps > MAX_SCALE ||
		accumulator->weight_scale + weight_steps > MAX_SCALE ||
		!count_units(value, accumulator->value_scale + value_steps, &value_units))
		return false;
	if (weight == NULL)
		weight_units = power(accumulator->weight_scale);
	else if (!count_units(weight, accumulator->weight_scale + weight_steps, &weight_units))
		return false;
	if (bits_of(value_units) + bits_of(weight_units) > WIDE_BITS - 2)
		return false;
	if (value_steps > 0 || weight_steps > 0)
		refine_units(accumulator, value_steps, weight_steps);

	if (accumulator->n == 0)
	{
		accumulator->minimum = value_units;
		accumulator->maximum = value_units;
	}
	else if (value_units < accumulator->minimum)
		accumulator->minimum = value_units;
	else if (value_units > accumulator->maximum)
		accumulator->maximum = value_units;
	accumulator->n++;
	accumulator->sum_value += value_units;
	accumulator->sum_weight += weight_units;
	accumulator->sum_product += value_units * weight_units;
	if (is_beyond(accumulator->sum_product, WIDE_LIMIT) ||
		is_beyond(accumulator->sum_value, WIDE_LIMIT) ||
		is_beyond(accumulator->sum_weight, WIDE_LIMIT))
		kpi_accumulator_settle(accumulator);
	return true;
}

static void
observe_numbers(KpiAccumulator *accumulator, struct varlena *value, struct varlena *weight)
{
	Numeric		v = DatumGetNumeric(PointerGetDatum(value));
	Numeric		w = weight ? DatumGetNumeric(PointerGetDatum(weight)) : kpi_number_from_int(1);
	MemoryContext old;

	kpi_number_check(v, "value");
	kpi_number_check(w, "weight");
	old = MemoryContextSwitchTo(accumulator->context);
	if (!accumulator->has_tally)
	{
		kpi_tally_init(&accumulator->tally);
		accumulator->has_tally = true;
	}
	kpi_tally_observe(&accumulator->tally, v, w);
	MemoryContextSwitchTo(old);
	if ((Pointer) v != (Pointer) value)
		pfree(v);
	if ((Pointer) w != (Pointer) weight)
		pfree(w);
}

void
kpi_accumulator_observe(KpiAccumulator *accumulator,
						struct varlena *value, struct varlena *weight)
{
	KpiDigits	value_digits = kpi_digits_of(value);
	KpiDigits	weight_digits;
	bool		special = value_digits.special;

	if (weight != NULL)
	{
		weight_digits = kpi_digits_of(weight);
		special = special || weight_digits.special;
	}
	if (special ||
		!observe_units(accumulator, &value_digits, weight ? &weight_digits : NULL))
		observe_numbers(accumulator, value, weight);
}

void
kpi_accumulator_merge(KpiAccumulator *accumulator, const KpiTally *tally)
{
	MemoryContext old = MemoryContextSwitchTo(accumulator->context);

	if (accumulator->has_tally)
		kpi_tally_merge(&accumulator->tally, tally);
	else
	{
		kpi_tally_copy(&accumulator->tally, tally);
		accumulator->has_tally = true;
	}
	MemoryContextSwitchTo(old);
}
