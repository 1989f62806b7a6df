/*
 * launcher.c
 *		The launcher, which keeps a worker running in each database listed in
 *		kpi_cascade.databases.
 *
 * The server fixes the workers that libraries register at its start, but the
 * list can change by a reload.  So one launcher is registered, where the
 * library is preloaded, and starts the workers as dynamic ones.  It is connected
 * to no database, so that it is in nobody's way, and sees the shared catalogs
 * only.
 *
 * It knows nothing but what it can see: a database is served when somebody
 * holds the worker's lock there (worker.c), whoever started him.  So a launcher
 * that was itself restarted finds the workers that are there.  It looks when the
 * configuration is reloaded, when a worker of its own ends, and now and then.
 * A listed database without a worker gets one: at once when it is new on the
 * list, KPI_WORKER_RESTART_TIME seconds after its worker has ended, and ever
 * more seldom, down to once a minute, while starting fails.  Ending a worker is
 * not its business: a worker ends itself when its database is no longer listed.
 *
 * It takes no locks but those for reading pg_database, and writes nothing.
 * Each worker takes one of max_worker_processes, and so does the launcher.
 * On a standby it is not started before the promotion; in pg_upgrade never.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#include "worker.h"

PGDLLEXPORT void kpi_launcher_main(Datum arg);

/* milliseconds between looks when nothing happens */
#define LOOK_INTERVAL		10000
/* seconds between attempts while starting fails */
#define LONGEST_BACK_OFF	60

typedef struct Listed
{
	char		name[NAMEDATALEN];
	bool		is_served;
	bool		has_complained;
	int			delay;			/* seconds: after the next attempt */
	TimestampTz not_before;		/* of the next attempt */
} Listed;

/* set when the library is preloaded, inherited by all processes */
static bool is_installed = false;

static List *databases = NIL;	/* of Listed */

/* ------------------------------------------------------------------------
 * The list
 * ------------------------------------------------------------------------ */

/* the names in the setting, which point into copy; the check hook has seen that it can be read */
static List *
listed_names(char **copy)
{
	List	   *names = NIL;

	*copy = pstrdup(kpi_databases != NULL ? kpi_databases : "");
	(void) SplitGUCList(*copy, ',', &names);
	return names;
}

bool
kpi_launcher_serves(const char *database)
{
	List	   *names;
	char	   *copy;
	ListCell   *lc;
	bool		found = false;

	if (!is_installed)
		return false;
	names = listed_names(&copy);
	foreach(lc, names)
		if (strcmp(lfirst(lc), database) == 0)
			found = true;
	list_free(names);
	pfree(copy);
	return found;
}

/* takes over what is known about databases that were listed before */
static void
read_list(void)
{
	List	   *before = databases;
	char	   *copy;
	List	   *names = listed_names(&copy);
	ListCell   *lc,
			   *other;

	databases = NIL;
	foreach(lc, names)
	{
		Listed	   *listed = palloc0(sizeof(Listed));
		bool		is_double = false;

		strlcpy(listed->name, lfirst(lc), NAMEDATALEN);
		foreach(other, before)
			if (strcmp(((Listed *) lfirst(other))->name, listed->name) == 0)
				*listed = *(Listed *) lfirst(other);
		foreach(other, databases)
			if (strcmp(((Listed *) lfirst(other))->name, listed->name) == 0)
				is_double = true;
		if (is_double)
			pfree(listed);
		else
			databases = lappend(databases, listed);
	}
	list_free(names);
	pfree(copy);
	list_free_deep(before);
}

/* ------------------------------------------------------------------------
 * Looking after the workers
 * ------------------------------------------------------------------------ */

/*
 * The database of that name, if it can be connected to.  Always a sequential
 * scan: a process without a database cannot rely on indexes, whose descriptors
 * may have to be looked up in some database's catalogs.
 */
