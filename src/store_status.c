/*
 * store_status.c
 *		The way to kpi.status_change: every change of a folded status.
 *
 * What is a change:  the status of a KPI and period after a fold differs from
 * what it was before.  Null stands for "no row in the cells".  From null to
 * no_data or no_target, and back, nobody's verdict changes and nothing is kept:
 * loading facts without targets costs nothing here.  Whatever else differs is
 * one row.  Several changes between two folds are one, or none.
 *
 * What it is compared with:  the cell that the fold replaces, and the last row
 * kept of that KPI and period, found by index.  Where the two disagree the kept
 * row is right: cells are not dumped, so after a restore, or a rebuild from
 * nothing, they come anew and say only what has been kept already.  So the old
 * status of each row is the new one of the row before it (null, no_data and
 * no_target passing for each other where nothing was kept between them).
 *		The last row is looked for only where there is something to keep, and,
 *		where all cells are computed anew, for each new one.
 *		Rows of a KPI that is gone stay, and its end is no change.
 *		While a dump is being restored nothing is kept by the session that
 *		restores: figures come and go with every table.  What it leaves pending
 *		the next fold takes up, from cells that were right only half way through
 *		the dump.  So it goes by what is kept alone, nothing meaning no row.
 *
 * Order:  the ids are what consumers go by.  Someone who remembers the last id
 * read, and asks for greater ones, must see each row exactly once.  Ids come
 * from the identity's sequence, but only under the fold lock, which is held to
 * the end of the transaction and given back after its commit is visible: so
 * whoever takes the next id comes after everybody with smaller ones has ended,
 * and the rows that any snapshot sees are all that will ever be there up to the
 * greatest of them.
 *		kpi.fold() in a transaction that stays open, or is prepared, keeps the
 *		lock that long: nobody else takes ids meanwhile.
 *		Rolled back to a savepoint, its rows are gone and so is the lock; ids
 *		are never given back, so later ones are greater.
 *		A standby replays commits in the order of the primary's log, where the
 *		commit of one fold stands before the first row of the next.
 *		A crash may skip ids, and must not give one out again that somebody has
 *		read: so a fold that has kept changes waits for its commit to reach the
 *		disk before anybody sees it, whatever synchronous_commit says.
 *		Only whoever folds, reads and rolls back in one transaction has seen ids
 *		that never were.
 * A dump restores the rows first and the sequence last.  Where the sequence is
 * found behind the rows it is moved past them.  Nothing here reads it ahead:
 * its CACHE must stay 1.
 *
 * Rows are ordinary rows of the folding transaction: rolled back with it, left
 * alone by a crash, replicated like others.  No triggers fire.  There is no
 * foreign key; users delete old rows as they like.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "columns.h"
#include "commands/sequence.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "settings.h"
#include "store_status.h"
#include "store_tables.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

enum {CHANGE_ID = 1, CHANGE_KPI_ID, CHANGE_PERIOD, CHANGE_OLD, CHANGE_NEW, CHANGE_AT, CHANGE_FOLD};
#define CHANGE_COLUMNS	CHANGE_FOLD

#define NO_ROW	(-1)			/* beside the labels of KpiStatus */

#define BATCH_CHANGES	500

static const KpiPreparedLookup last_change = {
	KPI_TABLE_STATUS_CHANGE, "status_change_kpi_id_period_idx", 2, {1, 2},
	{BTEqualStrategyNumber, BTEqualStrategyNumber}
};
static const KpiPreparedLookup changes_from = {
	KPI_TABLE_STATUS_CHANGE, "status_change_pkey", 1, {1}, {BTGreaterEqualStrategyNumber}
};

static int
status_of(const KpiCell *cell)
{
	return cell != NULL && cell->exists ? (int) cell->status : NO_ROW;
}

static bool
is_verdict(int status)
{
	return status > KPI_STATUS_NO_TARGET;
}

static bool
differs(int old, int now)
{
	if (old == NO_ROW)
		return is_verdict(now);
	if (now == NO_ROW)
		return is_verdict(old);
	return old != now;
}

void
kpi_store_begin_statuses(KpiStatusLog *log, KpiStore *store, int64 fold, TimestampTz at,
						 bool all_cells, bool restored)
{
	memset(log, 0, sizeof(KpiStatusLog));
	log->store = store;
	log->fold = fold;
	log->at = at;
	log->all_cells = all_cells;
	log->off = kpi_restoring();
	log->restored = restored;
}

/* the greatest id there is; 0 for none */
static int64
greatest_id(KpiStatusLog *log)
{
	if (!log->looked)
	{
		Datum		smallest = Int64GetDatum(PG_INT64_MIN);
		TupleTableSlot *slot = kpi_lookup_last(kpi_store_start(log->store, KPI_LOOKUP_CHANGES_FROM,
															   &changes_from, &smallest));

		log->greatest = slot == NULL ? 0 : bigint_column(slot, CHANGE_ID);
		log->looked = true;
	}
	return log->greatest;
}

