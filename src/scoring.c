/*
 * scoring.c
 *		From a tally and a target to an actual, an attainment, a score and a
 *		status: pure functions of numerics and periods.
 *
 * The formulas are those of the reference, chapter "What the numbers mean".
 * Where a formula is "1 plus or minus a fraction" it is brought over one
 * denominator first, so that rounding happens once, on the whole.
 */
#include "postgres.h"

#include "scoring.h"

#define MIN_OF(a, b) (kpi_number_compare(a, b) <= 0 ? (a) : (b))
#define MAX_OF(a, b) (kpi_number_compare(a, b) >= 0 ? (a) : (b))

static Numeric
number(int64 value)
{
	return kpi_number_from_int(value);
}

/* factor * a / b, or NULL where b is 0 */
static Numeric
scaled_quotient(Numeric factor, Numeric a, Numeric b)
{
	if (kpi_number_sign(b) == 0)
		return NULL;
	return kpi_number_quotient(factor ? kpi_number_multiply(factor, a) : a, b);
}

Numeric
kpi_actual_of_tally(const KpiMeasure *measure, const KpiTally *tally)
{
	switch (measure->rollup)
	{
		case KPI_ROLLUP_SUM:
		case KPI_ROLLUP_NONE:
			return kpi_number_copy(tally->sum_value);
		case KPI_ROLLUP_MEAN:
			return scaled_quotient(NULL, tally->sum_value, tally->n);
		case KPI_ROLLUP_WEIGHTED_MEAN:
			return scaled_quotient(NULL, tally->sum_product, tally->sum_weight);
		case KPI_ROLLUP_RATIO:
			return scaled_quotient(measure->multiplier, tally->sum_value, tally->sum_weight);
		case KPI_ROLLUP_MIN:
			return tally->minimum ? kpi_number_copy(tally->minimum) : NULL;
		case KPI_ROLLUP_MAX:
			return tally->maximum ? kpi_number_copy(tally->maximum) : NULL;
		case KPI_ROLLUP_COUNT:
			return kpi_number_copy(tally->n);
	}
	elog(ERROR, "unknown rollup %d", (int) measure->rollup);
	return NULL;				/* keep compilers quiet */
}

Numeric
kpi_growth(const KpiMeasure *measure, Numeric now, Numeric before)
{
	if (now == NULL || before == NULL)
		return NULL;
	return scaled_quotient(measure->multiplier, kpi_number_subtract(now, before),
						   kpi_number_absolute(before));
}

/* ------------------------------------------------------------------------
 * Targets
 * ------------------------------------------------------------------------ */

bool
kpi_targets_are_summed(const KpiMeasure *measure, bool is_growth)
{
	return !is_growth && measure->time_rollup == KPI_TIME_POOL &&
		(measure->rollup == KPI_ROLLUP_SUM || measure->rollup == KPI_ROLLUP_COUNT ||
		 measure->rollup == KPI_ROLLUP_NONE);
}

