/*
 * period.c
 *		kpi_period: layout, calendar, parsing and arithmetic.
 *
 * The layout stands in period.h.  Days and weeks are counted in days and in
 * sevens from the epoch, which is a Monday; months, quarters, halves and years
 * by the month in which they begin.  A quarter, half or year is thus a first
 * month and a width, and shifting, enclosing and comparing are whole-number
 * arithmetic without a look at the calendar.
 *
 * The calendar is needed only between days and months, and there PostgreSQL's
 * own date2j() and j2date() serve.
 *
 * A fiscal year is named by the calendar year in which it ends.  Where the
 * fiscal start is 1 that is the calendar year itself, so both kinds share all
 * code but the text form.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "period.h"
#include "utils/datetime.h"

#define GRAIN_SHIFT			29
#define ORDINAL_SHIFT		4
#define ORDINAL_MASK		0x01FFFFFF
#define FISCAL_START_MASK	0x0F

#define LAST_YEAR			9999
#define DAYS_PER_WEEK		7
#define EPOCH_JDATE			1721426 /* date2j(1, 1, 1), a Monday */
#define LAST_DAY			3652058 /* 9999-12-31, counted from the epoch */
#define LAST_MONTH			(LAST_YEAR * MONTHS_PER_YEAR - 1)

static const char *const grain_names[KPI_GRAIN_COUNT + 1] =
{
	NULL, "day", "week", "month", "quarter", "half", "year"
};

/* months in a period of that grain; 0 for days and weeks */
static const int months_in[KPI_GRAIN_COUNT + 1] = {0, 0, 0, 1, 3, 6, 12};

/* ordinals that one period of that grain takes */
static int
width_of(KpiGrain grain)
{
	return grain <= KPI_GRAIN_WEEK ? 1 : months_in[grain];
}

static int
ordinal_of(KpiPeriod period)
{
	return (period >> ORDINAL_SHIFT) & ORDINAL_MASK;
}

/* days since the epoch of the first day of a month, and of a DateADT */
static int
day_of_month_ordinal(int month)
{
	return date2j(month / MONTHS_PER_YEAR + 1, month % MONTHS_PER_YEAR + 1, 1) -
		EPOCH_JDATE;
}

static int64
day_of_date(DateADT date)
{
	return (int64) date + POSTGRES_EPOCH_JDATE - EPOCH_JDATE;
}

static DateADT
date_of_day(int day)
{
	return day + EPOCH_JDATE - POSTGRES_EPOCH_JDATE;
}

static void
calendar_of_day(int day, int *year, int *month, int *day_of_month)
{
	j2date(day + EPOCH_JDATE, year, month, day_of_month);
}

static int
month_of_day(int day)
{
	int			year,
				month,
				day_of_month;

	calendar_of_day(day, &year, &month, &day_of_month);
	return (year - 1) * MONTHS_PER_YEAR + month - 1;
}

/* how far a month lies into the period of that width that it falls into */
static int
months_into(int month, int width, int fiscal_start)
{
	return (month + MONTHS_PER_YEAR - (fiscal_start - 1)) % width;
}

/* the year that names the fiscal year that this month falls into */
static int
named_year(int month, int fiscal_start)
{
	int			first = month - months_into(month, MONTHS_PER_YEAR, fiscal_start);

	return (first + MONTHS_PER_YEAR - 1) / MONTHS_PER_YEAR + 1;
}

/* ISO year and week of the week with that ordinal: those of its Thursday */
static void
iso_week(int week, int *iso_year, int *week_of_year)
{
	int			thursday = week * DAYS_PER_WEEK + 3;
	int			month,
				day_of_month;

	calendar_of_day(thursday, iso_year, &month, &day_of_month);
	*week_of_year = (thursday - day_of_month_ordinal((*iso_year - 1) * MONTHS_PER_YEAR)) /
		DAYS_PER_WEEK + 1;
}

