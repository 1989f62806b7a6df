/*
 * capture.c
 *		Triggers that turn what a statement changed into pending rows.
 *
 * Capture does no graph work, touches no row that others write, and waits for
 * nobody: it groups the statement's changes and appends pending rows, which
 * disappear with the transaction or subtransaction if that rolls back.
 *
 * Facts.  Rows that came and rows that went are tallied apart for each KPI and
 * period, exactly, and appended as one pending row each; the fold adds the
 * one and takes away the other.  That a fact's KPI exists is checked here,
 * once for each group and under the latest snapshot, instead of by the foreign
 * key for each row.  It cannot vanish before this transaction ends, since
 * deleting a KPI takes ShareRowExclusiveLock on kpi.fact, which conflicts with
 * the RowExclusiveLock that every writer of facts holds.  For the same reason
 * a session may remember which KPIs it has found, see store_names.c.
 *
 * Units, measures, KPIs and links.  Which cells such a change concerns depends
 * on what other transactions change at the same time, so it is not worked out
 * here.  The pending row only names the unit, measure or KPI; the fold walks
 * upwards from there in the graph as it then is.  This finds every cell whose
 * links changed: on the way from a KPI up to such a cell in the graph before
 * (or after), take the last edge that is not in the other graph; whoever
 * changed it named its upper end, and from there up both graphs agree.
 *
 * Triggers fire ENABLE ALWAYS, once for each statement.  The apply worker of
 * logical replication fires no statement triggers; for it there are row
 * triggers, ENABLE REPLICA, which ask to look again at the facts.
 */
#include "postgres.h"

#include "accumulator.h"
#include "access/htup_details.h"
#include "close.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "fold_due.h"
#include "miscadmin.h"
#include "store.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(kpi_capture_fact);
PG_FUNCTION_INFO_V1(kpi_capture_target);
PG_FUNCTION_INFO_V1(kpi_capture_structure);

/* ------------------------------------------------------------------------
 * Pending rows of one statement
 * ------------------------------------------------------------------------ */

typedef struct Batch
{
	KpiPending *rows;
	int			n;
	int			room;
} Batch;

static KpiPending *
add_row(Batch *batch, KpiPendingKind kind)
{
	KpiPending *row;

	if (batch->n == batch->room)
	{
		batch->room = batch->room ? batch->room * 2 : 8;
		batch->rows = batch->rows ?
			repalloc_huge(batch->rows, sizeof(KpiPending) * batch->room) :
			palloc(sizeof(KpiPending) * batch->room);
	}
	row = &batch->rows[batch->n++];
	memset(row, 0, sizeof(KpiPending));
	row->kind = kind;
	row->since = DATEVAL_NOBEGIN;
	return row;
}

static void
append(const Batch *batch, TriggerData *trigger)
{
	if (batch->n == 0)
		return;
	kpi_store_append(batch->rows, batch->n);
	kpi_fold_note_captured(batch->n);
	kpi_close_check(trigger, batch->rows, batch->n);
}

/* ------------------------------------------------------------------------
 * Rows of the statement
 * ------------------------------------------------------------------------ */

static TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *function)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", function)));
	if (!TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired AFTER the change", function)));
	return trigger;
}

/* walks the old or new rows of a statement, or of a row trigger the one row */
typedef struct RowReader
{
	Tuplestorestate *rows;
	HeapTuple	single;
	TupleTableSlot *slot;
} RowReader;

static void
start_reading(RowReader *reader, TriggerData *trigger, bool old)
{
	TupleDesc	descriptor = RelationGetDescr(trigger->tg_relation);

	memset(reader, 0, sizeof(RowReader));
	if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
	{
		if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
			reader->single = old ? trigger->tg_trigtuple : trigger->tg_newtuple;
		else if (old == TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
			reader->single = trigger->tg_trigtuple;
		reader->slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsHeapTuple);
		return;
	}
	reader->rows = old ? trigger->tg_oldtable : trigger->tg_newtable;
	reader->slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
	if (reader->rows != NULL)
	{
		/* other triggers read the same rows with pointers of their own */
		int			pointer = tuplestore_alloc_read_pointer(reader->rows, EXEC_FLAG_REWIND);

		tuplestore_select_read_pointer(reader->rows, pointer);
		tuplestore_rescan(reader->rows);
	}
}

