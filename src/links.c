/*
 * links.c
 *		Triggers that keep explicit links within their rules: which KPIs may
 *		be joined by which kind of link, and no cycle on any day.
 *
 * Explicit and implied links together form a directed acyclic graph on every
 * day.  Implied links alone cannot form a cycle, as units do not; so nothing
 * is looked at while there are no explicit links.
 *
 * What can close a cycle?  A KPI or unit that is new has no explicit links,
 * and what reaches past it reached past it before: inserting one cannot.  All
 * else can, even deleting a link, since implied links that it replaced come
 * back.  A new cycle leads through the upper end of a link that is new, and
 * for each kind of change we know which KPIs those may be (the suspects); the
 * search goes upwards from them.
 *
 * Locks.  Whatever can close a cycle takes kpi.link_lock in ShareRowExclusive
 * mode before it touches a row, until its transaction ends: two changes that
 * do not see each other could close one together.  What is checked is read
 * with the latest snapshot, at REPEATABLE READ too.  Facts never take that
 * lock.  A statement that adds growth links also takes kpi.fact in
 * ShareRowExclusive mode, since a growth KPI has no facts: writers of facts
 * wait for it, and it for them.  Always in this order, as deleting a KPI does.
 *
 * While a dump is restored cycles are not looked for.  A link may come before
 * the history of units, or one by one, and a part of what was dumped may have
 * a cycle that the whole has not.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "cycle.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "settings.h"
#include "storage/lmgr.h"
#include "store.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(kpi_lock_links);
PG_FUNCTION_INFO_V1(kpi_check_links);
PG_FUNCTION_INFO_V1(kpi_check_links_hold);

/* what one statement is checked with */
typedef struct Check
{
	TriggerData *trigger;
	MemoryContext context;
	MemoryContext caller;
	Snapshot	snapshot;
	KpiStore   *store;
	KpiGraph   *graph;
	List	   *slots;			/* to be dropped */
	const KpiLink **growth;		/* the growth links, by parent */
	int			n_growth;
	KpiSuspect *suspects;
	int			n_suspects;
	int			room;
} Check;

static TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *function)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", function)));
	if (!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired for each statement", function)));
	return trigger;
}

Datum
kpi_lock_links(PG_FUNCTION_ARGS)
{
	(void) trigger_data(fcinfo, "kpi.lock_links");
	LockRelationOid(kpi_store_relation("link_lock"), ShareRowExclusiveLock);
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------ */

/* the old or new rows of the statement, in a slot; NULL where there are none */
static TupleTableSlot *
start_reading(Check *check, bool old)
{
	Tuplestorestate *rows = old ? check->trigger->tg_oldtable : check->trigger->tg_newtable;
	TupleTableSlot *slot;

	if (rows == NULL)
		return NULL;
	/* other triggers read the same rows with pointers of their own */
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(check->trigger->tg_relation),
									&TTSOpsMinimalTuple);
	check->slots = lappend(check->slots, slot);
	return slot;
}

static bool
next_row(Check *check, bool old, TupleTableSlot *slot)
{
	CHECK_FOR_INTERRUPTS();
	return slot != NULL &&
		tuplestore_gettupleslot(old ? check->trigger->tg_oldtable : check->trigger->tg_newtable,
								true, false, slot);
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

static void
begin_check(Check *check, TriggerData *trigger)
{
	memset(check, 0, sizeof(Check));
	check->trigger = trigger;
	check->context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade links",
										   ALLOCSET_DEFAULT_SIZES);
	check->caller = MemoryContextSwitchTo(check->context);
}

/* sees the tables, with what the statement wrote; false if there is no link at all */
static bool
open_store(Check *check)
{
	CommandCounterIncrement();
	check->snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(check->snapshot);
	check->store = kpi_store_open(check->snapshot);
	return kpi_store_has_links(check->store);
}

