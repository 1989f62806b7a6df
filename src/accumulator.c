/*
 * accumulator.c
 *		Tallies many observations fast.
 *
 * An observation whose value and weight have few digits is added to integers,
 * in units of 10000^-scale, which is how numeric cuts its digits anyway.  The
 * scales start at 0 and grow with the digits seen.  An integer of W bits never
 * overflows: value and weight are below 2^(W/2-1) in size, their product below
 * 2^(W-2), and as soon as a sum is beyond 2^(W-2) all of them are settled,
 * that is merged into the tally of numerics, and start again from 0.
 * Whatever does not fit goes to that tally directly.
 */
#include "postgres.h"

#include "accumulator.h"
#include "common/int.h"
#include "digits.h"
#include "utils/memutils.h"

#define WIDE_BITS		((int) sizeof(KpiWide) * 8)
#define WIDE_LIMIT		((KpiWide) 1 << (WIDE_BITS - 2))
#define UNITS_LIMIT		((int64) (((uint64) 1 << (WIDE_BITS / 2 - 1)) - 1))

#define MAX_SCALE		3		/* nothing is kept finer than 10000^-3 */
#define MAX_WORDS		5		/* 10000^5 is beyond 64 bits */

static const int64 powers[MAX_SCALE + 1] = {
	1, INT64CONST(10000), INT64CONST(100000000), INT64CONST(1000000000000)
};

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

/* The number in units of 10000^-scale; false where it has finer digits or too many. */
static inline bool
count_units(const KpiDigits *digits, int scale, int64 *units)
{
	int			missing = scale - kpi_digits_fraction(digits);
	int64		total = 0;

	if (digits->count == 0)
	{
		*units = 0;
		return true;
	}
	if (missing < 0 || digits->weight + 1 + scale > MAX_WORDS)
		return false;
	for (int i = 0; i < digits->count; i++)
	{
		if (pg_mul_s64_overflow(total, KPI_DIGITS_BASE, &total) ||
			pg_add_s64_overflow(total, kpi_digits_word(digits, i), &total))
			return false;
	}
	while (missing-- > 0)
	{
		if (pg_mul_s64_overflow(total, KPI_DIGITS_BASE, &total))
			return false;
	}
	if (total > UNITS_LIMIT)
		return false;
	*units = digits->negative ? -total : total;
	return true;
}

/* makes the units finer by 10000^value_steps and 10000^weight_steps */
static void
refine_units(KpiAccumulator *accumulator, int value_steps, int weight_steps)
{
	int64		finer_value = powers[value_steps];
	int64		finer_weight = powers[weight_steps];

	if (accumulator->n != 0)
	{
		/* twice MAX_SCALE steps multiply by less than 2^80 */
		KpiWide		limit = WIDE_BITS > 80 ? WIDE_LIMIT >> (WIDE_BITS > 80 ? 80 : 0) : 0;
		int64		minimum;
		int64		maximum;

		if (is_beyond(accumulator->sum_value, limit) ||
			is_beyond(accumulator->sum_weight, limit) ||
			is_beyond(accumulator->sum_product, limit) ||
			pg_mul_s64_overflow(accumulator->minimum, finer_value, &minimum) ||
			pg_mul_s64_overflow(accumulator->maximum, finer_value, &maximum))
			kpi_accumulator_settle(accumulator);
		else
		{
			accumulator->sum_value *= finer_value;
			accumulator->sum_weight *= finer_weight;
			accumulator->sum_product *= (KpiWide) finer_value * finer_weight;
			accumulator->minimum = minimum;
			accumulator->maximum = maximum;
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
	int64		value_units;
	int64		weight_units;

	value_steps = Max(value_steps, 0);
	weight_steps = Max(weight_steps, 0);
	if (accumulator->value_scale + value_steps > MAX_SCALE ||
		accumulator->weight_scale + weight_steps > MAX_SCALE ||
		!count_units(value, accumulator->value_scale + value_steps, &value_units))
		return false;
	if (weight == NULL)
		weight_units = powers[accumulator->weight_scale];
	else if (!count_units(weight, accumulator->weight_scale + weight_steps, &weight_units))
		return false;
	if (weight_units > UNITS_LIMIT)
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
	accumulator->sum_product += (KpiWide) value_units * weight_units;
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
