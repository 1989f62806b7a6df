/*
 * store_closes.h
 *		Closed periods, and the figures reported with them.
 */
#ifndef KPI_STORE_CLOSES_H
#define KPI_STORE_CLOSES_H

#include "store_cells.h"

/* a close in force */
typedef struct KpiClose
{
	int64		period_close_id;
	KpiPeriod	period;
	DateADT		first_day;
	DateADT		last_day;
	int64		unit_id;		/* 0: the whole organisation */
} KpiClose;
extern void kpi_store_install_closes(void);
/* those in force, and how many; they may go whenever the server reads invalidations */
extern const KpiClose *kpi_store_closes(int *n);
/* sends every session, this one included, word that they have changed */
extern void kpi_store_touch_closes(Oid relation);
/* the figures of a cell as reported with a close; false where there are none */
extern bool kpi_store_reported(KpiStore *store, int64 period_close_id, int64 kpi_id,
							   KpiPeriod period, KpiCell *cell);
/* calls visit for all that was reported of a KPI, with whatever close */
typedef void (*KpiReportedVisitor) (void *context, int64 period_close_id, int64 kpi_id,
									KpiPeriod period, const KpiCell *cell);
extern void kpi_store_reported_of_kpi(KpiStore *store, int64 kpi_id, KpiReportedVisitor visit,
									  void *context);
/* the same for all that was reported */
extern void kpi_store_each_reported(KpiStore *store, KpiReportedVisitor visit, void *context);
/* the KPI of a reported cell in words, as kpi_store_describe_kpi has it, though it may be gone */
extern char *kpi_store_describe_reported(KpiStore *store, int64 period_close_id, int64 kpi_id,
										 KpiPeriod period);
/* has neither the unit nor, on whatever day, any beneath it a KPI? */
extern bool kpi_store_unit_is_bare(KpiStore *store, int64 unit_id);
/* does any unit have another place, or share, from one of these days on? */
extern bool kpi_store_unit_moves(KpiStore *store, DateADT from, DateADT until);
/* its path, NULL where there is no such unit */
extern char *kpi_store_unit_path(KpiStore *store, int64 unit_id);

#endif							/* KPI_STORE_CLOSES_H */