static bool
next_row(RowReader *reader)
{
	if (reader->single != NULL)
	{
		ExecForceStoreHeapTuple(reader->single, reader->slot, false);
		reader->single = NULL;
		return true;
	}
	return reader->rows != NULL &&
		tuplestore_gettupleslot(reader->rows, true, false, reader->slot);
}

static void
stop_reading(RowReader *reader)
{
	ExecDropSingleTupleTableSlot(reader->slot);
}

static int64
bigint_of(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attribute, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static DateADT
date_of(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attribute, &isnull);

	return isnull ? DATEVAL_NOBEGIN : DatumGetDateADT(value);
}

static KpiPeriod
period_of(TupleTableSlot *slot, int attribute)
{
	bool		isnull;

	return DatumGetKpiPeriod(slot_getattr(slot, attribute, &isnull));
}

/* ------------------------------------------------------------------------
 * Facts
 * ------------------------------------------------------------------------ */

typedef struct GroupKey
{
	int64		kpi_id;
	int64		period;
} GroupKey;

/* what the statement did to the facts of one KPI and period */
typedef struct FactGroup
{
	GroupKey	key;
	bool		has_added;
	bool		has_removed;
	KpiAccumulator added;
	KpiAccumulator removed;
} FactGroup;

typedef struct FactChanges
{
	MemoryContext context;
	FactGroup	first;			/* most statements have one group only */
	bool		has_first;
	HTAB	   *others;			/* NULL while there are none */
	FactGroup  *last;			/* rows of one group often follow each other */
	FactGroup **sorted;			/* by KPI and period, once all rows are read */
	int			n;
} FactChanges;