static void
end_check(Check *check)
{
	ListCell   *lc;

	foreach(lc, check->slots)
		ExecDropSingleTupleTableSlot(lfirst(lc));
	if (check->store != NULL)
	{
		kpi_store_close(check->store);
		PopActiveSnapshot();
		UnregisterSnapshot(check->snapshot);
	}
	MemoryContextSwitchTo(check->caller);
	MemoryContextDelete(check->context);
}

/* ------------------------------------------------------------------------
 * Which KPIs may be joined by which kind of link
 * ------------------------------------------------------------------------ */

static const char *const hints[] = {
	[KPI_LINK_VALUE] = "A value link joins KPIs of one grain, fiscal_start, rollup (other than none) and time_rollup, and leaves no growth KPI.",
	[KPI_LINK_NUMERATOR] = "A numerator link leads from a sum, count or none into a ratio of the same grain and fiscal_start.",
	[KPI_LINK_DENOMINATOR] = "A denominator link leads from a sum, count or none into a ratio of the same grain and fiscal_start.",
	[KPI_LINK_GROWTH] = "A growth link has weight 1 and joins KPIs of one grain, other than week, and fiscal_start; its parent has no facts and no other links into it but score and aligned, and neither end is the growth of something else.",
	[KPI_LINK_SCORE] = "A score link has a weight of at least 0 and leads into the same grain, or one that it rolls up to, of the same fiscal_start.",
	[KPI_LINK_ALIGNED] = "An aligned link joins any two KPIs."
};

/* raises, naming both KPIs and the reason, a whole sentence */
static void
refuse(Check *check, const KpiLink *link, const char *reason,...) pg_attribute_printf(3, 4);

static void
refuse(Check *check, const KpiLink *link, const char *reason,...)
{
	const char *table = RelationGetRelationName(check->trigger->tg_relation);
	const char *kind = kpi_store_contributes_word(link->contributes);
	char	   *child = kpi_store_describe_kpi(check->store, link->child_kpi_id);
	char	   *parent = kpi_store_describe_kpi(check->store, link->parent_kpi_id);
	char		detail[1024];
	va_list		args;

	va_start(args, reason);
	vsnprintf(detail, sizeof(detail), reason, args);
	va_end(args);
	if (strcmp(table, "link") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("%s cannot be linked to %s as \"%s\"", child, parent, kind),
				 errdetail_internal("%s", detail),
				 errhint("%s", hints[link->contributes]),
				 errtable(check->trigger->tg_relation)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("%s is linked to %s as \"%s\", which this change would not allow",
					child, parent, kind),
			 errdetail_internal("%s", detail),
			 errhint("Delete that link first. %s", hints[link->contributes]),
			 errtable(check->trigger->tg_relation)));
}

static int
compare_by_parent(const void *a, const void *b)
{
	const KpiLink *x = *(const KpiLink *const *) a;
	const KpiLink *y = *(const KpiLink *const *) b;

	if (x->parent_kpi_id != y->parent_kpi_id)
		return x->parent_kpi_id < y->parent_kpi_id ? -1 : 1;
	return (x > y) - (x < y);
}

static void
find_growth_links(Check *check)
{
	int			n;
	const KpiLink *links = kpi_graph_links(check->graph, &n);

	check->growth = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(KpiLink *) * (n + 1));
	for (int i = 0; i < n; i++)
		if (links[i].contributes == KPI_LINK_GROWTH)
			check->growth[check->n_growth++] = &links[i];
	qsort(check->growth, check->n_growth, sizeof(KpiLink *), compare_by_parent);
}

static bool
overlap(const KpiLink *a, const KpiLink *b)
{
	return a->valid_from < b->valid_to && b->valid_from < a->valid_to;
}

/* a growth link into a KPI while another link is valid, or NULL */
static const KpiLink *
growth_into(Check *check, int64 kpi_id, const KpiLink *other)
{
	int			low = 0,
				high = check->n_growth;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (check->growth[middle]->parent_kpi_id < kpi_id)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < check->n_growth && check->growth[low]->parent_kpi_id == kpi_id; low++)
		if (overlap(check->growth[low], other))
			return check->growth[low];
	return NULL;
}