/* the period with that ordinal, or none where a day of it would be out of range */
static KpiPeriod
make_period(KpiGrain grain, int64 ordinal, int fiscal_start)
{
	int64		last;

	if (grain == KPI_GRAIN_DAY)
		last = LAST_DAY;
	else if (grain == KPI_GRAIN_WEEK)
		last = (LAST_DAY + 1) / DAYS_PER_WEEK - 1;
	else
		last = LAST_MONTH + 1 - width_of(grain);

	if (ordinal < 0 || ordinal > last)
		return KPI_PERIOD_NONE;
	if (grain <= KPI_GRAIN_MONTH)
		fiscal_start = 1;
	return ((uint32) grain << GRAIN_SHIFT) | ((uint32) ordinal << ORDINAL_SHIFT) | fiscal_start;
}

/* the period of that grain around a day counted from the epoch, or none */
static KpiPeriod
period_around(int64 day, KpiGrain grain, int fiscal_start)
{
	int			month;

	if (day < 0 || day > LAST_DAY)
		return KPI_PERIOD_NONE;
	if (grain == KPI_GRAIN_DAY)
		return make_period(grain, day, 1);
	if (grain == KPI_GRAIN_WEEK)
		return make_period(grain, day / DAYS_PER_WEEK, 1);

	month = month_of_day((int) day);
	return make_period(grain,
					   month - months_into(month, width_of(grain),
										   grain == KPI_GRAIN_MONTH ? 1 : fiscal_start),
					   fiscal_start);
}

const char *
kpi_grain_name(KpiGrain grain)
{
	Assert(grain >= KPI_GRAIN_DAY && grain <= KPI_GRAIN_YEAR);
	return grain_names[grain];
}

KpiGrain
kpi_grain_from_name(const char *name)
{
	for (int grain = KPI_GRAIN_DAY; grain <= KPI_GRAIN_YEAR; grain++)
		if (strcmp(name, grain_names[grain]) == 0)
			return (KpiGrain) grain;
	return (KpiGrain) 0;
}

bool
kpi_grain_rolls_up_to(KpiGrain fine, KpiGrain coarse)
{
	return fine < coarse && fine != KPI_GRAIN_WEEK;
}

void
kpi_period_check_fiscal_start(int fiscal_start)
{
	if (fiscal_start < 1 || fiscal_start > MONTHS_PER_YEAR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fiscal start \"%d\" is not a month", fiscal_start),
				 errhint("Give the month in which the fiscal year starts, 1 to 12.")));
}

KpiPeriod
kpi_period_containing(DateADT day, KpiGrain grain, int fiscal_start)
{
	KpiPeriod	period = period_around(day_of_date(day), grain, fiscal_start);

	if (period == KPI_PERIOD_NONE)
	{
		char		text[MAXDATELEN + 1];

		if (DATE_NOT_FINITE(day))
			EncodeSpecialDate(day, text);
		else
		{
			struct pg_tm tm;

			j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
			EncodeDateOnly(&tm, USE_ISO_DATES, text);
		}
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s of date \"%s\" is out of range", kpi_grain_name(grain), text),
				 errhint("All days of a period lie within the years 0001 to 9999.")));
	}
	return period;
}

bool
kpi_period_is_valid(uint32 bits)
{
	KpiGrain	grain = kpi_period_grain(bits);
	int			fiscal_start = kpi_period_fiscal_start(bits);

	/* make_period() rebuilds the very bits unless one of them is wrong */
	return grain >= KPI_GRAIN_DAY && grain <= KPI_GRAIN_YEAR &&
		fiscal_start >= 1 && fiscal_start <= MONTHS_PER_YEAR &&
		make_period(grain, ordinal_of(bits), fiscal_start) == bits &&
		months_into(ordinal_of(bits), width_of(grain), fiscal_start) == 0;
}

KpiGrain
kpi_period_grain(KpiPeriod period)
{
	return (KpiGrain) (period >> GRAIN_SHIFT);
}

int
kpi_period_fiscal_start(KpiPeriod period)
{
	return period & FISCAL_START_MASK;
}

