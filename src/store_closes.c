/*
 * store_closes.c
 *		The closes in force, which every session remembers, and the figures
 *		reported with them.
 *
 * Whoever writes facts has to know which periods are closed, and mostly none
 * that he writes is.  So the rows of kpi.period_close that are in force are
 * read once and kept.  They are never out of date for whoever writes:
 *
 *	1.	Closing takes ShareRowExclusiveLock on every table that writers write
 *		and holds it to the end of its transaction (close.c).
 *	2.	A trigger of kpi.period_close sends every session an invalidation of
 *		that table.  The server sends invalidations after the commit and before
 *		it releases the transaction's locks (COMMIT PREPARED, too).
 *	3.	Whoever writes holds RowExclusiveLock on the table it writes, and
 *		getting a lock takes in all invalidations sent before.
 *
 *	4.	What the transaction itself closes or reopens it hears of at the end of
 *		that statement, and again when that is rolled back, alone or with a
 *		savepoint, or prepared: it then reads again.
 *
 * Reopening takes no lock, so a session may still remember what has just been
 * reopened: before it refuses anything it reads again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "columns.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "store_closes.h"
#include "store_tables.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* ------------------------------------------------------------------------
 * Closes in force
 * ------------------------------------------------------------------------ */

static KpiClose *closes = NULL;
static int	n_closes = 0;
static int	room = 0;
static Oid	read_from = InvalidOid; /* the oid of kpi.period_close; invalid: to be read */
static uint64 forgotten = 0;	/* how often they were */

static void
relation_changed(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == read_from)
	{
		read_from = InvalidOid;
		forgotten++;
	}
}

void
kpi_store_install_closes(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}

void
kpi_store_touch_closes(Oid relation)
{
	CacheInvalidateRelcacheByRelid(relation);
}

static void
note_close(void *context, TupleTableSlot *slot)
{
	KpiClose   *close;
	bool		isnull;

	(void) slot_getattr(slot, KPI_CLOSE_REOPENED_AT, &isnull);
	if (!isnull)
		return;
	if (n_closes == room)
	{
		room = room ? 2 * room : 16;
		closes = closes ? repalloc(closes, sizeof(KpiClose) * room) :
			MemoryContextAlloc(CacheMemoryContext, sizeof(KpiClose) * room);
	}
	close = &closes[n_closes++];
	close->period_close_id = bigint_column(slot, KPI_CLOSE_ID);
	close->period = DatumGetKpiPeriod(slot_getattr(slot, KPI_CLOSE_PERIOD, &isnull));
	close->first_day = kpi_period_first_day(close->period);
	close->last_day = kpi_period_last_day(close->period);
	close->unit_id = bigint_column(slot, KPI_CLOSE_UNIT_ID);
}

static void
read_closes(Oid relation)
{
	uint64		before;

	do
	{
		Snapshot	snapshot;
		KpiStore   *store;

		/* takes in invalidations; what is read then is at least as new */
		LockRelationOid(relation, AccessShareLock);
		before = forgotten;
		read_from = relation;
		n_closes = 0;
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		store = kpi_store_open(snapshot);
		kpi_store_scan(store, KPI_TABLE_PERIOD_CLOSE, note_close, NULL);
		kpi_store_close(store);
		UnregisterSnapshot(snapshot);
	} while (forgotten != before);
}

const KpiClose *
kpi_store_closes(int *n)
{
	if (read_from == InvalidOid)
	{
		Oid			relation = kpi_store_relation_or_none("period_close");

		n_closes = 0;
		if (OidIsValid(relation))
		{
			PG_TRY();
			{
				read_closes(relation);
			}
			PG_CATCH();
			{
				read_from = InvalidOid;
				PG_RE_THROW();
			}
			PG_END_TRY();
		}
	}
	*n = n_closes;
	return closes;
}

/* ------------------------------------------------------------------------
 * Reported figures
 * ------------------------------------------------------------------------ */

static const KpiPreparedLookup reported_lookup = {
	KPI_TABLE_REPORTED, "reported_pkey", 3, {1, 2, 3},
	{BTEqualStrategyNumber, BTEqualStrategyNumber, BTEqualStrategyNumber}
};
static const KpiPreparedLookup reported_of_kpi = {
	KPI_TABLE_REPORTED, "reported_kpi_id_period_idx", 1, {1}, {BTEqualStrategyNumber}
};