static void
check_same_grain(Check *check, const KpiLink *link, const KpiMeasure *child, const KpiMeasure *parent)
{
	if (child->grain != parent->grain)
		refuse(check, link, "The child's grain is %s, the parent's is %s.",
			   kpi_grain_name(child->grain), kpi_grain_name(parent->grain));
}

static void
check_same_fiscal_start(Check *check, const KpiLink *link, const KpiMeasure *child,
						const KpiMeasure *parent)
{
	if (child->fiscal_start != parent->fiscal_start)
		refuse(check, link, "The child's fiscal_start is %d, the parent's is %d.",
			   child->fiscal_start, parent->fiscal_start);
}

static char *
number_text(Numeric number)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
}

static void
check_value(Check *check, const KpiLink *link, const KpiMeasure *child, const KpiMeasure *parent)
{
	Numeric		one = kpi_number_from_int(1);

	if (child->rollup != parent->rollup)
		refuse(check, link, "The child's rollup is %s, the parent's is %s.",
			   kpi_store_rollup_word(child->rollup), kpi_store_rollup_word(parent->rollup));
	if (parent->rollup == KPI_ROLLUP_NONE)
		refuse(check, link, "The parent's rollup is none: it takes facts of its own only.");
	if (child->time_rollup != parent->time_rollup)
		refuse(check, link, "The child's time_rollup is %s, the parent's is %s.",
			   kpi_store_time_rollup_word(child->time_rollup),
			   kpi_store_time_rollup_word(parent->time_rollup));
	if ((parent->rollup == KPI_ROLLUP_MEAN || parent->rollup == KPI_ROLLUP_WEIGHTED_MEAN) &&
		kpi_number_sign(link->weight) <= 0)
		refuse(check, link, "The weight is %s; with rollup %s it must be more than 0.",
			   number_text(link->weight), kpi_store_rollup_word(parent->rollup));
	if ((parent->rollup == KPI_ROLLUP_MIN || parent->rollup == KPI_ROLLUP_MAX) &&
		kpi_number_compare(link->weight, one) != 0)
		refuse(check, link, "The weight is %s; with rollup %s it must be 1.",
			   number_text(link->weight), kpi_store_rollup_word(parent->rollup));
}

static void
check_ratio(Check *check, const KpiLink *link, const KpiMeasure *child, const KpiMeasure *parent)
{
	if (parent->rollup != KPI_ROLLUP_RATIO)
		refuse(check, link, "The parent's rollup is %s.", kpi_store_rollup_word(parent->rollup));
	if (child->rollup != KPI_ROLLUP_SUM && child->rollup != KPI_ROLLUP_COUNT &&
		child->rollup != KPI_ROLLUP_NONE)
		refuse(check, link, "The child's rollup is %s.", kpi_store_rollup_word(child->rollup));
}

/* what a growth link demands of the other links of its parent */
static void
check_growth(Check *check, const KpiLink *link, int parent)
{
	ListCell   *lc;

	foreach(lc, kpi_graph_links_into(check->graph, parent))
	{
		const KpiLink *other = lfirst(lc);

		if (other->contributes == KPI_LINK_SCORE || other->contributes == KPI_LINK_ALIGNED ||
			!overlap(link, other))
			continue;
		/* two of one kind between the same two KPIs never overlap: this is the link itself */
		if (other->contributes == KPI_LINK_GROWTH && other->child_kpi_id == link->child_kpi_id)
			continue;
		refuse(check, link, "The parent also has a %s link from %s on some of these days.",
			   kpi_store_contributes_word(other->contributes),
			   kpi_store_describe_kpi(check->store, other->child_kpi_id));
	}
	foreach(lc, kpi_graph_links_from(check->graph, parent))
	{
		const KpiLink *other = lfirst(lc);

		if ((other->contributes == KPI_LINK_VALUE || other->contributes == KPI_LINK_GROWTH) &&
			overlap(link, other))
			refuse(check, link, "The parent has a %s link to %s on some of these days, which no growth KPI may have.",
				   kpi_store_contributes_word(other->contributes),
				   kpi_store_describe_kpi(check->store, other->parent_kpi_id));
	}
}