/* the status that was kept last; false where there is none */
static bool
kept_status(KpiStatusLog *log, int64 kpi_id, KpiPeriod period, int *status)
{
	Datum		keys[] = {Int64GetDatum(kpi_id), KpiPeriodGetDatum(period)};
	TupleTableSlot *slot;
	bool		isnull;
	Datum		value;

	if (greatest_id(log) == 0)
		return false;
	slot = kpi_lookup_last(kpi_store_start(log->store, KPI_LOOKUP_LAST_CHANGE, &last_change, keys));
	if (slot == NULL)
		return false;
	value = column(slot, CHANGE_NEW, &isnull);
	*status = isnull ? NO_ROW :
		(int) kpi_store_status_of_datum(TupleDescAttr(slot->tts_tupleDescriptor,
													  CHANGE_NEW - 1)->atttypid, value);
	return true;
}

/* the sequence of a restored table may be behind: its owner moves it on */
static void
pass_greatest_id(KpiStatusLog *log, Oid sequence)
{
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(kpi_store_table(log->store, KPI_TABLE_STATUS_CHANGE)->rd_rel->relowner,
						   context | SECURITY_LOCAL_USERID_CHANGE);
	DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence), Int64GetDatum(log->greatest));
	SetUserIdAndSecContext(user, context);
}

static int64
next_id(KpiStatusLog *log)
{
	Oid			sequence = kpi_store_relation(KPI_STATUS_SEQUENCE);
	int64		id = nextval_internal(sequence, false);

	if (id <= greatest_id(log))
	{
		pass_greatest_id(log, sequence);
		id = nextval_internal(sequence, false);
	}
	log->greatest = id;
	return id;
}

static void
write_changes(KpiStatusLog *log)
{
	if (log->n > 0)
		kpi_store_insert(kpi_store_table_for_writing(log->store, KPI_TABLE_STATUS_CHANGE),
						 kpi_store_indexes(log->store, KPI_TABLE_STATUS_CHANGE),
						 log->tuples, log->n);
	log->n = 0;
}

static void
add_change(KpiStatusLog *log, int64 kpi_id, KpiPeriod period, int old, int now)
{
	Relation	changes = kpi_store_table_for_writing(log->store, KPI_TABLE_STATUS_CHANGE);
	Oid			type = TupleDescAttr(RelationGetDescr(changes), CHANGE_NEW - 1)->atttypid;
	Datum		values[CHANGE_COLUMNS] = {0};
	bool		nulls[CHANGE_COLUMNS] = {0};

	log->last_written = next_id(log);
	values[CHANGE_ID - 1] = Int64GetDatum(log->last_written);
	values[CHANGE_KPI_ID - 1] = Int64GetDatum(kpi_id);
	values[CHANGE_PERIOD - 1] = KpiPeriodGetDatum(period);
	nulls[CHANGE_OLD - 1] = old == NO_ROW;
	if (old != NO_ROW)
		values[CHANGE_OLD - 1] = kpi_store_status_datum(type, (KpiStatus) old);
	nulls[CHANGE_NEW - 1] = now == NO_ROW;
	if (now != NO_ROW)
		values[CHANGE_NEW - 1] = kpi_store_status_datum(type, (KpiStatus) now);
	values[CHANGE_AT - 1] = TimestampTzGetDatum(log->at);
	values[CHANGE_FOLD - 1] = Int64GetDatum(log->fold);
	if (log->tuples == NULL)
		log->tuples = palloc(sizeof(HeapTuple) * BATCH_CHANGES);
	log->tuples[log->n++] = kpi_store_form_row(changes, CHANGE_COLUMNS, values, nulls);
	if (log->n == BATCH_CHANGES)
		write_changes(log);
}

void
kpi_store_note_status(KpiStatusLog *log, int64 kpi_id, KpiPeriod period, const KpiCell *old,
					  const KpiCell *now)
{
	int			before = status_of(old);
	int			after = status_of(now);
	int			kept;

	if (log->off)
		return;
	if (log->restored)
		before = kept_status(log, kpi_id, period, &kept) ? kept : NO_ROW;
	else
	{
		if (!differs(before, after) && !(log->all_cells && before == NO_ROW))
			return;
		if (kept_status(log, kpi_id, period, &kept) && differs(kept, before))
			before = kept;
	}
	if (differs(before, after))
		add_change(log, kpi_id, period, before, after);
}

int64
kpi_store_end_statuses(KpiStatusLog *log)
{
	write_changes(log);
	if (log->tuples != NULL)
		pfree(log->tuples);
	log->tuples = NULL;
	return log->last_written;
}
