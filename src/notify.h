/*
 * notify.h
 *		Tells listeners that statuses have changed.
 */
#ifndef KPI_NOTIFY_H
#define KPI_NOTIFY_H

#include "postgres.h"

/* a fold of the current (sub)transaction has kept status changes up to this id */
extern void kpi_notify_changed(int64 status_change_id);
/* before the transaction commits, after its last fold; not before it is prepared */
extern void kpi_notify_send(void);
/* at its end, however it ends */
extern void kpi_notify_forget(void);
/* installs the subtransaction callback; called once, when the library is loaded */
extern void kpi_notify_install(void);

#endif							/* KPI_NOTIFY_H */