/* first day of the period with that ordinal, counted from the epoch */
static int
first_day_of(KpiGrain grain, int ordinal)
{
	if (grain == KPI_GRAIN_DAY)
		return ordinal;
	if (grain == KPI_GRAIN_WEEK)
		return ordinal * DAYS_PER_WEEK;
	return day_of_month_ordinal(ordinal);
}

DateADT
kpi_period_first_day(KpiPeriod period)
{
	return date_of_day(first_day_of(kpi_period_grain(period), ordinal_of(period)));
}

/*
 * Folds and reads ask the same of a few periods again and again, and the
 * calendar takes a while to tell: so the latest answers are kept.
 */
DateADT
kpi_period_last_day(KpiPeriod period)
{
	static struct
	{
		KpiPeriod	period;		/* NONE where nothing is kept */
		DateADT		last_day;
	}			kept[64];
	int			at = (period * 0x9E3779B1U) >> 26;

	if (kept[at].period != period || period == KPI_PERIOD_NONE)
	{
		KpiGrain	grain = kpi_period_grain(period);

		kept[at].last_day =
			date_of_day(first_day_of(grain, ordinal_of(period) + width_of(grain)) - 1);
		kept[at].period = period;
	}
	return kept[at].last_day;
}

int
kpi_period_compare(KpiPeriod a, KpiPeriod b)
{
	return (a > b) - (a < b);
}

int
kpi_period_compare_shifted(KpiPeriod a, KpiPeriod b, int64 n)
{
	int64		difference;

	if (kpi_period_grain(a) != kpi_period_grain(b))
		return kpi_period_compare(a, b);
	difference = ordinal_of(a) - (ordinal_of(b) + n * width_of(kpi_period_grain(b)));
	if (difference == 0)
		difference = kpi_period_fiscal_start(a) - kpi_period_fiscal_start(b);
	return (difference > 0) - (difference < 0);
}

static KpiPeriod
find_enclosing(KpiPeriod period, KpiGrain grain, int fiscal_start)
{
	KpiGrain	own_grain = kpi_period_grain(period);
	KpiPeriod	result;

	if (own_grain != grain && !kpi_grain_rolls_up_to(own_grain, grain))
		return KPI_PERIOD_NONE;

	result = period_around(day_of_date(kpi_period_first_day(period)), grain, fiscal_start);
	if (result != KPI_PERIOD_NONE &&
		kpi_period_last_day(result) < kpi_period_last_day(period))
		return KPI_PERIOD_NONE;
	return result;
}

/* asked as often as the last day */
KpiPeriod
kpi_period_enclosing(KpiPeriod period, KpiGrain grain, int fiscal_start)
{
	static struct
	{
		KpiPeriod	period;		/* NONE where nothing is kept */
		KpiGrain	grain;
		int			fiscal_start;
		KpiPeriod	enclosing;
	}			kept[64];
	int			at = ((period + grain) * 0x9E3779B1U) >> 26;

	if (kept[at].period != period || kept[at].grain != grain ||
		kept[at].fiscal_start != fiscal_start || period == KPI_PERIOD_NONE)
	{
		kept[at].enclosing = find_enclosing(period, grain, fiscal_start);
		kept[at].grain = grain;
		kept[at].fiscal_start = fiscal_start;
		kept[at].period = period;
	}
	return kept[at].enclosing;
}

KpiPeriod
kpi_period_shift(KpiPeriod period, int64 n)
{
	KpiGrain	grain = kpi_period_grain(period);
	KpiPeriod	result = KPI_PERIOD_NONE;

	/* beyond this n no sum is in range, and below it none overflows */
	if (n >= -PG_INT32_MAX && n <= PG_INT32_MAX)
		result = make_period(grain, ordinal_of(period) + n * width_of(grain),
							 kpi_period_fiscal_start(period));
	if (result == KPI_PERIOD_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("period \"%s\" shifted by " INT64_FORMAT " is out of range",
						kpi_period_to_text(period), n),
				 errhint("All days of a period lie within the years 0001 to 9999.")));
	return result;
}

