/*
 * find_worker.c
 *		Finding, waking and registering the worker of a database.
 *
 * Whoever holds the worker's lock (worker.c) is the worker, so it is found in
 * the lock table, and nothing about workers has to be kept in shared memory of
 * our own, which a library that was not preloaded does not have.  Looking there
 * stops all locking for a moment, so it is for people, not for loops: only who
 * waits for a worker to come or go looks every few milliseconds.
 */
#include "postgres.h"

#include "catalog/pg_database.h"
#include "compat.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "worker.h"

/* a kind of advisory locks beside 1 and 2, those of the SQL functions */
#define WORKER_LOCK		27504	/* held by the worker */

void
kpi_worker_lock_tag(LOCKTAG *tag, Oid database)
{
	SET_LOCKTAG_ADVISORY(*tag, database, DatabaseRelationId, database, WORKER_LOCK);
}

int
kpi_worker_holder(const LockData *locks, Oid database)
{
	LOCKTAG		tag;

	kpi_worker_lock_tag(&tag, database);
	for (int i = 0; i < locks->nelements; i++)
		if (memcmp(&locks->locks[i].locktag, &tag, sizeof(LOCKTAG)) == 0 &&
			locks->locks[i].holdMask != 0)
			return locks->locks[i].pid;
	return 0;
}

int
kpi_worker_here(void)
{
	LockData   *locks = GetLockStatusData();
	int			pid = kpi_worker_holder(locks, MyDatabaseId);

	if (locks->locks != NULL)
		pfree(locks->locks);
	pfree(locks);
	return pid;
}

/*
 * Asks a worker that may be resting to fold now.  Which process it is would be
 * told by the lock table alone; but to wake another one by mistake, which then
 * finds nothing to do, costs less than a look there.
 */
void
kpi_worker_wake(void)
{
	for (int i = 0; i < ProcGlobal->allProcCount; i++)
	{
		PGPROC	   *process = &ProcGlobal->allProcs[i];

		if (process->pid != 0 && process->databaseId == MyDatabaseId &&
			kpi_is_background_process(process))
			SetLatch(&process->procLatch);
	}
}

bool
kpi_worker_register(Oid database, const char *name, KpiWorkerOrigin origin,
					BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = origin == KPI_WORKER_OF_LAUNCHER ? BGW_NEVER_RESTART :
		KPI_WORKER_RESTART_TIME;
	strlcpy(worker.bgw_library_name, "kpi_cascade", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "kpi_worker_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, BGW_MAXLEN, "kpi_cascade worker for %s", name);
	strlcpy(worker.bgw_type, "kpi_cascade worker", BGW_MAXLEN);
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_extra[0] = (char) origin;
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}