static FactGroup *
group_of(FactChanges *changes, int64 kpi_id, KpiPeriod period)
{
	GroupKey	key = {kpi_id, period};
	bool		found;

	if (changes->last != NULL && memcmp(&changes->last->key, &key, sizeof(key)) == 0)
		return changes->last;
	if (!changes->has_first || memcmp(&changes->first.key, &key, sizeof(key)) == 0)
	{
		changes->has_first = true;
		changes->first.key = key;
		return changes->last = &changes->first;
	}
	if (changes->others == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(GroupKey);
		control.entrysize = sizeof(FactGroup);
		control.hcxt = changes->context;
		changes->others = hash_create("kpi_cascade fact groups", 64, &control,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	changes->last = hash_search(changes->others, &key, HASH_ENTER, &found);
	if (!found)
		memset((char *) changes->last + sizeof(GroupKey), 0, sizeof(FactGroup) - sizeof(GroupKey));
	return changes->last;
}

static void
collect_facts(FactChanges *changes, TriggerData *trigger, bool old)
{
	RowReader	reader;

	if (old ? TRIGGER_FIRED_BY_INSERT(trigger->tg_event) : TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		return;
	start_reading(&reader, trigger, old);
	while (next_row(&reader))
	{
		FactGroup	   *group = group_of(changes, bigint_of(reader.slot, KPI_FACT_KPI_ID),
									 period_of(reader.slot, KPI_FACT_PERIOD));
		bool	   *has = old ? &group->has_removed : &group->has_added;
		KpiAccumulator *tally = old ? &group->removed : &group->added;
		bool		isnull;
		Datum		value = slot_getattr(reader.slot, KPI_FACT_VALUE, &isnull);
		Datum		weight = slot_getattr(reader.slot, KPI_FACT_WEIGHT, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!*has)
			kpi_accumulator_init(tally, changes->context);
		*has = true;
		/* refuses numbers out of bounds */
		kpi_accumulator_observe(tally, PG_DETOAST_DATUM_PACKED(value),
								PG_DETOAST_DATUM_PACKED(weight));
	}
	stop_reading(&reader);
}

static int
compare_groups(const void *a, const void *b)
{
	const GroupKey *x = &(*(FactGroup *const *) a)->key;
	const GroupKey *y = &(*(FactGroup *const *) b)->key;

	if (x->kpi_id != y->kpi_id)
		return x->kpi_id < y->kpi_id ? -1 : 1;
	return (x->period > y->period) - (x->period < y->period);
}

static void
sort_groups(FactChanges *changes)
{
	HASH_SEQ_STATUS status;
	FactGroup  *group;

	if (!changes->has_first)
		return;
	changes->sorted = MemoryContextAllocHuge(changes->context, sizeof(FactGroup *) *
											 (changes->others == NULL ? 1 :
											  hash_get_num_entries(changes->others) + 1));
	changes->sorted[changes->n++] = &changes->first;
	if (changes->others == NULL)
		return;
	hash_seq_init(&status, changes->others);
	while ((group = hash_seq_search(&status)) != NULL)
		changes->sorted[changes->n++] = group;
	qsort(changes->sorted, changes->n, sizeof(FactGroup *), compare_groups);
}

static void
refuse_period(KpiStore *store, const FactGroup *group, KpiGrain grain, int fiscal_start)
{
	KpiPeriod	period = (KpiPeriod) group->key.period;
	char	   *fits = kpi_period_to_text(
		kpi_period_containing(kpi_period_last_day(period), grain,
							  grain >= KPI_GRAIN_QUARTER ? fiscal_start : 1));

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("period \"%s\" does not have the grain of %s",
					kpi_period_to_text(period), kpi_store_describe_kpi(store, group->key.kpi_id)),
			 errdetail("Facts of this measure are recorded by %s.", kpi_grain_name(grain)),
			 errhint("A period of that grain looks like \"%s\".", fits)));
}

static bool
fits(KpiPeriod period, KpiGrain grain, int fiscal_start)
{
	return kpi_period_grain(period) == grain &&
		(grain < KPI_GRAIN_QUARTER || kpi_period_fiscal_start(period) == fiscal_start);
}

/* is it of a KPI that this session knows, and does its period fit? */
static bool
is_known(const FactGroup *group)
{
	KpiGrain	grain;
	int			fiscal_start;

	return kpi_store_known_kpi(group->key.kpi_id, &grain, &fiscal_start) &&
		fits((KpiPeriod) group->key.period, grain, fiscal_start);
}

static void
remember(KpiStore *store, int64 kpi_id, KpiGrain grain, int fiscal_start)
{
	int			pages;

	/* among its neighbours already */
	if (kpi_store_known_kpi(kpi_id, &grain, &fiscal_start))
		return;
	pages = kpi_store_worth_remembering();
	if (pages > 0)
		kpi_store_remember_kpis(store, kpi_id, pages);
	else
		kpi_store_remember_kpi(kpi_id, grain, fiscal_start);
}

/* does the KPI exist, and is the period one of its measure's grain?  From the group on. */
static void
look_up_groups(FactChanges *changes, int from, bool may_know)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	KpiStore   *store = kpi_store_open(snapshot);
	int64		measure_id = 0;
	KpiGrain	grain = KPI_GRAIN_DAY;
	int			fiscal_start = 1;
	int64		known_kpi = 0;

	PushActiveSnapshot(snapshot);
	for (int i = from; i < changes->n; i++)
	{
		const FactGroup *group = changes->sorted[i];
		int64		kpi_id = group->key.kpi_id;
		KpiPeriod	period = (KpiPeriod) group->key.period;

		CHECK_FOR_INTERRUPTS();
		if (!group->has_added || (may_know && is_known(group)))
			continue;
		if (kpi_id != known_kpi)
		{
			if (!kpi_store_kpi_grain(store, kpi_id, &measure_id, &grain, &fiscal_start))
				ereport(ERROR,
						(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
						 errmsg("KPI " INT64_FORMAT " does not exist", kpi_id),
						 errdetail("A fact for period \"%s\" refers to it.", kpi_period_to_text(period)),
						 errhint("Create the KPI first, by kpi.deploy() or by a row of kpi.kpi.")));
			/* whoever adds such a link locks kpi.fact first, so none is missed here */
			if (fits(period, grain, fiscal_start) && kpi_store_has_growth_link(store, kpi_id))
				ereport(ERROR,
						(errcode(ERRCODE_CHECK_VIOLATION),
						 errmsg("%s cannot have facts", kpi_store_describe_kpi(store, kpi_id)),
						 errdetail("A growth link leads into it, so its actual is the growth of another KPI."),
						 errhint("Record facts of that KPI, or delete the link.")));
		}
		if (!fits(period, grain, fiscal_start))
			refuse_period(store, group, grain, fiscal_start);
		if (may_know && kpi_id != known_kpi)
			remember(store, kpi_id, grain, fiscal_start);
		known_kpi = kpi_id;
	}
	PopActiveSnapshot();
	kpi_store_close(store);
	UnregisterSnapshot(snapshot);
}

static void
check_groups(FactChanges *changes)
{
	bool		may_know = kpi_store_may_know();

	for (int i = 0; i < changes->n; i++)
		if (changes->sorted[i]->has_added && !(may_know && is_known(changes->sorted[i])))
		{
			look_up_groups(changes, i, may_know);
			return;
		}
}