const KpiTarget *
kpi_target_explicit(const KpiTargetSet *set, KpiPeriod period)
{
	int			low = 0,
				high = set->n - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			order = kpi_period_compare(set->targets[middle].period, period);

		if (order == 0)
			return &set->targets[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

static bool
alive_in(DateADT from, DateADT to, KpiPeriod period)
{
	DateADT		day = kpi_period_last_day(period);

	return day >= from && day < to;
}

KpiPeriod
kpi_first_inside(const KpiMeasure *measure, KpiPeriod period, KpiGrain grain)
{
	return kpi_period_containing(kpi_period_first_day(period), grain,
								 grain >= KPI_GRAIN_QUARTER ? measure->fiscal_start : 1);
}

static int
count_alive(const KpiMeasure *measure, KpiPeriod period, KpiGrain grain, DateADT alive_from,
			DateADT alive_to)
{
	DateADT		end = kpi_period_last_day(period);
	int			n = 0;

	for (KpiPeriod inside = kpi_first_inside(measure, period, grain);;
		 inside = kpi_period_shift(inside, 1))
	{
		if (alive_in(alive_from, alive_to, inside))
			n++;
		if (kpi_period_last_day(inside) >= end)
			return n;
	}
}

/* a fold asks the same of one cell after another, so the latest answers are kept */
int
kpi_alive_periods(const KpiMeasure *measure, KpiPeriod period, KpiGrain grain,
				  DateADT alive_from, DateADT alive_to)
{
	static struct
	{
		KpiPeriod	period;		/* NONE: nothing is kept yet */
		KpiGrain	grain;
		int			fiscal_start;
		DateADT		alive_from;
		DateADT		alive_to;
		int			n;
	}			kept[4];
	static int	next = 0;

	for (int i = 0; i < lengthof(kept); i++)
		if (kept[i].period == period && kept[i].grain == grain &&
			kept[i].fiscal_start == measure->fiscal_start &&
			kept[i].alive_from == alive_from && kept[i].alive_to == alive_to &&
			period != KPI_PERIOD_NONE)
			return kept[i].n;
	next = (next + 1) % lengthof(kept);
	kept[next].period = KPI_PERIOD_NONE;
	kept[next].n = count_alive(measure, period, grain, alive_from, alive_to);
	kept[next].grain = grain;
	kept[next].fiscal_start = measure->fiscal_start;
	kept[next].alive_from = alive_from;
	kept[next].alive_to = alive_to;
	kept[next].period = period;
	return kept[next].n;
}

/* what derive() takes from each row */
typedef Numeric *(*FieldOf) (KpiTarget *target);

static Numeric *value_of(KpiTarget *target) { return &target->value; }
static Numeric *baseline_of(KpiTarget *target) { return &target->baseline; }
static Numeric *low_of(KpiTarget *target) { return &target->low; }
static Numeric *high_of(KpiTarget *target) { return &target->high; }

static Numeric
derive_field(const KpiMeasure *measure, bool summed, KpiTarget **rows, int n, FieldOf field)
{
	Numeric		result = NULL;

	for (int i = 0; i < n; i++)
	{
		Numeric		figure = *field(rows[i]);

		if (figure == NULL)
			return NULL;		/* null unless every row used has it */
		if (result == NULL)
			result = kpi_number_trim(figure);
		else if (!summed && measure->rollup == KPI_ROLLUP_MIN)
			result = MIN_OF(result, figure);
		else if (!summed && measure->rollup == KPI_ROLLUP_MAX)
			result = MAX_OF(result, figure);
		else
			result = kpi_number_add(result, figure);
	}
	if (!summed && measure->rollup != KPI_ROLLUP_MIN && measure->rollup != KPI_ROLLUP_MAX)
		result = kpi_number_quotient(result, number(n));
	return result;
}

static bool
same_points(const KpiTarget *a, const KpiTarget *b)
{
	if (a->npoints != b->npoints)
		return false;
	for (int i = 0; i < 2 * a->npoints; i++)
		if (kpi_number_compare(a->points[i], b->points[i]) != 0)
			return false;
	return true;
}

/* one target from the targets of the periods inside, n > 0 of them in order */
static void
derive(const KpiMeasure *measure, bool summed, KpiTarget **rows, int n, KpiTarget *result)
{
	memset(result, 0, sizeof(KpiTarget));
	if (!summed && measure->time_rollup == KPI_TIME_LAST)
	{
		*result = *rows[n - 1];
		return;
	}
	result->value = derive_field(measure, summed, rows, n, value_of);
	result->baseline = derive_field(measure, summed, rows, n, baseline_of);
	result->low = derive_field(measure, summed, rows, n, low_of);
	result->high = derive_field(measure, summed, rows, n, high_of);
	if (summed)
		return;
	for (int i = 1; i < n; i++)
		if (!same_points(rows[0], rows[i]))
			return;
	result->npoints = rows[0]->npoints;
	result->points = rows[0]->points;
}

/*
 * The explicit targets of the periods of that grain inside period in which the
 * KPI is alive, up to and including until (KPI_PERIOD_NONE: all of them).
 * Returns how many, or 0 if any has none or none is alive.
 */
static int
collect(const KpiMeasure *measure, const KpiTargetSet *set, KpiPeriod period, KpiGrain grain,
		KpiPeriod until, KpiTarget ***rows)
{
	DateADT		end = kpi_period_last_day(until != KPI_PERIOD_NONE ? until : period);
	int			n = 0;
	int			room = 16;

	*rows = palloc(room * sizeof(KpiTarget *));
	for (KpiPeriod inside = kpi_first_inside(measure, period, grain);;
		 inside = kpi_period_shift(inside, 1))
	{
		if (alive_in(set->alive_from, set->alive_to, inside))
		{
			const KpiTarget *target = kpi_target_explicit(set, inside);

			if (target == NULL)
				return 0;
			if (n == room)
			{
				room *= 2;
				*rows = repalloc(*rows, room * sizeof(KpiTarget *));
			}
			(*rows)[n++] = unconstify(KpiTarget *, target);
		}
		if (kpi_period_last_day(inside) >= end)
			return n;
	}
}

bool
kpi_target_in_period(const KpiMeasure *measure, bool summed, const KpiTargetSet *set,
					 KpiPeriod period, KpiTarget *result)
{
	const KpiTarget *explicit = kpi_target_explicit(set, period);
	KpiGrain	own_grain = kpi_period_grain(period);

	if (explicit != NULL)
	{
		*result = *explicit;
		return true;
	}
	if (set->n == 0)
		return false;
	for (int grain = own_grain - 1; grain >= (int) measure->grain; grain--)
	{
		KpiTarget **rows;
		int			n;

		if (!kpi_grain_rolls_up_to(grain, own_grain))
			continue;
		if (grain != (int) measure->grain && !kpi_grain_rolls_up_to(measure->grain, grain))
			continue;
		n = collect(measure, set, period, grain, KPI_PERIOD_NONE, &rows);
		if (n > 0)
		{
			derive(measure, summed, rows, n, result);
			result->period = period;
			return true;
		}
	}
	return false;
}

bool
kpi_target_to_date(const KpiMeasure *measure, bool summed, const KpiTargetSet *set,
				   KpiPeriod period, const KpiTarget *target, KpiPeriod last_actual,
				   KpiTarget *result)
{
	KpiTarget **rows;
	int			reached;

	if (target != NULL)
		*result = *target;
	if (kpi_period_grain(period) == measure->grain)
		return target != NULL;
	if (last_actual == KPI_PERIOD_NONE)
		return false;

	reached = collect(measure, set, period, measure->grain, last_actual, &rows);
	if (reached > 0)
	{
		if (kpi_target_explicit(set, period) == NULL)
		{
			derive(measure, summed, rows, reached, result);
			return true;
		}
		if (summed)
		{
			KpiTarget **all;
			int			n = collect(measure, set, period, measure->grain, KPI_PERIOD_NONE, &all);
			KpiTarget	whole;

			if (n > 0)
			{
				derive(measure, summed, all, n, &whole);
				if (whole.value != NULL && kpi_number_same(whole.value, target->value))
				{
					derive(measure, summed, rows, reached, result);
					return true;
				}
			}
		}
	}
	if (target == NULL)
		return false;
	if (summed && target->value != NULL &&
		(measure->scoring == KPI_SCORING_RATIO || measure->scoring == KPI_SCORING_STEP))
	{
		DateADT		end = kpi_period_last_day(last_actual);
		int			n = kpi_alive_periods(measure, period, measure->grain,
										  set->alive_from, set->alive_to);
		int			j = kpi_alive_periods(measure, period, measure->grain,
										  set->alive_from, Min(set->alive_to, end + 1));

		result->value = kpi_number_quotient(kpi_number_multiply(target->value, number(j)),
											number(n));
	}
	return true;
}

/* ------------------------------------------------------------------------
 * Attainment
 * ------------------------------------------------------------------------ */

static Numeric
met(const KpiMeasure *measure, Numeric actual, Numeric bound)
{
	int			order = kpi_number_compare(actual, bound);

	return number(measure->direction == KPI_HIGHER ? order >= 0 : order <= 0);
}

/* 1 - distance / |bound|, or 0 where the bound is 0 */
static Numeric
one_minus(Numeric distance, Numeric bound)
{
	Numeric		size = kpi_number_absolute(bound);

	if (kpi_number_sign(size) == 0)
		return number(0);
	return kpi_number_quotient(kpi_number_subtract(size, distance), size);
}

static Numeric
attainment_ratio(const KpiMeasure *measure, Numeric actual, Numeric target)
{
	Numeric		shortfall;

	if (kpi_number_sign(target) == 0)
		return met(measure, actual, target);
	shortfall = measure->direction == KPI_HIGHER ?
		kpi_number_subtract(target, actual) : kpi_number_subtract(actual, target);
	return one_minus(shortfall, target);
}

static Numeric
attainment_progress(const KpiMeasure *measure, Numeric actual, const KpiTarget *target)
{
	Numeric		way;

	if (target->baseline == NULL)
		return NULL;
	way = kpi_number_subtract(target->value, target->baseline);
	if (kpi_number_sign(way) == 0)
		return met(measure, actual, target->value);
	return kpi_number_quotient(kpi_number_subtract(actual, target->baseline), way);
}

static Numeric
attainment_range(Numeric actual, const KpiTarget *target)
{
	if (target->low != NULL && kpi_number_compare(actual, target->low) < 0)
		return one_minus(kpi_number_subtract(target->low, actual), target->low);
	if (target->high != NULL && kpi_number_compare(actual, target->high) > 0)
		return one_minus(kpi_number_subtract(actual, target->high), target->high);
	return number(1);
}

static Numeric
attainment_curve(Numeric actual, const KpiTarget *target)
{
	Numeric    *point = target->points;
	int			last = target->npoints - 1;

	if (target->npoints == 0)
		return NULL;
	if (kpi_number_compare(actual, point[0]) <= 0)
		return kpi_number_round(point[1]);
	for (int i = 1; i <= last; i++)
	{
		Numeric		x0 = point[2 * i - 2],
					y0 = point[2 * i - 1],
					x1 = point[2 * i],
					y1 = point[2 * i + 1];
		Numeric		width,
					rise;

		if (kpi_number_compare(actual, x1) > 0)
			continue;
		/* y0 + (A - x0) (y1 - y0) / (x1 - x0), over one denominator */
		width = kpi_number_subtract(x1, x0);
		rise = kpi_number_multiply(kpi_number_subtract(actual, x0), kpi_number_subtract(y1, y0));
		return kpi_number_quotient(kpi_number_add(kpi_number_multiply(y0, width), rise), width);
	}
	return kpi_number_round(point[2 * last + 1]);
}

Numeric
kpi_attainment(const KpiMeasure *measure, Numeric actual, const KpiTarget *target)
{
	if (actual == NULL || target == NULL)
		return NULL;
	switch (measure->scoring)
	{
		case KPI_SCORING_RANGE:
			return attainment_range(actual, target);
		case KPI_SCORING_CURVE:
			return attainment_curve(actual, target);
		case KPI_SCORING_RATIO:
			return target->value ? attainment_ratio(measure, actual, target->value) : NULL;
		case KPI_SCORING_PROGRESS:
			return target->value ? attainment_progress(measure, actual, target) : NULL;
		case KPI_SCORING_STEP:
			return target->value ? met(measure, actual, target->value) : NULL;
	}
	elog(ERROR, "unknown scoring %d", (int) measure->scoring);
	return NULL;				/* keep compilers quiet */
}

/* ------------------------------------------------------------------------
 * Score and status
 * ------------------------------------------------------------------------ */

Numeric
kpi_score(const KpiMeasure *measure, Numeric attainment_to_date, Numeric driver_score,
		  bool has_score_links)
{
	Numeric		result = attainment_to_date;
	Numeric		rest;

	if (result != NULL && measure->score_floor != NULL)
		result = MAX_OF(result, measure->score_floor);
	if (result != NULL && measure->score_cap != NULL)
		result = MIN_OF(result, measure->score_cap);

	rest = kpi_number_subtract(number(1), measure->result_weight);
	if (measure->missing_child == KPI_MISSING_REQUIRE && has_score_links &&
		kpi_number_sign(rest) > 0 && driver_score == NULL)
		return NULL;
	if (result != NULL && driver_score != NULL)
		result = kpi_number_add(kpi_number_multiply(measure->result_weight, result),
								kpi_number_multiply(rest, driver_score));
	else if (result == NULL)
		result = driver_score;
	return result ? kpi_number_round(result) : NULL;
}

KpiStatus
kpi_status(const KpiMeasure *measure, Numeric actual, Numeric attainment_to_date, Numeric score)
{
	if (score == NULL)
		return actual == NULL ? KPI_STATUS_NO_DATA : KPI_STATUS_NO_TARGET;
	if (kpi_number_compare(score, measure->on_track_from) >= 0)
	{
		if (measure->exceeded_from != NULL && attainment_to_date != NULL &&
			kpi_number_compare(attainment_to_date, measure->exceeded_from) >= 0)
			return KPI_STATUS_EXCEEDED;
		return KPI_STATUS_ON_TRACK;
	}
	if (kpi_number_compare(score, measure->at_risk_from) >= 0)
		return KPI_STATUS_AT_RISK;
	return KPI_STATUS_OFF_TRACK;
}

const char *
kpi_status_name(KpiStatus status)
{
	static const char *const names[KPI_STATUS_COUNT] = {
		"no_data", "no_target", "off_track", "at_risk", "on_track", "exceeded"
	};

	return names[status];
}