static void
check_link(Check *check, const KpiLink *link)
{
	int			child = kpi_graph_find(check->graph, link->child_kpi_id);
	int			parent = kpi_graph_find(check->graph, link->parent_kpi_id);
	const KpiMeasure *of_child;
	const KpiMeasure *of_parent;
	const KpiLink *growth;

	/* while their KPI is being deleted */
	if (child < 0 || parent < 0)
		return;
	of_child = kpi_graph_kpi(check->graph, child)->measure;
	of_parent = kpi_graph_kpi(check->graph, parent)->measure;
	switch (link->contributes)
	{
		case KPI_LINK_VALUE:
			check_same_grain(check, link, of_child, of_parent);
			check_value(check, link, of_child, of_parent);
			break;
		case KPI_LINK_NUMERATOR:
		case KPI_LINK_DENOMINATOR:
			check_same_grain(check, link, of_child, of_parent);
			check_ratio(check, link, of_child, of_parent);
			break;
		case KPI_LINK_GROWTH:
			check_same_grain(check, link, of_child, of_parent);
			if (of_parent->grain == KPI_GRAIN_WEEK)
				refuse(check, link, "Their grain is week, and weeks have no week a year earlier.");
			if (kpi_number_compare(link->weight, kpi_number_from_int(1)) != 0)
				refuse(check, link, "The weight is %s.", number_text(link->weight));
			break;
		case KPI_LINK_SCORE:
			if (of_child->grain != of_parent->grain &&
				!kpi_grain_rolls_up_to(of_child->grain, of_parent->grain))
				refuse(check, link, "The child's grain is %s, which does not roll up to the parent's, %s.",
					   kpi_grain_name(of_child->grain), kpi_grain_name(of_parent->grain));
			if (kpi_number_sign(link->weight) < 0)
				refuse(check, link, "The weight is %s.", number_text(link->weight));
			break;
		case KPI_LINK_ALIGNED:
			return;
	}
	check_same_fiscal_start(check, link, of_child, of_parent);

	if (link->contributes == KPI_LINK_VALUE || link->contributes == KPI_LINK_GROWTH)
	{
		growth = growth_into(check, link->child_kpi_id, link);
		if (growth != NULL)
			refuse(check, link, "The child is the growth of %s on some of these days.",
				   kpi_store_describe_kpi(check->store, growth->child_kpi_id));
	}
	if (link->contributes == KPI_LINK_GROWTH)
		check_growth(check, link, parent);
	else if (link->contributes != KPI_LINK_SCORE)
	{
		growth = growth_into(check, link->parent_kpi_id, link);
		if (growth != NULL)
			refuse(check, link, "The parent is the growth of %s on some of these days.",
				   kpi_store_describe_kpi(check->store, growth->child_kpi_id));
	}
}

static void
check_no_facts(Check *check, const KpiLink *link)
{
	List	   *periods = kpi_store_fact_periods(check->store, link->parent_kpi_id);

	if (periods != NIL)
		refuse(check, link, "The parent has facts, such as of %s.",
			   kpi_period_to_text((KpiPeriod) linitial_int(periods)));
}

/* ------------------------------------------------------------------------
 * Cycles
 * ------------------------------------------------------------------------ */

static void
suspect(Check *check, int kpi, DateADT from, DateADT to)
{
	if (check->n_suspects == check->room)
	{
		check->room = check->room ? 2 * check->room : 64;
		check->suspects = check->suspects ?
			repalloc_huge(check->suspects, sizeof(KpiSuspect) * check->room) :
			palloc(sizeof(KpiSuspect) * check->room);
	}
	check->suspects[check->n_suspects++] = (KpiSuspect) {.kpi = kpi, .from = from, .to = to};
}

