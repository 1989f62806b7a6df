/*
 * period_sql.h
 *		Between the enum type kpi_grain and the grains of period.h.
 */
#ifndef KPI_PERIOD_SQL_H
#define KPI_PERIOD_SQL_H

#include "period.h"

/* the grain of an enum value */
extern KpiGrain kpi_grain_from_enum(Oid value);
/* the enum value of a grain; type is the oid of kpi_grain */
extern Oid	kpi_grain_to_enum(KpiGrain grain, Oid type);

#endif							/* KPI_PERIOD_SQL_H */
