/*
 * fold_due.h
 *		Should a commit fold?
 */
#ifndef KPI_FOLD_DUE_H
#define KPI_FOLD_DUE_H

#include "utils/timestamp.h"

/* called by capture for each statement: the transaction may have to fold when it commits */
extern void kpi_fold_note_captured(int64 rows);
/* at the end of the transaction */
extern void kpi_fold_forget_captured(void);
/* after a fold of this session, whether or not there was anything to fold */
extern void kpi_fold_note_folded(void);
/* no commit of this session folds before that time, but where too much is pending */
extern void kpi_fold_not_before(TimestampTz time);
/* what a commit can tell without a look at any table */
extern bool kpi_fold_may_be_due(void);
/* the same, with a look; too_much: because more is pending than should ever be */
extern bool kpi_fold_is_due(bool *too_much);

#endif							/* KPI_FOLD_DUE_H */