static void
suspect_from(void *context, int kpi, DateADT day)
{
	suspect(context, kpi, day, DATEVAL_NOEND);
}

/* any cycle has an explicit link in it */
static void
suspect_everything(Check *check)
{
	int			n;
	const KpiLink *links = kpi_graph_links(check->graph, &n);

	for (int i = 0; i < n; i++)
	{
		int			parent = kpi_graph_find(check->graph, links[i].parent_kpi_id);

		if (parent >= 0)
			suspect(check, parent, links[i].valid_from, links[i].valid_to);
	}
}

/* the parents of a KPI's links: they may be computed no more, or reached again */
static void
suspect_parents(Check *check, int kpi)
{
	ListCell   *lc;

	foreach(lc, kpi_graph_links_from(check->graph, kpi))
	{
		const KpiLink *link = lfirst(lc);
		int			parent = kpi_graph_find(check->graph, link->parent_kpi_id);

		if (parent >= 0)
			suspect(check, parent, link->valid_from, link->valid_to);
	}
}

static void
refuse_cycles(Check *check)
{
	DateADT		day = DATEVAL_NOBEGIN;
	List	   *cycle;
	StringInfoData path;
	char		when[MAXDATELEN + 1] = "";
	ListCell   *lc;

	if (check->n_suspects == 0 || kpi_restoring())
		return;
	cycle = kpi_cycle_find(check->graph, check->suspects, check->n_suspects, &day);
	if (cycle == NIL)
		return;
	if (!DATE_NOT_FINITE(day))
	{
		struct pg_tm tm = {0};

		j2date(day + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
		EncodeDateOnly(&tm, USE_ISO_DATES, when);
	}
	initStringInfo(&path);
	foreach(lc, cycle)
		appendStringInfo(&path, "%s%s", path.len > 0 ? " -> " : "",
						 kpi_store_name_kpi(check->store,
											kpi_graph_kpi(check->graph, lfirst_int(lc))->kpi_id));
	ereport(ERROR,
			(errcode(ERRCODE_RESTRICT_VIOLATION),
			 errmsg("links between KPIs would form a cycle %s%s: %s",
					when[0] ? "on " : "from -infinity on", when, path.data),
			 errhint("A number cannot be a part of itself: delete one of these links, or end it before that day. Links between KPIs of one measure are implied by their units."),
			 errtable(check->trigger->tg_relation)));
}

/* ------------------------------------------------------------------------
 * Triggers
 * ------------------------------------------------------------------------ */

/* is a growth link among the new rows? */
static bool
adds_growth(Check *check)
{
	TupleTableSlot *slot = start_reading(check, false);

	while (next_row(check, false, slot))
	{
		KpiLink		link;

		kpi_store_read_link(slot, &link);
		if (link.contributes == KPI_LINK_GROWTH)
			return true;
	}
	return false;
}

/* the rows of kpi.link that came, which are checked, or went */
static void
check_rows(Check *check, bool old)
{
	TupleTableSlot *slot = start_reading(check, old);

	while (next_row(check, old, slot))
	{
		KpiLink		link;
		int			parent;

		kpi_store_read_link(slot, &link);
		if (!old)
		{
			check_link(check, &link);
			if (link.contributes == KPI_LINK_GROWTH)
				check_no_facts(check, &link);
		}
		parent = kpi_graph_find(check->graph, link.parent_kpi_id);
		if (parent >= 0)
			suspect(check, parent, link.valid_from, link.valid_to);
		else
		{
			/* the parent was deleted with it, and what it kept apart meets now */
			suspect_everything(check);
			break;
		}
	}
}

static bool
has_rows(Check *check)
{
	for (int old = 0; old < 2; old++)
	{
		TupleTableSlot *slot = start_reading(check, old);

		if (next_row(check, old, slot))
			return true;
	}
	return false;
}

/* AFTER INSERT, UPDATE or DELETE ON kpi.link */
Datum
kpi_check_links(PG_FUNCTION_ARGS)
{
	Check		check;

	begin_check(&check, trigger_data(fcinfo, "kpi.check_links"));
	if (has_rows(&check))
	{
		if (adds_growth(&check))
			LockRelationOid(kpi_store_relation("fact"), ShareRowExclusiveLock);
		if (open_store(&check))
		{
			check.graph = kpi_store_graph(check.store);
			find_growth_links(&check);
			check_rows(&check, false);
			check_rows(&check, true);
			refuse_cycles(&check);
		}
	}
	end_check(&check);
	return PointerGetDatum(NULL);
}

/* columns of other tables that links, explicit or implied, depend on */
typedef enum Watched
{
	WATCH_UNIT,
	WATCH_HISTORY,
	WATCH_KPI,
	WATCH_MEASURE
} Watched;

static const struct
{
	const char *table;
	AttrNumber	columns[6];		/* up to a 0 */
}			watched[] = {
	[WATCH_UNIT] = {"unit", {KPI_UNIT_VALID_FROM, KPI_UNIT_VALID_TO}},
	[WATCH_HISTORY] = {"unit_history", {KPI_HISTORY_UNIT_ID, KPI_HISTORY_EFFECTIVE_FROM,
	KPI_HISTORY_PARENT, KPI_HISTORY_SHARE}},
	[WATCH_KPI] = {"kpi", {KPI_KPI_UNIT_ID, KPI_KPI_MEASURE_ID, KPI_KPI_VALID_FROM,
	KPI_KPI_VALID_TO}},
	[WATCH_MEASURE] = {"measure", {KPI_MEASURE_ROLLUP, KPI_MEASURE_TIME_ROLLUP,
	KPI_MEASURE_GRAIN, KPI_MEASURE_FISCAL_START, KPI_MEASURE_ROLLS_UP}},
};

static Watched
watched_table(Check *check)
{
	const char *table = RelationGetRelationName(check->trigger->tg_relation);

	for (int i = 0; i < lengthof(watched); i++)
		if (strcmp(watched[i].table, table) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function \"kpi.check_links_hold\" cannot serve table \"%s\"", table)));
}