int64
kpi_period_distance(KpiPeriod a, KpiPeriod b)
{
	KpiGrain	grain = kpi_period_grain(a);

	if (grain != kpi_period_grain(b) ||
		kpi_period_fiscal_start(a) != kpi_period_fiscal_start(b))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("periods \"%s\" and \"%s\" are not of one grain and fiscal start",
						kpi_period_to_text(a), kpi_period_to_text(b)),
				 errhint("Only periods of the same grain and fiscal start can be counted from one to the other.")));
	return (ordinal_of(b) - ordinal_of(a)) / width_of(grain);
}

/* the same period so many years later; none for weeks and where there is none */
static KpiPeriod
shift_years(KpiPeriod period, int years)
{
	KpiGrain	grain = kpi_period_grain(period);
	int			year,
				month,
				day_of_month;

	if (grain == KPI_GRAIN_WEEK)
		return KPI_PERIOD_NONE;
	if (grain != KPI_GRAIN_DAY)
		return make_period(grain, (int64) ordinal_of(period) + years * MONTHS_PER_YEAR,
						   kpi_period_fiscal_start(period));

	calendar_of_day(ordinal_of(period), &year, &month, &day_of_month);
	year += years;
	if (year < 1 || (month == 2 && day_of_month == 29 && !isleap(year)))
		return KPI_PERIOD_NONE;
	return make_period(grain, date2j(year, month, day_of_month) - EPOCH_JDATE, 1);
}

KpiPeriod
kpi_period_year_before(KpiPeriod period)
{
	return shift_years(period, -1);
}

KpiPeriod
kpi_period_year_after(KpiPeriod period)
{
	return shift_years(period, 1);
}

char *
kpi_period_to_text(KpiPeriod period)
{
	KpiGrain	grain = kpi_period_grain(period);
	int			ordinal = ordinal_of(period);
	int			fiscal_start = kpi_period_fiscal_start(period);
	const char *prefix = fiscal_start == 1 ? "" : "FY";
	char		suffix[8] = "";
	int			year,
				month,
				day_of_month;

	if (fiscal_start != 1)
		snprintf(suffix, sizeof(suffix), "/%02d", fiscal_start);

	switch (grain)
	{
		case KPI_GRAIN_DAY:
			calendar_of_day(ordinal, &year, &month, &day_of_month);
			return psprintf("%04d-%02d-%02d", year, month, day_of_month);
		case KPI_GRAIN_WEEK:
			iso_week(ordinal, &year, &month);
			return psprintf("%04d-W%02d", year, month);
		case KPI_GRAIN_MONTH:
			return psprintf("%04d-%02d", ordinal / MONTHS_PER_YEAR + 1,
							ordinal % MONTHS_PER_YEAR + 1);
		case KPI_GRAIN_YEAR:
			return psprintf("%s%04d%s", prefix, named_year(ordinal, fiscal_start), suffix);
		default:
			return psprintf("%s%04d-%c%d%s", prefix, named_year(ordinal, fiscal_start),
							grain == KPI_GRAIN_HALF ? 'H' : 'Q',
							months_into(ordinal, MONTHS_PER_YEAR, fiscal_start) /
							width_of(grain) + 1, suffix);
	}
}

/*
 * Does text begin with this pattern?  In it 9 stands for a digit, all else
 * for itself.  The digits are handed back, run by run, in numbers.
 */
static bool
matches(const char *text, const char *pattern, int *numbers)
{
	bool		in_number = false;

	numbers--;
	for (; *pattern != '\0'; text++, pattern++)
	{
		if (*pattern != '9')
		{
			if (*text != *pattern)
				return false;
			in_number = false;
			continue;
		}
		if (*text < '0' || *text > '9')
			return false;
		if (!in_number)
			*++numbers = 0;
		in_number = true;
		*numbers = *numbers * 10 + (*text - '0');
	}
	return *text == '\0';
}

