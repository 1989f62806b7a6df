/*
 * worker.h
 *		The background worker that folds, and the launcher that keeps one running
 *		in each database of kpi_cascade.databases.
 */
#ifndef KPI_WORKER_H
#define KPI_WORKER_H

#include "postgres.h"

#include "storage/lock.h"

/* who started a worker, and with that what ends it */
typedef enum KpiWorkerOrigin
{
	KPI_WORKER_OF_LAUNCHER = 'l',	/* ends when its database is not listed any more */
	KPI_WORKER_OF_SESSION = 's'		/* ends by kpi.stop_worker() */
} KpiWorkerOrigin;

/* seconds until a worker that has ended is started again */
#define KPI_WORKER_RESTART_TIME		5

/* find_worker.c */

/*
 * Registers a worker for that database; false where there is no free slot.
 * handle may be NULL.
 */
struct BackgroundWorkerHandle;
extern bool kpi_worker_register(Oid database, const char *name, KpiWorkerOrigin origin,
								struct BackgroundWorkerHandle **handle);
/* asks the worker of this database, if there is one, to cut its rest short */
extern void kpi_worker_wake(void);
/* the lock that the worker of a database holds from its start to its end */
extern void kpi_worker_lock_tag(LOCKTAG *tag, Oid database);
/* the process that holds it among those locks, or 0 */
extern int	kpi_worker_holder(const LockData *locks, Oid database);
/* the same of this database, as the lock table is now */
extern int	kpi_worker_here(void);

/* launcher.c */

/* registers the launcher; called when the library is preloaded */
extern void kpi_launcher_install(void);
/* does the launcher see to it that this database has a worker? */
extern bool kpi_launcher_serves(const char *database);

#endif							/* KPI_WORKER_H */