/* may a row that came, went or was updated (no NULL then) change links? */
static bool
concerns_links(Check *check, Watched table, TupleTableSlot *old, TupleTableSlot *now)
{
	if (old != NULL && now != NULL)
	{
		for (int i = 0; watched[table].columns[i] != 0; i++)
			if (!same_column(old, now, watched[table].columns[i]))
				return true;
		return false;
	}
	/* the first row of a new unit, and all rows of one that was deleted */
	if (now != NULL)
		return date_of(now, KPI_HISTORY_EFFECTIVE_FROM) != DATEVAL_NOBEGIN;
	return kpi_store_has_unit(check->store, bigint_of(old, KPI_HISTORY_UNIT_ID));
}

/* what a statement changed of other tables */
typedef struct Change
{
	DateADT    *units;			/* from when on implied links changed; see kpi_graph_unit_days */
	List	   *kpis;			/* indexes of KPIs that may have come to life or ended */
	List	   *rules;			/* indexes of KPIs that may have other rules */
} Change;

static void
note_change(Check *check, Watched table, Change *change, TupleTableSlot *old, TupleTableSlot *now)
{
	KpiGraph   *graph = check->graph;

	switch (table)
	{
		case WATCH_UNIT:
			{
				int64		unit_id = bigint_of(now, KPI_UNIT_ID);

				kpi_graph_note_unit(graph, change->units, unit_id, DATEVAL_NOBEGIN);
				change->kpis = list_concat(change->kpis, kpi_graph_kpis_of_unit(graph, unit_id));
				break;
			}
		case WATCH_HISTORY:
			for (int i = 0; i < 2; i++)
			{
				TupleTableSlot *slot = i ? now : old;

				if (slot != NULL)
					kpi_graph_note_unit(graph, change->units,
										bigint_of(slot, KPI_HISTORY_UNIT_ID),
										date_of(slot, KPI_HISTORY_EFFECTIVE_FROM));
			}
			break;
		case WATCH_KPI:
			{
				int			kpi = kpi_graph_find(graph, bigint_of(now, KPI_KPI_ID));

				if (kpi < 0)
					break;
				kpi_graph_note_unit(graph, change->units, bigint_of(old, KPI_KPI_UNIT_ID),
									DATEVAL_NOBEGIN);
				kpi_graph_note_unit(graph, change->units, bigint_of(now, KPI_KPI_UNIT_ID),
									DATEVAL_NOBEGIN);
				change->kpis = lappend_int(change->kpis, kpi);
				change->rules = lappend_int(change->rules, kpi);
				break;
			}
		case WATCH_MEASURE:
			change->rules = list_concat(change->rules,
										kpi_graph_kpis_of_measure(graph,
																  bigint_of(now, KPI_MEASURE_ID)));
			break;
	}
}