/* the n-th period of that grain, from 1, in the year of that name */
static KpiPeriodFault
nth_of_year(KpiGrain grain, int year, int n, int fiscal_start, KpiPeriod *period)
{
	static const KpiPeriodFault no_such[] = {
		0, 0, 0, KPI_PERIOD_NO_SUCH_MONTH, KPI_PERIOD_NO_SUCH_QUARTER, KPI_PERIOD_NO_SUCH_HALF
	};
	int64		first;

	if (n < 1 || n > MONTHS_PER_YEAR / width_of(grain))
		return no_such[grain];
	if (fiscal_start < 1 || fiscal_start > MONTHS_PER_YEAR)
		return KPI_PERIOD_NO_SUCH_FISCAL_START;

	first = (int64) (year - 1) * MONTHS_PER_YEAR;
	if (fiscal_start > 1)
		first += fiscal_start - 1 - MONTHS_PER_YEAR;
	*period = make_period(grain, first + (n - 1) * width_of(grain), fiscal_start);
	return *period == KPI_PERIOD_NONE ? KPI_PERIOD_OUT_OF_RANGE : KPI_PERIOD_FINE;
}

static KpiPeriodFault
nth_week_of_year(int year, int n, KpiPeriod *period)
{
	int			iso_year,
				week_of_year;
	int			week;

	if (year < 1)
		return KPI_PERIOD_OUT_OF_RANGE;
	if (n < 1 || n > 53)
		return KPI_PERIOD_NO_SUCH_WEEK;

	/* 4 January is always in the first week */
	week = (day_of_month_ordinal((year - 1) * MONTHS_PER_YEAR) + 3) / DAYS_PER_WEEK + n - 1;
	iso_week(week, &iso_year, &week_of_year);
	if (iso_year != year)
		return KPI_PERIOD_NO_SUCH_WEEK;
	*period = make_period(KPI_GRAIN_WEEK, week, 1);
	return *period == KPI_PERIOD_NONE ? KPI_PERIOD_OUT_OF_RANGE : KPI_PERIOD_FINE;
}

static KpiPeriodFault
day_of_year(int year, int month, int day, KpiPeriod *period)
{
	if (year < 1)
		return KPI_PERIOD_OUT_OF_RANGE;
	if (month < 1 || month > MONTHS_PER_YEAR)
		return KPI_PERIOD_NO_SUCH_MONTH;
	if (day < 1 || day > day_tab[isleap(year)][month - 1])
		return KPI_PERIOD_NO_SUCH_DAY;
	*period = make_period(KPI_GRAIN_DAY, date2j(year, month, day) - EPOCH_JDATE, 1);
	return KPI_PERIOD_FINE;
}

KpiPeriodFault
kpi_period_parse(const char *text, KpiPeriod *period)
{
	int			n[3];

	*period = KPI_PERIOD_NONE;
	if (matches(text, "9999", n))
		return nth_of_year(KPI_GRAIN_YEAR, n[0], 1, 1, period);
	if (matches(text, "9999-H9", n))
		return nth_of_year(KPI_GRAIN_HALF, n[0], n[1], 1, period);
	if (matches(text, "9999-Q9", n))
		return nth_of_year(KPI_GRAIN_QUARTER, n[0], n[1], 1, period);
	if (matches(text, "9999-99", n))
		return nth_of_year(KPI_GRAIN_MONTH, n[0], n[1], 1, period);
	if (matches(text, "9999-W99", n))
		return nth_week_of_year(n[0], n[1], period);
	if (matches(text, "9999-99-99", n))
		return day_of_year(n[0], n[1], n[2], period);
	if (matches(text, "FY9999/99", n))
		return nth_of_year(KPI_GRAIN_YEAR, n[0], 1, n[1], period);
	if (matches(text, "FY9999-H9/99", n))
		return nth_of_year(KPI_GRAIN_HALF, n[0], n[1], n[2], period);
	if (matches(text, "FY9999-Q9/99", n))
		return nth_of_year(KPI_GRAIN_QUARTER, n[0], n[1], n[2], period);
	return KPI_PERIOD_MALFORMED;
}

KpiPeriod
kpi_period_from_text(const char *text)
{
	KpiPeriod	period;

	(void) kpi_period_parse(text, &period);
	return period;
}
