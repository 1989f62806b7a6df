/*
 * notify.c
 *		Tells listeners that statuses have changed: with kpi_cascade.notify, one
 *		NOTIFY kpi_status per transaction that folded, with the id of the last
 *		row of kpi.status_change that it leaves.
 *
 * A notification is only queued in PRE_COMMIT, after the transaction's last
 * fold; the server hands over what is queued later in the commit, after these
 * callbacks.  Queued any earlier it would make PREPARE TRANSACTION fail for
 * whoever has called kpi.fold().  A transaction that is prepared notifies
 * nothing, since COMMIT PREPARED runs elsewhere and may be days away; the next
 * notification brings its rows along, or whoever looks now and then finds them.
 *
 * What a fold has kept goes with its subtransaction: each level that has
 * folded has an entry with its last id, which goes up to the level above when
 * the subtransaction commits, and away when it is rolled back.
 *
 * NOTIFY makes committing transactions wait for each other: the server holds a
 * lock, of the whole cluster, from the handing over to the end of the commit.
 * And it fails a commit where its queue is full, because some listener has not
 * read for long.  A fold must not fail a writer, so nothing is sent while the
 * queue is nearly full: whoever listens again has to look at the table anyway.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "fmgr.h"
#include "notify.h"
#include "settings.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#define CHANNEL				"kpi_status"
#define FULLEST_QUEUE		0.9		/* of the server's queue */

typedef struct KeptBy
{
	int			level;			/* of the subtransaction */
	int64		last;			/* status_change_id */
	struct KeptBy *below;
} KeptBy;

/* the innermost level that has kept something; in TopTransactionContext */
static KeptBy *innermost = NULL;

void
kpi_notify_changed(int64 status_change_id)
{
	int			level = GetCurrentTransactionNestLevel();

	if (innermost == NULL || innermost->level < level)
	{
		KeptBy	   *entry = MemoryContextAlloc(TopTransactionContext, sizeof(KeptBy));

		entry->level = level;
		entry->below = innermost;
		innermost = entry;
	}
	innermost->last = status_change_id;
}

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	KeptBy	   *ended = innermost;

	if (ended == NULL || ended->level < GetCurrentTransactionNestLevel())
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		ended->level--;
		if (ended->below != NULL && ended->below->level == ended->level)
		{
			/* later ids are greater */
			ended->below->last = ended->last;
			innermost = ended->below;
		}
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		innermost = ended->below;
}

void
kpi_notify_send(void)
{
	char		payload[32];

	if (innermost == NULL || !kpi_notify)
		return;
	if (DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage, (Datum) 0)) > FULLEST_QUEUE)
	{
		ereport(LOG,
				(errmsg("kpi_cascade does not notify: the server's notification queue is nearly full"),
				 errhint("Some session that listens has been in one transaction for long.")));
		return;
	}
	snprintf(payload, sizeof(payload), INT64_FORMAT, innermost->last);
	Async_Notify(CHANNEL, payload);
}

void
kpi_notify_forget(void)
{
	innermost = NULL;
}

void
kpi_notify_install(void)
{
	RegisterSubXactCallback(at_subtransaction_event, NULL);
}