static Numeric
figure(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attribute, &isnull);

	return isnull ? NULL : DatumGetNumericCopy(value);
}

static void
read_reported(TupleTableSlot *slot, KpiCell *cell)
{
	Oid			status_type = TupleDescAttr(slot->tts_tupleDescriptor,
											KPI_REPORTED_STATUS - 1)->atttypid;
	bool		isnull;
	Datum		value;

	memset(cell, 0, sizeof(KpiCell));
	cell->exists = true;
	cell->actual = figure(slot, KPI_REPORTED_ACTUAL);
	cell->target = figure(slot, KPI_REPORTED_TARGET);
	cell->attainment = figure(slot, KPI_REPORTED_ATTAINMENT);
	cell->target_to_date = figure(slot, KPI_REPORTED_TARGET_TO_DATE);
	cell->attainment_to_date = figure(slot, KPI_REPORTED_ATTAINMENT_TO_DATE);
	cell->driver_score = figure(slot, KPI_REPORTED_DRIVER_SCORE);
	cell->score = figure(slot, KPI_REPORTED_SCORE);
	value = slot_getattr(slot, KPI_REPORTED_STATUS, &isnull);
	cell->status = kpi_store_status_of_datum(status_type, value);
	cell->coverage = figure(slot, KPI_REPORTED_COVERAGE);
	value = slot_getattr(slot, KPI_REPORTED_TALLY, &isnull);
	cell->has_tally = !isnull;
	if (!isnull)
		kpi_tally_unpack(PG_DETOAST_DATUM_COPY(value), &cell->tally);
}

bool
kpi_store_reported(KpiStore *store, int64 period_close_id, int64 kpi_id, KpiPeriod period,
				   KpiCell *cell)
{
	Datum		keys[KPI_LOOKUP_KEYS] = {Int64GetDatum(period_close_id), Int64GetDatum(kpi_id),
	KpiPeriodGetDatum(period)};
	TupleTableSlot *slot = kpi_lookup_next(kpi_store_start(store, KPI_LOOKUP_REPORTED,
														   &reported_lookup, keys));

	if (slot != NULL)
		read_reported(slot, cell);
	else
		memset(cell, 0, sizeof(KpiCell));
	return slot != NULL;
}

typedef struct Visit
{
	KpiReportedVisitor visit;
	void	   *context;
} Visit;

static void
visit_reported(void *context, TupleTableSlot *slot)
{
	Visit	   *visit = context;
	KpiCell		cell;
	bool		isnull;

	read_reported(slot, &cell);
	visit->visit(visit->context, bigint_column(slot, KPI_REPORTED_CLOSE_ID),
				 bigint_column(slot, KPI_REPORTED_KPI_ID),
				 DatumGetKpiPeriod(slot_getattr(slot, KPI_REPORTED_PERIOD, &isnull)), &cell);
}

void
kpi_store_reported_of_kpi(KpiStore *store, int64 kpi_id, KpiReportedVisitor visit, void *context)
{
	Datum		keys[KPI_LOOKUP_KEYS] = {Int64GetDatum(kpi_id)};
	KpiLookup  *lookup = kpi_store_start(store, KPI_LOOKUP_REPORTED_OF_KPI, &reported_of_kpi, keys);
	Visit		each = {visit, context};
	TupleTableSlot *slot;

	while ((slot = kpi_lookup_next(lookup)) != NULL)
		visit_reported(&each, slot);
}

void
kpi_store_each_reported(KpiStore *store, KpiReportedVisitor visit, void *context)
{
	Visit		each = {visit, context};

	kpi_store_scan(store, KPI_TABLE_REPORTED, visit_reported, &each);
}

static char *
path_text(TupleTableSlot *slot, int attribute)
{
	Oid			output;
	bool		is_varlena;
	bool		isnull;

	getTypeOutputInfo(TupleDescAttr(slot->tts_tupleDescriptor, attribute - 1)->atttypid,
					  &output, &is_varlena);
	return OidOutputFunctionCall(output, slot_getattr(slot, attribute, &isnull));
}

