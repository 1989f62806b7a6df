/*
 * dirty_map.h
 *		Which cells pending changes may change, and what these come to, as the
 *		active snapshot sees them.
 */
#ifndef KPI_DIRTY_MAP_H
#define KPI_DIRTY_MAP_H

#include "cascade.h"
#include "utils/uuid.h"

/* may the cell, as it is in the table, be out of date? */
extern bool kpi_dirty_map_has(int64 kpi_id, KpiPeriod period);
/* may any? */
extern bool kpi_dirty_map_has_any(void);
/* the cell as it now is; NULL where it is not dirty or goes away */
extern const KpiCell *kpi_dirty_map_cell(int64 kpi_id, KpiPeriod period);
/* calls visit for the cells that may be dirty, but for those of KPIs that are gone */
extern void kpi_dirty_map_each(KpiListedVisitor visit, void *context);
/* the periods of one KPI among them, ascending; a copy, as computing cells may make the map anew */
extern KpiPeriod *kpi_dirty_map_periods(int64 kpi_id, int *n);

/* where hot cells are, see store_cells.c */
extern int	kpi_dirty_map_generation(void);
/* what kpi.view_key holds */
extern const pg_uuid_t *kpi_dirty_map_view_key(void);

/* installs the transaction callbacks; called once, when the library is loaded */
extern void kpi_dirty_map_install(void);

#endif							/* KPI_DIRTY_MAP_H */
