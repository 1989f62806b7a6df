/*
 * columns.h
 *		Columns of the tables, and of a row of one in a slot.
 */
#ifndef KPI_COLUMNS_H
#define KPI_COLUMNS_H

#include "executor/tuptable.h"
#include "number.h"
#include "period.h"
#include "utils/date.h"

/* columns of the tables that C reads, in the order of the install script */
enum {KPI_UNIT_ID = 1, KPI_UNIT_PATH, KPI_UNIT_VALID_FROM = 8, KPI_UNIT_VALID_TO};
enum {KPI_HISTORY_UNIT_ID = 1, KPI_HISTORY_EFFECTIVE_FROM, KPI_HISTORY_PARENT, KPI_HISTORY_SHARE};
enum {KPI_KPI_ID = 1, KPI_KPI_UNIT_ID, KPI_KPI_MEASURE_ID, KPI_KPI_VALID_FROM = 6, KPI_KPI_VALID_TO};
enum {KPI_LINK_ID = 1, KPI_LINK_CHILD, KPI_LINK_PARENT, KPI_LINK_CONTRIBUTES, KPI_LINK_WEIGHT,
	KPI_LINK_VALID_FROM, KPI_LINK_VALID_TO};
enum {KPI_FACT_ID = 1, KPI_FACT_KPI_ID, KPI_FACT_PERIOD, KPI_FACT_VALUE, KPI_FACT_WEIGHT};
enum {KPI_TARGET_ID = 1, KPI_TARGET_KPI_ID, KPI_TARGET_PERIOD, KPI_TARGET_VALUE, KPI_TARGET_BASELINE,
	KPI_TARGET_LOW, KPI_TARGET_HIGH, KPI_TARGET_POINTS, KPI_TARGET_STATE = 11};
enum {KPI_MEASURE_ID = 1, KPI_MEASURE_CODE, KPI_MEASURE_DIRECTION = 6, KPI_MEASURE_ROLLUP, KPI_MEASURE_TIME_ROLLUP,
	KPI_MEASURE_SCORING, KPI_MEASURE_MULTIPLIER, KPI_MEASURE_SCORE_FLOOR, KPI_MEASURE_SCORE_CAP,
	KPI_MEASURE_DRIVER_ROLLUP, KPI_MEASURE_RESULT_WEIGHT, KPI_MEASURE_MISSING_CHILD,
	KPI_MEASURE_GRAIN, KPI_MEASURE_FISCAL_START, KPI_MEASURE_AT_RISK_FROM,
	KPI_MEASURE_ON_TRACK_FROM, KPI_MEASURE_EXCEEDED_FROM, KPI_MEASURE_ROLLS_UP,
	KPI_MEASURE_APPLY_SHARE, KPI_MEASURE_TARGETS_COUNT_FROM = 24};
enum {KPI_CLOSE_ID = 1, KPI_CLOSE_PERIOD, KPI_CLOSE_UNIT_ID, KPI_CLOSE_REOPENED_AT = 7};
enum {KPI_REPORTED_CLOSE_ID = 1, KPI_REPORTED_KPI_ID, KPI_REPORTED_PERIOD, KPI_REPORTED_ACTUAL,
	KPI_REPORTED_TARGET, KPI_REPORTED_ATTAINMENT, KPI_REPORTED_TARGET_TO_DATE,
	KPI_REPORTED_ATTAINMENT_TO_DATE, KPI_REPORTED_DRIVER_SCORE, KPI_REPORTED_SCORE,
	KPI_REPORTED_STATUS, KPI_REPORTED_COVERAGE, KPI_REPORTED_TALLY, KPI_REPORTED_UNIT = 16,
	KPI_REPORTED_MEASURE};

static inline Datum
column(TupleTableSlot *slot, int attribute, bool *isnull)
{
	return slot_getattr(slot, attribute, isnull);
}

static inline int64
bigint_column(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = column(slot, attribute, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static inline DateADT
date_column(TupleTableSlot *slot, int attribute, DateADT if_null)
{
	bool		isnull;
	Datum		value = column(slot, attribute, &isnull);

	return isnull ? if_null : DatumGetDateADT(value);
}

static inline KpiPeriod
period_column(TupleTableSlot *slot, int attribute)
{
	bool		isnull;

	return DatumGetKpiPeriod(column(slot, attribute, &isnull));
}

static inline Numeric
number_column(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = column(slot, attribute, &isnull);

	return isnull ? NULL : kpi_number_trim(DatumGetNumeric(value));
}

#endif							/* KPI_COLUMNS_H */
