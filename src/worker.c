/*
 * worker.c
 *		The background worker that folds in one database.
 *
 * Life:  it is started by the launcher (launcher.c) for a database listed in
 * kpi_cascade.databases, or by kpi.start_worker() for the database of the
 * session.  Both are the same worker, registered as a dynamic one.  Those of
 * the launcher are never restarted by the postmaster, since the launcher does
 * that; those of a session are, after KPI_WORKER_RESTART_TIME seconds, also
 * after a crash of the server, but not when the server is started again.
 *
 * One per database:  from its start to its end a worker holds ExclusiveLock, for
 * the session, on an advisory lock of a kind (the tag's last field) that the
 * SQL functions for advisory locks cannot name, so that users cannot take it.
 * It has to be an advisory lock: only those outlive a rolled back transaction,
 * and are released at the end of a process whatever ends it.  It is not a lock
 * on the extension, whose DROP and UPDATE would have to wait for the worker to
 * end, and which may not be installed yet.  Who does not get it at once ends.
 * Who holds it is the worker, for everybody who looks for one (find_worker.c).
 *
 * One round is one transaction, as short as a statement:
 *
 *	1.	Is the extension installed, in the version of this library?  If not,
 *		the worker stays and looks again.
 *	2.	AccessShareLock on kpi.pending, fold_state and cell, only tried for.  From
 *		here on nobody can drop the extension before the transaction ends; and
 *		because every lock is only tried for, here and in the fold, whoever
 *		drops, alters or locks our tables never finds the worker waiting behind
 *		another lock of his: no deadlock, and no waiting beyond one batch.
 *	3.	Under the latest snapshot: is there a pending row that is not in the
 *		cells?  One index lookup; if there is none, the transaction ends and has
 *		taken no transaction id and written nothing.
 *	4.	kpi_fold_step(): the other locks, and the fold under a snapshot of its
 *		own (fold.c).
 *
 * No lock and no snapshot outlives a round, but the session lock.  After an
 * error the transaction is rolled back, the rows stay pending, and the worker
 * tries again, ever more seldom while it fails.  A crash leaves either all of a
 * fold or nothing.  The worker does not wait for its commits to reach the disk,
 * unless they bring changes of status: a fold that a crash loses is done again,
 * from rows whose writers did wait.
 *
 * Nothing here runs users' code: no SQL is executed, triggers do not fire on
 * what a fold writes, and the worker's own settings override what was stored
 * for the database.
 */
#include "postgres.h"

#include <signal.h>

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "fold.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "settings.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "store_pending.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "worker.h"

PGDLLEXPORT void kpi_worker_main(Datum database);

/* rows of a batch, and how long a fold shall take (milliseconds) */
#define FIRST_BATCH			50000
#define SMALLEST_BATCH		1000
#define LARGEST_BATCH		(1024 * 1024)
#define SHORT_FOLD			500
#define LONG_FOLD			1500
/*
 * Under load it rests that many times as long as it has folded: the more is
 * pending, the less each change costs those who write, since cells are written
 * once for many of them.  Not longer than it takes a quarter of max_pending to
 * come, and a reader who meets many pending changes cuts it short, down to as
 * long as the fold took, and so does the end of the load.
 */
#define REST				9
#define LONGEST_REST		5000
#define LOOK_WHILE_RESTING	100
#define FEW_TRANSACTIONS	500 /* a second */

/* milliseconds between looks where nothing is pending, or nothing is to be done */
#define LONGEST_NAP			1000
#define NAPS_BEFORE_LONGER	10
/* milliseconds between attempts while folds fail */
#define LONGEST_BACK_OFF	60000

/* what a worker can do in its database */
typedef enum Readiness
{
	UNKNOWN,
	NOT_INSTALLED,
	OTHER_VERSION,
	LEFT_TO_USERS,				/* its own fold_mode is manual */
	READY
} Readiness;

static volatile sig_atomic_t stop_requested = false;
static bool is_connecting = false;
static bool is_folding = false;

static char *database_name;
static Readiness readiness = UNKNOWN;
static int	batch = FIRST_BATCH;
static int	idle_rounds = 0;
static int	nap = 0;			/* milliseconds */
static int	least_nap = 0;		/* even where a reader would like a fold */
static bool is_resting = false; /* is the nap a rest after a fold? */
static long busy = 0;			/* milliseconds since the last nap */
static int64 folded = 0;		/* changes since then */
static TimestampTz rested_at = 0;	/* when the nap before began */
static int	failures = 0;		/* in a row */
static char *last_failure = NULL;

/* ------------------------------------------------------------------------
 * One round
 * ------------------------------------------------------------------------ */

