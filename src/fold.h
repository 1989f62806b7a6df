/*
 * fold.h
 *		The one step that turns pending changes into cells.
 */
#ifndef KPI_FOLD_H
#define KPI_FOLD_H

#include "postgres.h"

/*
 * Folds pending changes in the current transaction, at most about limit rows
 * (0: all), without waiting for any lock.  Returns how many rows it folded, or
 * -1 where somebody else is folding; more: is there something left to fold?
 * Raises what a fold can raise; the caller's transaction then rolls back.
 */
extern int64 kpi_fold_step(int limit, bool *more);
/* installs the transaction callbacks; called once, when the library is loaded */
extern void kpi_fold_install(void);

#endif							/* KPI_FOLD_H */