char *
kpi_store_describe_reported(KpiStore *store, int64 period_close_id, int64 kpi_id, KpiPeriod period)
{
	Datum		keys[KPI_LOOKUP_KEYS] = {Int64GetDatum(period_close_id), Int64GetDatum(kpi_id),
	KpiPeriodGetDatum(period)};
	TupleTableSlot *slot = kpi_lookup_next(kpi_store_start(store, KPI_LOOKUP_REPORTED,
														   &reported_lookup, keys));
	bool		isnull;

	if (slot == NULL)
		return kpi_store_describe_kpi(store, kpi_id);
	return psprintf("measure \"%s\" at unit \"%s\"",
					TextDatumGetCString(slot_getattr(slot, KPI_REPORTED_MEASURE, &isnull)),
					path_text(slot, KPI_REPORTED_UNIT));
}

/* ------------------------------------------------------------------------
 * Units
 * ------------------------------------------------------------------------ */

static const KpiPreparedLookup kpis_of_unit = {
	KPI_TABLE_KPI, "kpi_unit_id_measure_id_key", 1, {1}, {BTEqualStrategyNumber}
};
static const KpiPreparedLookup child_units = {
	KPI_TABLE_UNIT_HISTORY, "unit_history_parent_unit_id_idx", 1, {1}, {BTEqualStrategyNumber}
};

/* downwards; looked at are those already reached, which end any cycle */
static bool
is_bare(KpiStore *store, int64 unit_id, HTAB *reached)
{
	Datum		keys[KPI_LOOKUP_KEYS] = {Int64GetDatum(unit_id)};
	KpiLookup  *lookup;
	TupleTableSlot *slot;
	List	   *children = NIL;
	bool		found;
	bool		result = true;
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	(void) hash_search(reached, &unit_id, HASH_ENTER, &found);
	if (found)
		return true;
	lookup = kpi_store_start(store, KPI_LOOKUP_KPIS_OF_UNIT, &kpis_of_unit, keys);
	if (kpi_lookup_next(lookup) != NULL)
		return false;
	lookup = kpi_store_start(store, KPI_LOOKUP_CHILD_UNITS, &child_units, keys);
	while ((slot = kpi_lookup_next(lookup)) != NULL)
	{
		int64	   *child = palloc(sizeof(int64));

		*child = bigint_column(slot, KPI_HISTORY_UNIT_ID);
		children = lappend(children, child);
	}
	foreach(lc, children)
		result = result && is_bare(store, *(int64 *) lfirst(lc), reached);
	list_free_deep(children);
	return result;
}

bool
kpi_store_unit_is_bare(KpiStore *store, int64 unit_id)
{
	HASHCTL		control = {0};
	HTAB	   *reached;
	bool		result;

	control.keysize = control.entrysize = sizeof(int64);
	control.hcxt = CurrentMemoryContext;
	reached = hash_create("kpi_cascade units", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	result = is_bare(store, unit_id, reached);
	hash_destroy(reached);
	return result;
}

typedef struct Days
{
	DateADT		from;
	DateADT		until;
	bool		found;
} Days;

static void
look_for_move(void *context, TupleTableSlot *slot)
{
	Days	   *days = context;
	DateADT		since = date_column(slot, KPI_HISTORY_EFFECTIVE_FROM, DATEVAL_NOBEGIN);

	days->found |= since >= days->from && since <= days->until;
}

bool
kpi_store_unit_moves(KpiStore *store, DateADT from, DateADT until)
{
	Days		days = {from, until, false};

	kpi_store_scan(store, KPI_TABLE_UNIT_HISTORY, look_for_move, &days);
	return days.found;
}

char *
kpi_store_unit_path(KpiStore *store, int64 unit_id)
{
	AttrNumber	column = KPI_UNIT_ID;
	StrategyNumber strategy = BTEqualStrategyNumber;
	Datum		key = Int64GetDatum(unit_id);
	KpiLookup  *lookup = kpi_store_lookup(store, KPI_TABLE_UNIT, "unit_pkey", 1, &column, &strategy);
	TupleTableSlot *slot;

	kpi_lookup_start(lookup, &key);
	slot = kpi_lookup_next(lookup);
	if (slot == NULL)
		return NULL;
	return path_text(slot, KPI_UNIT_PATH);
}