static void
note_groups(FactChanges *changes, Batch *batch, bool look_again)
{
	for (int i = 0; i < changes->n; i++)
	{
		FactGroup  *group = changes->sorted[i];
		KpiTally   *added = group->has_added ? kpi_accumulator_settle(&group->added) : NULL;
		KpiTally   *removed = group->has_removed ? kpi_accumulator_settle(&group->removed) : NULL;
		KpiPending *row;

		/* an update of other columns changes no figure */
		if (!look_again && added != NULL && removed != NULL && kpi_tally_equal(added, removed))
			continue;
		if (look_again || added != NULL)
		{
			row = add_row(batch, KPI_PENDING_ADDED);
			row->kpi_id = group->key.kpi_id;
			row->period = (KpiPeriod) group->key.period;
			row->has_delta = !look_again;
			if (added != NULL)
				row->delta = *added;
		}
		if (!look_again && removed != NULL)
		{
			row = add_row(batch, KPI_PENDING_REMOVED);
			row->kpi_id = group->key.kpi_id;
			row->period = (KpiPeriod) group->key.period;
			row->has_delta = true;
			row->delta = *removed;
		}
	}
}

Datum
kpi_capture_fact(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "kpi.capture_fact");
	Batch		batch = {0};

	/* the trigger manager frees what is allocated here, once the trigger is done */
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		add_row(&batch, KPI_PENDING_EVERYTHING);
	else
	{
		FactChanges changes = {0};

		changes.context = CurrentMemoryContext;
		collect_facts(&changes, trigger, true);
		collect_facts(&changes, trigger, false);
		sort_groups(&changes);
		check_groups(&changes);
		note_groups(&changes, &batch, TRIGGER_FIRED_FOR_ROW(trigger->tg_event));
	}
	append(&batch, trigger);
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Targets
 * ------------------------------------------------------------------------ */

Datum
kpi_capture_target(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "kpi.capture_target");
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade capture",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Batch		batch = {0};

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		add_row(&batch, KPI_PENDING_EVERYTHING);
	else
		for (int side = 0; side < 2; side++)
		{
			RowReader	reader;

			start_reading(&reader, trigger, side == 0);
			while (next_row(&reader))
			{
				KpiPending *row = add_row(&batch, KPI_PENDING_TARGET);

				row->kpi_id = bigint_of(reader.slot, KPI_TARGET_KPI_ID);
				row->period = period_of(reader.slot, KPI_TARGET_PERIOD);
			}
			stop_reading(&reader);
		}
	append(&batch, trigger);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Units, measures, KPIs and links
 * ------------------------------------------------------------------------ */

/* is a column of two rows the same? */
static bool
same_column(TupleTableSlot *a, TupleTableSlot *b, int attribute)
{
	Form_pg_attribute form = TupleDescAttr(a->tts_tupleDescriptor, attribute - 1);
	bool		null_a,
				null_b;
	Datum		value_a = slot_getattr(a, attribute, &null_a);
	Datum		value_b = slot_getattr(b, attribute, &null_b);

	if (null_a || null_b)
		return null_a == null_b;
	return datum_image_eq(value_a, value_b, form->attbyval, form->attlen);
}

/*
 * What each table contributes: the columns that matter, and the pending rows
 * that a row of it, old or new, gives rise to.
 */
typedef struct Structure
{
	const char *table;
	int			first_column;	/* of those that matter */
	int			last_column;
	void		(*note) (Batch *batch, TupleTableSlot *row, bool old, bool updated);
} Structure;

static void
note_unit(Batch *batch, TupleTableSlot *row, bool old, bool updated)
{
	/* a unit that comes or goes has no KPIs at that moment */
	if (updated && !old)
		add_row(batch, KPI_PENDING_VALIDITY)->unit_id = bigint_of(row, KPI_UNIT_ID);
}

static void
note_placement(Batch *batch, TupleTableSlot *row, bool old, bool updated)
{
	KpiPending *change = add_row(batch, KPI_PENDING_PLACEMENT);

	change->unit_id = bigint_of(row, KPI_HISTORY_UNIT_ID);
	change->since = date_of(row, KPI_HISTORY_EFFECTIVE_FROM);
	if (old && bigint_of(row, KPI_HISTORY_PARENT) != 0)
	{
		change = add_row(batch, KPI_PENDING_PLACEMENT);
		change->unit_id = bigint_of(row, KPI_HISTORY_PARENT);
		change->since = date_of(row, KPI_HISTORY_EFFECTIVE_FROM);
	}
}