static Oid
find_database(const char *name)
{
	Relation	catalog = table_open(DatabaseRelationId, AccessShareLock);
	Oid			result = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&key, Anum_pg_database_datname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row) && ((Form_pg_database) GETSTRUCT(row))->datallowconn)
		result = ((Form_pg_database) GETSTRUCT(row))->oid;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return result;
}

static void
start(Listed *listed, Oid database, TimestampTz now)
{
	if (kpi_worker_register(database, listed->name, KPI_WORKER_OF_LAUNCHER, NULL))
		ereport(DEBUG1,
				(errmsg_internal("kpi_cascade launcher starts a worker in database \"%s\"",
								 listed->name)));
	else if (!listed->has_complained)
	{
		listed->has_complained = true;
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a kpi_cascade worker in database \"%s\": no free slot for background workers",
						listed->name),
				 errhint("Increase max_worker_processes, and restart the server.")));
	}
	listed->delay = listed->delay == 0 ? KPI_WORKER_RESTART_TIME :
		Min(2 * listed->delay, LONGEST_BACK_OFF);
	listed->not_before = TimestampTzPlusMilliseconds(now, listed->delay * INT64CONST(1000));
}

/* sees to one database; returns in how many milliseconds it wants to be looked at again */
static long
look_after(Listed *listed, const LockData *locks)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid			database = find_database(listed->name);

	if (!OidIsValid(database))
	{
		if (!listed->has_complained)
			ereport(LOG,
					(errmsg("kpi_cascade launcher starts no worker in database \"%s\": there is none that can be connected to",
							listed->name),
					 errhint("Correct kpi_cascade.databases, or create the database: it gets its worker then.")));
		listed->is_served = false;
		listed->has_complained = true;
		listed->delay = 0;
		listed->not_before = 0;
		return LOOK_INTERVAL;
	}
	if (kpi_worker_holder(locks, database) != 0)
	{
		listed->is_served = true;
		listed->has_complained = false;
		listed->delay = 0;
		return LOOK_INTERVAL;
	}
	if (listed->is_served)
	{
		listed->is_served = false;
		listed->not_before = TimestampTzPlusMilliseconds(now, KPI_WORKER_RESTART_TIME * INT64CONST(1000));
		ereport(LOG,
				(errmsg("kpi_cascade launcher starts another worker in database \"%s\" in %d s",
						listed->name, KPI_WORKER_RESTART_TIME)));
	}
	if (now >= listed->not_before)
		start(listed, database, now);
	return Min(TimestampDifferenceMilliseconds(now, listed->not_before) + 1, LOOK_INTERVAL);
}

static long
look_after_all(void)
{
	long		timeout = LOOK_INTERVAL;
	MemoryContext context = CurrentMemoryContext;
	LockData   *locks;
	ListCell   *lc;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	locks = GetLockStatusData();
	foreach(lc, databases)
		timeout = Min(timeout, look_after(lfirst(lc), locks));
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return timeout;
}

/* ------------------------------------------------------------------------
 * Its life
 * ------------------------------------------------------------------------ */

void
kpi_launcher_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	SetConfigOption("application_name", "kpi_cascade launcher", PGC_SUSET, PGC_S_OVERRIDE);
	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext, "kpi_cascade launcher",
												ALLOCSET_DEFAULT_SIZES));
	read_list();
	pgstat_report_activity(STATE_IDLE, NULL);
	ereport(LOG,
			(errmsg("kpi_cascade launcher started"),
			 errdetail("Databases: %s.", kpi_databases && *kpi_databases ? kpi_databases : "none")));

	for (;;)
	{
		long		timeout = -1;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			read_list();
		}
		if (databases != NIL)
			timeout = look_after_all();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout < 0 ? 0 : WL_TIMEOUT),
						 timeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

void
kpi_launcher_install(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = KPI_WORKER_RESTART_TIME;
	strlcpy(worker.bgw_library_name, "kpi_cascade", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "kpi_launcher_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "kpi_cascade launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "kpi_cascade launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
	is_installed = true;
}
