/*
 * capture_facts.c
 *		The trigger that turns what a statement did to facts into pending rows.
 *
 * Rows that came and rows that went are tallied apart for each KPI and period,
 * exactly, and appended as one pending row each; the fold adds the one and
 * takes away the other.
 *
 * That a fact's KPI exists is checked here, once for each group and under the
 * latest snapshot, instead of by the foreign key for each row.  It cannot
 * vanish before this transaction ends, since deleting a KPI takes
 * ShareRowExclusiveLock on kpi.fact, which conflicts with the RowExclusiveLock
 * that every writer of facts holds.  For the same reason a session may remember
 * which KPIs it has found, see store_names.c.
 */
#include "postgres.h"

#include "accumulator.h"
#include "capture.h"
#include "columns.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(kpi_capture_fact);

/* ------------------------------------------------------------------------
 * Groups of a KPI and a period
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
	KpiRowReader reader;

	if (old ? TRIGGER_FIRED_BY_INSERT(trigger->tg_event) : TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		return;
	kpi_rows_start(&reader, trigger, old);
	while (kpi_rows_next(&reader))
	{
		FactGroup  *group = group_of(changes, bigint_column(reader.slot, KPI_FACT_KPI_ID),
									 period_column(reader.slot, KPI_FACT_PERIOD));
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
	kpi_rows_stop(&reader);
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

/* ------------------------------------------------------------------------
 * Does the KPI exist, and does the period fit?
 * ------------------------------------------------------------------------ */

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

/* ------------------------------------------------------------------------
 * Pending rows
 * ------------------------------------------------------------------------ */

static void
note_groups(FactChanges *changes, KpiBatch *batch, bool look_again)
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
			row = kpi_batch_add(batch, KPI_PENDING_ADDED);
			row->kpi_id = group->key.kpi_id;
			row->period = (KpiPeriod) group->key.period;
			row->has_delta = !look_again;
			if (added != NULL)
				row->delta = *added;
		}
		if (!look_again && removed != NULL)
		{
			row = kpi_batch_add(batch, KPI_PENDING_REMOVED);
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
	TriggerData *trigger = kpi_capture_trigger(fcinfo, "kpi.capture_fact");
	KpiBatch	batch = {0};

	/* the trigger manager frees what is allocated here, once the trigger is done */
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		kpi_batch_add(&batch, KPI_PENDING_EVERYTHING);
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
	kpi_batch_append(&batch, trigger);
	return PointerGetDatum(NULL);
}
