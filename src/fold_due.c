/*
 * fold_due.c
 *		Should a commit fold?
 *
 * A session counts what it captures, and remembers when a fold may come next;
 * by that alone most commits know that they need not.  Otherwise the tables are
 * looked at, under the latest snapshot: is so much pending that a fold is due
 * (kpi_cascade.fold_after), or more than should ever be (max_pending)?  The
 * caller has the locks of those who read these tables.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fold_due.h"
#include "miscadmin.h"
#include "settings.h"
#include "storage/procarray.h"
#include "store_pending.h"
#include "utils/snapmgr.h"

/* rows captured in this transaction, and since this session last folded or looked */
static int64 captured_now = 0;
static int64 captured_since = 0;
static bool has_looked = false;
/* since this session last looked whether too much is pending */
static int64 captured_then = 0;
static TimestampTz looked_at = 0;
static int64 look_every = 0;
/* no fold before that time: ten times the last fold's duration after it */
static TimestampTz not_before = 0;

void
kpi_fold_note_captured(int64 rows)
{
	captured_now += rows;
	captured_since += rows;
	captured_then += rows;
}

void
kpi_fold_forget_captured(void)
{
	captured_now = 0;
}

void
kpi_fold_note_folded(void)
{
	captured_since = 0;
	has_looked = true;
}

void
kpi_fold_not_before(TimestampTz time)
{
	not_before = time;
}

/* without a look at any table: may enough be pending?  And may it be too much? */
static bool
may_be_enough(void)
{
	return kpi_fold_mode == KPI_FOLD_COMMIT &&
		(!has_looked || captured_since >= kpi_fold_after) &&
		GetCurrentTimestamp() >= not_before;
}

static bool
may_be_too_much(void)
{
	return kpi_max_pending > 0 &&
		(captured_then > kpi_max_pending / 16 ||
		 GetCurrentStatementStartTimestamp() - looked_at >= look_every);
}

bool
kpi_fold_may_be_due(void)
{
	return captured_now > 0 && (may_be_enough() || may_be_too_much());
}

/* is enough pending, and the last fold long enough ago? */
static bool
is_enough(void)
{
	Snapshot	snapshot;
	KpiStore   *store;
	KpiFoldState state;
	int64		oldest;

	if (!may_be_enough())
		return false;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	store = kpi_store_open(snapshot);
	kpi_store_read_state(store, &state);
	if (!has_looked)
	{
		/* a new session cannot know how much others have left */
		captured_since = kpi_store_count_pending(store, &state, Max(kpi_fold_after, 1), &oldest);
		has_looked = true;
	}
	not_before = state.exists ? state.folded_at + 11 * state.took : 0;
	kpi_store_close(store);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	return captured_since >= kpi_fold_after && GetCurrentTimestamp() >= not_before;
}

/*
 * Back-pressure: is more pending than should ever be, whoever is to fold it?
 * Looked at when this session alone has captured a sixteenth of that since it
 * last looked, and at its first commit, and then so often that all sessions of
 * the database together look once a second; the size of the table tells in most
 * cases that it cannot be.  If somebody is folding right now, the rows are being
 * drained.
 */
static bool
is_too_much(void)
{
	Snapshot	snapshot;
	KpiStore   *store;
	int64		n = 0;

	captured_then = 0;
	looked_at = GetCurrentStatementStartTimestamp();
	look_every = INT64CONST(1000000) * Max(CountDBBackends(MyDatabaseId), 1);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(snapshot);
	store = kpi_store_open(snapshot);
	if (kpi_store_pending_bound(store) > kpi_max_pending)
	{
		KpiFoldState state;

		kpi_store_read_state(store, &state);
		n = kpi_store_estimate_pending(store, &state, (int64) kpi_max_pending + 1);
	}
	kpi_store_close(store);
	PopActiveSnapshot();
	UnregisterSnapshot(snapshot);
	if (n <= kpi_max_pending)
		return false;
	/* and look again at the next commit */
	looked_at = 0;
	return true;
}

bool
kpi_fold_is_due(bool *too_much)
{
	*too_much = may_be_too_much() && is_too_much();
	return *too_much || is_enough();
}