/* goes through the rows; without a graph only to see whether any concerns links */
static bool
read_change(Check *check, Watched table, Change *change)
{
	TupleTableSlot *old_slot = start_reading(check, true);
	TupleTableSlot *now_slot = start_reading(check, false);
	bool		result = false;

	while (check->graph != NULL || !result)
	{
		/* an update's old and new rows come in the same order */
		TupleTableSlot *old = next_row(check, true, old_slot) ? old_slot : NULL;
		TupleTableSlot *now = next_row(check, false, now_slot) ? now_slot : NULL;

		if (old == NULL && now == NULL)
			break;
		if (!concerns_links(check, table, old, now))
			continue;
		result = true;
		if (check->graph != NULL)
			note_change(check, table, change, old, now);
	}
	return result;
}

static void
check_change(Check *check, Watched table)
{
	Change		change = {.units = kpi_graph_unit_days(check->graph)};
	ListCell   *lc;

	(void) read_change(check, table, &change);
	if (change.rules != NIL)
		find_growth_links(check);
	foreach(lc, change.rules)
	{
		int			kpi = lfirst_int(lc);
		ListCell   *link;

		foreach(link, kpi_graph_links_from(check->graph, kpi))
			check_link(check, lfirst(link));
		foreach(link, kpi_graph_links_into(check->graph, kpi))
			check_link(check, lfirst(link));
		suspect(check, kpi, DATEVAL_NOBEGIN, DATEVAL_NOEND);
	}
	foreach(lc, change.kpis)
	{
		suspect(check, lfirst_int(lc), DATEVAL_NOBEGIN, DATEVAL_NOEND);
		suspect_parents(check, lfirst_int(lc));
	}
	kpi_graph_each_kpi_above(check->graph, change.units, 0, suspect_from, check);
	refuse_cycles(check);
}

/* AFTER UPDATE ON kpi.unit, kpi.measure and kpi.kpi, and after any change of kpi.unit_history */
Datum
kpi_check_links_hold(PG_FUNCTION_ARGS)
{
	Check		check;

	begin_check(&check, trigger_data(fcinfo, "kpi.check_links_hold"));
	if (has_rows(&check) && !kpi_restoring())
	{
		Watched		table = watched_table(&check);
		/* of rows of unit_history only the store can tell */
		bool		concerned = table == WATCH_HISTORY || read_change(&check, table, NULL);

		/*
		 * The lock is held already, unless another trigger changed more than
		 * the statement named.  unit_history's own triggers have taken it.
		 */
		if (concerned && table != WATCH_HISTORY)
			LockRelationOid(kpi_store_relation("link_lock"), ShareRowExclusiveLock);
		if (concerned && open_store(&check) &&
			(table != WATCH_HISTORY || read_change(&check, table, NULL)))
		{
			check.graph = kpi_store_graph(check.store);
			check_change(&check, table);
		}
	}
	end_check(&check);
	return PointerGetDatum(NULL);
}
