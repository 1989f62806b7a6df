/*
 * worker_sql.c
 *		Starting and stopping the worker of a database from a session.
 *
 * kpi.start_worker() takes a lock of the kind that workers hold, though
 * another one, and gives it back when it has the worker, so that two sessions
 * do not start two.
 * kpi.stop_worker() sends SIGUSR2: the worker then ends between two folds in
 * such a way that the postmaster forgets it, which SIGTERM would not do.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(kpi_start_worker);
PG_FUNCTION_INFO_V1(kpi_stop_worker);
PG_FUNCTION_INFO_V1(kpi_worker_pid);

/* a kind of advisory locks beside that of workers (find_worker.c) */
#define START_LOCK		27505	/* held while a session starts one */

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
	pid = kpi_worker_here();
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
		while ((pid = kpi_worker_here()) == 0 &&
			   GetBackgroundWorkerPid(handle, &started) == BGWH_STARTED)
			wait_a_moment();
		if (pid == 0)
			pid = kpi_worker_here();
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
	int			pid = kpi_worker_here();

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
	while (kpi_worker_here() == pid)
		wait_a_moment();
	PG_RETURN_BOOL(true);
}

/* kpi.worker_pid(): the process id of the worker of the current database */
Datum
kpi_worker_pid(PG_FUNCTION_ARGS)
{
	int			pid = kpi_worker_here();

	if (pid == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(pid);
}