static void
note_measure(Batch *batch, TupleTableSlot *row, bool old, bool updated)
{
	if (updated && !old)
		add_row(batch, KPI_PENDING_MEASURE)->measure_id = bigint_of(row, KPI_MEASURE_ID);
}

static void
note_kpi(Batch *batch, TupleTableSlot *row, bool old, bool updated)
{
	KpiPending *change = add_row(batch, KPI_PENDING_KPI);

	change->kpi_id = bigint_of(row, KPI_KPI_ID);
	change->unit_id = bigint_of(row, KPI_KPI_UNIT_ID);
	change->measure_id = bigint_of(row, KPI_KPI_MEASURE_ID);
}

static void
note_link(Batch *batch, TupleTableSlot *row, bool old, bool updated)
{
	bool		isnull;
	char	   *kind = TextDatumGetCString(slot_getattr(row, KPI_LINK_CONTRIBUTES, &isnull));
	KpiPending *change;

	if (strcmp(kind, "aligned") == 0)
		return;
	change = add_row(batch, strcmp(kind, "growth") == 0 ?
					 KPI_PENDING_GROWTH_LINK : KPI_PENDING_LINK);
	change->kpi_id = bigint_of(row, KPI_LINK_PARENT);
	change->since = date_of(row, KPI_LINK_VALID_FROM);
}

static const Structure structures[] = {
	{"unit", KPI_UNIT_VALID_FROM, KPI_UNIT_VALID_TO, note_unit},
	{"unit_history", KPI_HISTORY_UNIT_ID, KPI_HISTORY_SHARE, note_placement},
	{"measure", KPI_MEASURE_DIRECTION, KPI_MEASURE_APPLY_SHARE, note_measure},
	{"kpi", KPI_KPI_ID, KPI_KPI_MEASURE_ID, note_kpi},
	{"link", KPI_LINK_ID, KPI_LINK_VALID_TO, note_link},
};

static bool
matters(const Structure *structure, TupleTableSlot *old, TupleTableSlot *now)
{
	for (int column = structure->first_column; column <= structure->last_column; column++)
		if (!same_column(old, now, column))
			return true;
	/* a KPI's validity stands behind columns that do not matter, and so do the states that count */
	if (structure->note == note_kpi)
		return !same_column(old, now, KPI_KPI_VALID_FROM) ||
			!same_column(old, now, KPI_KPI_VALID_TO);
	if (structure->note == note_measure)
		return !same_column(old, now, KPI_MEASURE_ID) ||
			!same_column(old, now, KPI_MEASURE_TARGETS_COUNT_FROM);
	return structure->note == note_unit ? !same_column(old, now, KPI_UNIT_ID) : false;
}

static bool
note_structure(const Structure *structure, TriggerData *trigger, Batch *batch)
{
	RowReader	old;
	RowReader	now;
	bool		updated = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	bool		changed = false;

	start_reading(&old, trigger, true);
	start_reading(&now, trigger, false);
	for (;;)
	{
		bool		has_old = next_row(&old);
		bool		has_now = next_row(&now);

		CHECK_FOR_INTERRUPTS();
		if (!has_old && !has_now)
			break;
		/* an update's old and new rows come in the same order */
		if (has_old && has_now && !matters(structure, old.slot, now.slot))
			continue;
		changed = true;
		if (has_old)
			structure->note(batch, old.slot, true, updated);
		if (has_now)
			structure->note(batch, now.slot, false, updated);
	}
	stop_reading(&old);
	stop_reading(&now);
	return changed;
}

Datum
kpi_capture_structure(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "kpi.capture_structure");
	const char *table = RelationGetRelationName(trigger->tg_relation);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade capture",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const Structure *structure = NULL;
	Batch		batch = {0};
	bool		changed = true;

	for (int i = 0; i < lengthof(structures); i++)
		if (strcmp(structures[i].table, table) == 0)
			structure = &structures[i];
	if (structure == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"kpi.capture_structure\" cannot serve table \"%s\"", table)));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		add_row(&batch, KPI_PENDING_EVERYTHING);
	else
		changed = note_structure(structure, trigger, &batch);
	if (changed)
		kpi_store_touch_graph();
	append(&batch, trigger);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return PointerGetDatum(NULL);
}