/* may the worker fold here? */
static Readiness
find_readiness(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	Readiness	result = NOT_INSTALLED;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	extension;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("kpi_cascade"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	extension = systable_getnext(scan);
	if (HeapTupleIsValid(extension))
	{
		bool		isnull;
		Datum		version = heap_getattr(extension, Anum_pg_extension_extversion,
										   RelationGetDescr(extensions), &isnull);

		/* tables of another version may have other columns */
		if (isnull || strcmp(TextDatumGetCString(version), KPI_CASCADE_VERSION) != 0)
			result = OTHER_VERSION;
		else
			result = kpi_fold_mode == KPI_FOLD_MANUAL ? LEFT_TO_USERS : READY;
	}
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return result;
}

static void
note_readiness(Readiness now)
{
	if (now == readiness)
		return;
	readiness = now;
	switch (now)
	{
		case NOT_INSTALLED:
			ereport(LOG,
					(errmsg("kpi_cascade worker has nothing to do in database \"%s\"", database_name),
					 errdetail("The extension kpi_cascade is not installed there.")));
			break;
		case OTHER_VERSION:
			ereport(LOG,
					(errmsg("kpi_cascade worker does not fold in database \"%s\"", database_name),
					 errdetail("The version of the extension there is not that of the library, %s.",
							   KPI_CASCADE_VERSION),
					 errhint("Run ALTER EXTENSION kpi_cascade UPDATE there, or restart the server "
							 "if the library has been replaced.")));
			break;
		case LEFT_TO_USERS:
			ereport(LOG,
					(errmsg("kpi_cascade worker does not fold in database \"%s\"", database_name),
					 errdetail("kpi_cascade.fold_mode is manual for the worker too.")));
			break;
		default:
			ereport(LOG,
					(errmsg("kpi_cascade worker folds in database \"%s\"", database_name)));
			break;
	}
}

/* locks a table of ours; false where it is locked by others, or has gone away */
static bool
try_table(const char *name)
{
	Oid			relation = kpi_store_relation(name);

	return ConditionalLockRelationOid(relation, AccessShareLock) &&
		SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation));
}

static bool
is_anything_pending(void)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	KpiStore   *store = kpi_store_open(snapshot);
	KpiFoldState state;
	int64		oldest;
	bool		result;

	kpi_store_read_state(store, &state);
	result = kpi_store_count_pending(store, &state, 1, &oldest) > 0;
	kpi_store_close(store);
	UnregisterSnapshot(snapshot);
	return result;
}

/* the next batch is larger or smaller, so that a fold takes neither long nor next to nothing */
static void
adapt_batch(int64 rows, long took)
{
	if (took > LONG_FOLD)
		batch = Max(batch / 2, SMALLEST_BATCH);
	else if (took < SHORT_FOLD && rows >= batch)
		batch = Min(batch * 2, LARGEST_BATCH);
}

/* waits longer between looks the longer there has been nothing to do */
static void
nap_longer(void)
{
	idle_rounds++;
	nap = idle_rounds <= NAPS_BEFORE_LONGER ? kpi_naptime :
		Max(kpi_naptime, Min(2 * nap, LONGEST_NAP));
}

/* all is folded: how long to rest? */
static void
rest(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		longest = LONGEST_REST;
	int64		enough = (kpi_max_pending > 0 ? kpi_max_pending : 100000) / 4;

	/* as many as came since the last rest are expected again */
	if (rested_at != 0 && folded > 0)
		longest = Min(longest, TimestampDifferenceMilliseconds(rested_at, now) * enough / folded);
	is_resting = true;
	least_nap = Max(kpi_naptime, busy);
	nap = Max(kpi_naptime, Min(busy * REST, longest));
	rested_at = now;
	busy = 0;
	folded = 0;
}

/* folds a batch if something is pending; sets how long to wait before the next round */
static void
fold_once(void)
{
	TimestampTz begun;
	int64		rows;
	bool		more;

	if (!kpi_store_installed() || !try_table("pending") || !try_table("fold_state") ||
		!try_table("cell"))
	{
		nap = kpi_naptime;
		return;
	}
	if (!is_anything_pending())
	{
		nap_longer();
		rested_at = GetCurrentTimestamp();
		return;
	}
	is_folding = true;
	pgstat_report_activity(STATE_RUNNING, "folding kpi_cascade changes");
	begun = GetCurrentTimestamp();
	rows = kpi_fold_step(batch, &more);
	idle_rounds = 0;
	if (rows < 0)
		nap = kpi_naptime;
	else
	{
		long		took = TimestampDifferenceMilliseconds(begun, GetCurrentTimestamp());

		ereport(DEBUG1,
				(errmsg_internal("kpi_cascade worker folded " INT64_FORMAT " changes in %ld ms, "
								 "batch %d", rows, took, batch)));
		adapt_batch(rows, took);
		busy += took;
		folded += rows;
		nap = 0;
		if (!more)
			rest();
	}
}

static void
run_round(void)
{
	is_resting = false;
	least_nap = 0;
	CHECK_FOR_INTERRUPTS();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	note_readiness(find_readiness());
	if (readiness == READY)
		fold_once();
	else
		nap = LONGEST_NAP;
	CommitTransactionCommand();
	if (failures > 0)
		ereport(LOG,
				(errmsg("kpi_cascade worker folds again in database \"%s\"", database_name)));
	failures = 0;
}

