/*
 * period.h
 *		kpi_period: a day, week, month, quarter, half or year in four bytes.
 *
 * Layout, from the highest bit (published; it is also the binary form):
 *
 *		bits 31-29	grain, 1 (day) to 6 (year); 0 and 7 are reserved
 *		bits 28-4	ordinal: for days the days, for weeks the ISO weeks, for
 *					all others the months since the epoch given below, of the
 *					period's first day
 *		bits 3-0	month in which the fiscal year starts, 1 to 12; always 1
 *					for day, week and month; 0 and 13 to 15 are reserved
 *
 * so that comparing two periods as unsigned integers gives the order of the
 * type: grain, then start, then fiscal start.  0 is never a period.
 *
 * The epoch is Monday, 0001-01-01, of the proleptic Gregorian calendar: day,
 * ISO week and month 0 all begin there.  Every day of a period lies within
 * 0001-01-01 to 9999-12-31; what would begin before or end after is out of
 * range (FY0001/04, 9999-W52, FY10000/04).
 *
 * Pure: no SQL, no catalog access.  Days are PostgreSQL's DateADT.
 */
#ifndef KPI_PERIOD_H
#define KPI_PERIOD_H

#include "postgres.h"
#include "utils/date.h"

typedef uint32 KpiPeriod;

#define KPI_PERIOD_NONE			((KpiPeriod) 0)

typedef enum KpiGrain
{
	KPI_GRAIN_DAY = 1,
	KPI_GRAIN_WEEK,
	KPI_GRAIN_MONTH,
	KPI_GRAIN_QUARTER,
	KPI_GRAIN_HALF,
	KPI_GRAIN_YEAR
} KpiGrain;

#define KPI_GRAIN_COUNT			6

#define DatumGetKpiPeriod(X)		((KpiPeriod) DatumGetUInt32(X))
/* widened with its sign, as a datum read from a tuple is: equal must be identical */
#define KpiPeriodGetDatum(X)		Int32GetDatum((int32) (X))
#define PG_GETARG_KPI_PERIOD(n)		DatumGetKpiPeriod(PG_GETARG_DATUM(n))
#define PG_RETURN_KPI_PERIOD(x)		return KpiPeriodGetDatum(x)

/* why a text is not a period */
typedef enum KpiPeriodFault
{
	KPI_PERIOD_FINE = 0,
	KPI_PERIOD_MALFORMED,		/* none of the forms */
	KPI_PERIOD_NO_SUCH_HALF,
	KPI_PERIOD_NO_SUCH_QUARTER,
	KPI_PERIOD_NO_SUCH_MONTH,
	KPI_PERIOD_NO_SUCH_WEEK,
	KPI_PERIOD_NO_SUCH_DAY,
	KPI_PERIOD_NO_SUCH_FISCAL_START,
	KPI_PERIOD_OUT_OF_RANGE
} KpiPeriodFault;

/* "day" ... "year" */
extern const char *kpi_grain_name(KpiGrain grain);
/* the grain of that name, or 0 */
extern KpiGrain kpi_grain_from_name(const char *name);
/*
 * Is every period of fine inside exactly one period of coarse (of the same
 * fiscal start)?  False for equal grains, and for weeks always.
 */
extern bool kpi_grain_rolls_up_to(KpiGrain fine, KpiGrain coarse);

/* the period of that grain that contains day; raises when out of range (years 1 to 9999) */
extern KpiPeriod kpi_period_containing(DateADT day, KpiGrain grain, int fiscal_start);
/* are the bits those of a period? */
extern bool kpi_period_is_valid(uint32 bits);
extern KpiGrain kpi_period_grain(KpiPeriod period);
extern int	kpi_period_fiscal_start(KpiPeriod period);
extern DateADT kpi_period_first_day(KpiPeriod period);
extern DateADT kpi_period_last_day(KpiPeriod period);
/* <0, 0, >0 */
extern int	kpi_period_compare(KpiPeriod a, KpiPeriod b);
/* a compared with b shifted by n, an int32, as if there were no end to the range */
extern int	kpi_period_compare_shifted(KpiPeriod a, KpiPeriod b, int64 n);
/*
 * The single period of a coarser or the same grain that encloses period;
 * KPI_PERIOD_NONE where there is none: for a finer grain, from a week to
 * anything coarser (some weeks straddle, so weeks belong to no month or year),
 * where period straddles two periods of another fiscal start, and where the
 * answer would be out of range.  Never raises.
 */
extern KpiPeriod kpi_period_enclosing(KpiPeriod period, KpiGrain grain, int fiscal_start);
/* n periods later (earlier, where negative); raises when out of range */
extern KpiPeriod kpi_period_shift(KpiPeriod period, int64 n);
/* how many periods b is later than a; both of one grain and fiscal start, else raises */
extern int64 kpi_period_distance(KpiPeriod a, KpiPeriod b);
/*
 * The same period a year earlier: months, quarters, halves and years by the
 * calendar, days by date (none for 29 February); KPI_PERIOD_NONE for weeks and
 * where there is none.
 */
extern KpiPeriod kpi_period_year_before(KpiPeriod period);
/* the inverse: the period whose year_before is period, or KPI_PERIOD_NONE */
extern KpiPeriod kpi_period_year_after(KpiPeriod period);
/* text form in a palloc'd string, and back (0 on malformed input, no error) */
extern char *kpi_period_to_text(KpiPeriod period);
extern KpiPeriod kpi_period_from_text(const char *text);
/* the same, saying what is wrong; period is KPI_PERIOD_NONE unless fine */
extern KpiPeriodFault kpi_period_parse(const char *text, KpiPeriod *period);
/* raises unless 1 to 12; the other functions take a valid fiscal start for granted */
extern void kpi_period_check_fiscal_start(int fiscal_start);

#endif							/* KPI_PERIOD_H */
