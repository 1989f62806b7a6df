/*
 * find_worker.c
 *		Finding, starting and stopping the worker of a database from a session.
 *
 * Whoever holds the worker's lock (worker.c) is the worker, so it is found in
 * the lock table, and nothing about workers has to be kept in shared memory of
 * our own, which a library that was not preloaded does not have.  Looking there
 * stops all locking for a moment, so it is for people, not for loops: only who
 * waits for a worker to come or go looks every few milliseconds.
 *
 * kpi.start_worker() takes a lock of the same kind, and gives it back when it
 * has the worker, so that two sessions do not start two.
 * kpi.stop_worker() sends SIGUSR2: the worker then ends between two folds in
 * such a way that the postmaster forgets it, which SIGTERM would not do.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(kpi_start_worker);
PG_FUNCTION_INFO_V1(kpi_stop_worker);
PG_FUNCTION_INFO_V1(kpi_worker_pid);

/* kinds of advisory locks beside 1 and 2, those of the SQL functions */
#define WORKER_LOCK		27504	/* held by the worker */
#define START_LOCK		27505	/* held while a session starts one */

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

static int
worker_here(void)
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

static void
wait_a_moment(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * kpi.start_worker(): starts a worker in the current database, unless there is
 * one, and returns its process id.  Sessions that start one at the same time
 * do so one after the other.
 */
Datum
kpi_start_worker(PG_FUNCTION_ARGS)
{
	BackgroundWorkerHandle *handle;
	LOCKTAG		tag;
	pid_t		started;
	int			pid;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot start a kpi_cascade worker on a standby"),
				 errhint("Start it on the primary; a standby shows what that one folds.")));
	if (IsBinaryUpgrade)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot start a kpi_cascade worker during pg_upgrade")));
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, DatabaseRelationId, MyDatabaseId, START_LOCK);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	pid = worker_here();
	if (pid == 0)
	{
		if (!kpi_worker_register(MyDatabaseId, get_database_name(MyDatabaseId),
								 KPI_WORKER_OF_SESSION, &handle))
			ereport(ERROR,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("could not start a kpi_cascade worker: no free slot for background workers"),
					 errhint("Increase max_worker_processes, and restart the server.")));
		if (WaitForBackgroundWorkerStartup(handle, &started) == BGWH_POSTMASTER_DIED)
			proc_exit(1);
		/* it is the worker once it holds its lock; it ends if somebody was faster */
		while ((pid = worker_here()) == 0 &&
			   GetBackgroundWorkerPid(handle, &started) == BGWH_STARTED)
			wait_a_moment();
		if (pid == 0)
			pid = worker_here();
		if (pid == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the kpi_cascade worker ended as soon as it was started"),
					 errhint("The server's log says why.")));
	}
	LockRelease(&tag, ExclusiveLock, false);
	PG_RETURN_INT32(pid);
}

/* kpi.stop_worker(): ends the worker of the current database; was there one? */
Datum
kpi_stop_worker(PG_FUNCTION_ARGS)
{
	char	   *name = get_database_name(MyDatabaseId);
	int			pid = worker_here();

	if (pid == 0)
		PG_RETURN_BOOL(false);
	if (name != NULL && kpi_launcher_serves(name))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the kpi_cascade worker of database \"%s\" is kept running by the server", name),
				 errhint("Take the database out of kpi_cascade.databases and reload the configuration.")));
	if (kill(pid, SIGUSR2) != 0 && errno != ESRCH)
		ereport(ERROR,
				(errmsg("could not send signal to process %d: %m", pid)));
	while (worker_here() == pid)
		wait_a_moment();
	PG_RETURN_BOOL(true);
}

/* kpi.worker_pid(): the process id of the worker of the current database */
Datum
kpi_worker_pid(PG_FUNCTION_ARGS)
{
	int			pid = worker_here();

	if (pid == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(pid);
}
