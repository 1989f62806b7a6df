/*
 * scoring.h
 *		From a tally and a target to an actual, an attainment, a score and a
 *		status: pure functions of numerics and periods.
 *
 * Nothing here reads a table.  Each formula is computed exactly and rounded
 * once by number.h; a figure that does not exist is a NULL pointer.  Results
 * are allocated in CurrentMemoryContext.
 */
#ifndef KPI_SCORING_H
#define KPI_SCORING_H

#include "period.h"
#include "tally.h"

typedef enum KpiDirection
{
	KPI_HIGHER,
	KPI_LOWER
} KpiDirection;

typedef enum KpiRollup
{
	KPI_ROLLUP_SUM,
	KPI_ROLLUP_MEAN,
	KPI_ROLLUP_WEIGHTED_MEAN,
	KPI_ROLLUP_RATIO,
	KPI_ROLLUP_MIN,
	KPI_ROLLUP_MAX,
	KPI_ROLLUP_COUNT,
	KPI_ROLLUP_NONE
} KpiRollup;

typedef enum KpiTimeRollup
{
	KPI_TIME_POOL,
	KPI_TIME_LAST,
	KPI_TIME_MEAN
} KpiTimeRollup;

typedef enum KpiScoring
{
	KPI_SCORING_RATIO,
	KPI_SCORING_PROGRESS,
	KPI_SCORING_RANGE,
	KPI_SCORING_STEP,
	KPI_SCORING_CURVE
} KpiScoring;

typedef enum KpiDriverRollup
{
	KPI_DRIVER_MEAN,
	KPI_DRIVER_MIN,
	KPI_DRIVER_MAX
} KpiDriverRollup;

typedef enum KpiMissingChild
{
	KPI_MISSING_EXCLUDE,
	KPI_MISSING_ZERO,
	KPI_MISSING_REQUIRE
} KpiMissingChild;

/* how far a target has come */
typedef enum KpiTargetState
{
	KPI_TARGET_PROPOSED,
	KPI_TARGET_AGREED,
	KPI_TARGET_FINAL
} KpiTargetState;

/* in the order of the SQL enum, worst to best */
typedef enum KpiStatus
{
	KPI_STATUS_NO_DATA,
	KPI_STATUS_NO_TARGET,
	KPI_STATUS_OFF_TRACK,
	KPI_STATUS_AT_RISK,
	KPI_STATUS_ON_TRACK,
	KPI_STATUS_EXCEEDED
} KpiStatus;

#define KPI_STATUS_COUNT	6

/* the rules of a measure, one row of kpi.measure */
typedef struct KpiMeasure
{
	int64		measure_id;
	KpiDirection direction;
	KpiRollup	rollup;
	KpiTimeRollup time_rollup;
	KpiScoring	scoring;
	KpiDriverRollup driver_rollup;
	KpiMissingChild missing_child;
	KpiGrain	grain;
	int			fiscal_start;
	bool		rolls_up;
	bool		apply_share;
	Numeric		multiplier;
	Numeric		score_floor;	/* NULL: unbounded */
	Numeric		score_cap;		/* NULL: unbounded */
	Numeric		result_weight;
	Numeric		at_risk_from;
	Numeric		on_track_from;
	Numeric		exceeded_from;	/* NULL: no such status */
	KpiTargetState targets_count_from;	/* targets below that state are as if not there */
} KpiMeasure;

/* one target; points are npoints pairs x, score, sorted by x */
typedef struct KpiTarget
{
	KpiPeriod	period;
	Numeric		value;
	Numeric		baseline;
	Numeric		low;
	Numeric		high;
	int			npoints;
	Numeric    *points;
} KpiTarget;

/* the explicit targets of one KPI, sorted by period, and when it is alive */
typedef struct KpiTargetSet
{
	int			n;
	KpiTarget  *targets;
	DateADT		alive_from;		/* alive on days alive_from <= d < alive_to */
	DateADT		alive_to;
} KpiTargetSet;

/* the actual that a tally stands for under the measure's rollup; NULL on a zero denominator */
extern Numeric kpi_actual_of_tally(const KpiMeasure *measure, const KpiTally *tally);
/* multiplier * (now - before) / |before|; NULL unless both exist and before is not 0 */
extern Numeric kpi_growth(const KpiMeasure *measure, Numeric now, Numeric before);

/* does the set have an explicit target at exactly that period? */
extern const KpiTarget *kpi_target_explicit(const KpiTargetSet *set, KpiPeriod period);
/*
 * The target in a period, explicit or derived from finer ones; false where
 * there is none.  summed: do targets of this KPI add up over time (see
 * kpi_targets_are_summed)?
 */
extern bool kpi_target_in_period(const KpiMeasure *measure, bool summed,
								 const KpiTargetSet *set, KpiPeriod period,
								 KpiTarget *result);
/*
 * The part of the target that applies so far.  last_actual is the last base
 * period inside period that has an actual, or KPI_PERIOD_NONE; target is what
 * kpi_target_in_period gave, or NULL.  False where there is none.
 */
extern bool kpi_target_to_date(const KpiMeasure *measure, bool summed,
							   const KpiTargetSet *set, KpiPeriod period,
							   const KpiTarget *target, KpiPeriod last_actual,
							   KpiTarget *result);
/* sum, count and none with pool add up over time, unless the KPI is a growth KPI */
extern bool kpi_targets_are_summed(const KpiMeasure *measure, bool is_growth);
/* the first period of a finer grain inside period */
extern KpiPeriod kpi_first_inside(const KpiMeasure *measure, KpiPeriod period, KpiGrain grain);
/* the number of periods of that grain inside period whose last day the KPI is alive */
extern int	kpi_alive_periods(const KpiMeasure *measure, KpiPeriod period, KpiGrain grain,
							  DateADT alive_from, DateADT alive_to);

/* how far the actual attains the target; NULL without actual or target, neither floored nor capped */
extern Numeric kpi_attainment(const KpiMeasure *measure, Numeric actual, const KpiTarget *target);
/*
 * The score from the attainment to date and the driver score, either of which
 * may be NULL.  driver_required: score links are in force into the KPI.
 */
extern Numeric kpi_score(const KpiMeasure *measure, Numeric attainment_to_date,
						 Numeric driver_score, bool has_score_links);
extern KpiStatus kpi_status(const KpiMeasure *measure, Numeric actual,
							Numeric attainment_to_date, Numeric score);
extern const char *kpi_status_name(KpiStatus status);

#endif							/* KPI_SCORING_H */