/* a round failed: its transaction is undone, and the next one comes later */
static void
recover(MemoryContext context)
{
	ErrorData  *error;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(context);

	/* for readers, too: who meets what is left pending would wake it all the time */
	nap = least_nap = Min(LONGEST_NAP << Min(failures, 10), LONGEST_BACK_OFF);
	/* not the same message for hours */
	ereport(failures > 0 && strcmp(last_failure, error->message) == 0 ? DEBUG1 : WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("kpi_cascade worker could not fold in database \"%s\": %s",
					database_name, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 errhint("The changes are safe and shown; the worker tries again in %d s, "
					 "and then ever more seldom, up to once a minute.", nap / 1000)));
	failures++;
	if (last_failure != NULL)
		pfree(last_failure);
	last_failure = MemoryContextStrdup(TopMemoryContext, error->message);
	RESUME_INTERRUPTS();
}

/* ------------------------------------------------------------------------
 * Its life
 * ------------------------------------------------------------------------ */

static void
request_stop(SIGNAL_ARGS)
{
	int			save_errno = errno;

	stop_requested = true;
	SetLatch(MyLatch);
	errno = save_errno;
}

/*
 * A worker of a session that cannot connect, because its database is gone, is
 * not to be tried again every few seconds for ever: it ends as if it had been
 * stopped.  (Exiting anew from here goes on with the remaining callbacks.)
 */
static void
end_for_good(int code, Datum arg)
{
	if (is_connecting && code == 1)
		proc_exit(0);
}

static void
stop(const char *why)
{
	ereport(LOG,
			(errmsg("kpi_cascade worker stopped in database \"%s\"", database_name),
			 errdetail_internal("%s", why)));
	proc_exit(0);
}

static void
override_settings(void)
{
	static const char *const settings[][2] = {
		{"application_name", "kpi_cascade worker"},
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"lock_timeout", "0"},
		{"statement_timeout", "0"},
		{"synchronous_commit", "off"}
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/* takes the lock that makes this process the worker of its database */
static void
become_the_worker(void)
{
	MemoryContext context = CurrentMemoryContext;
	LOCKTAG		tag;
	char	   *name;

	StartTransactionCommand();
	name = get_database_name(MyDatabaseId);
	database_name = MemoryContextStrdup(TopMemoryContext, name ? name : "?");
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	kpi_worker_lock_tag(&tag, MyDatabaseId);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		stop("Another worker folds there.");
	ereport(LOG,
			(errmsg("kpi_cascade worker started in database \"%s\"", database_name)));
}

/*
 * Sleeps until the nap is over.  The least of it suffices where a reader asks
 * for a fold, and where next to nobody writes any more: a rest has no use then.
 */
static void
wait_for_work(void)
{
	TimestampTz begun = GetCurrentTimestamp();
	long		until = nap;
	long		slept = 0;
	long		look_every = Max(kpi_naptime, LOOK_WHILE_RESTING);
	uint64		transactions = U64FromFullTransactionId(ReadNextFullTransactionId());

	ResetLatch(MyLatch);
	while (slept < until && !stop_requested && !ConfigReloadPending && !InterruptPending)
	{
		long		timeout = until - slept;
		bool		enough = false;

		if (is_resting)
			timeout = Min(timeout, look_every);
		if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout,
					  PG_WAIT_EXTENSION) & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			enough = true;
		}
		else if (is_resting)
		{
			uint64		now = U64FromFullTransactionId(ReadNextFullTransactionId());

			enough = now - transactions < FEW_TRANSACTIONS * timeout / 1000;
			transactions = now;
		}
		if (enough)
			until = Min(until, Max(least_nap, 1));
		slept = TimestampDifferenceMilliseconds(begun, GetCurrentTimestamp());
	}
}

void
kpi_worker_main(Datum database)
{
	KpiWorkerOrigin origin = (KpiWorkerOrigin) MyBgworkerEntry->bgw_extra[0];
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGUSR2, request_stop);
	BackgroundWorkerUnblockSignals();

	if (origin == KPI_WORKER_OF_SESSION)
		on_proc_exit(end_for_good, 0);
	is_connecting = true;
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	is_connecting = false;

	override_settings();
	context = AllocSetContextCreate(TopMemoryContext, "kpi_cascade worker", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);
	become_the_worker();
	pgstat_report_activity(STATE_IDLE, NULL);
	nap = kpi_naptime;

	for (;;)
	{
		MemoryContextReset(context);
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			idle_rounds = 0;
			nap = kpi_naptime;
		}
		if (stop_requested)
			stop("kpi.stop_worker() was called.");
		if (origin == KPI_WORKER_OF_LAUNCHER && !kpi_launcher_serves(database_name))
			stop("The database is not listed in kpi_cascade.databases any more.");

		/* who cancels a fold means that one, not the rest between two */
		QueryCancelPending = false;
		PG_TRY();
		{
			run_round();
		}
		PG_CATCH();
		{
			recover(context);
		}
		PG_END_TRY();
		MemoryContextSwitchTo(context);
		pgstat_report_stat(true);
		if (is_folding)
		{
			is_folding = false;
			pgstat_report_activity(STATE_IDLE, NULL);
		}

		wait_for_work();
	}
}
