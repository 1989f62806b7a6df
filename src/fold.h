/*
 * fold.h
 *		The one step that turns pending changes into cells.
 */
#ifndef KPI_FOLD_H
#define KPI_FOLD_H

#include "postgres.h"

/* called by capture for each statement: the transaction may have to fold when it commits */
extern void kpi_fold_note_captured(int64 rows);
/* installs the transaction callbacks; called once, when the library is loaded */
extern void kpi_fold_install(void);

#endif							/* KPI_FOLD_H */
