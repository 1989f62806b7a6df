/*
 * columns.h
 *		Columns of a row in a slot.
 */
#ifndef KPI_COLUMNS_H
#define KPI_COLUMNS_H

#include "executor/tuptable.h"
#include "number.h"
#include "period.h"
#include "utils/date.h"

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
