/*
 * links.c
 *		Triggers that keep explicit links within their rules: which KPIs may
 *		be joined by which kind of link (link_rules.c), and no cycle on any day.
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
#include "columns.h"
#include "cycle.h"
#include "link_rules.h"
#include "miscadmin.h"
#include "settings.h"
#include "statement.h"
#include "storage/lmgr.h"
#include "store_graph.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

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
	KpiLinkRules rules;
	KpiSuspect *suspects;
	int			n_suspects;
	int			room;
} Check;

static TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *function)
{
	TriggerData *trigger = kpi_trigger_data(fcinfo, function);

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
	KpiRowReader reader;
	bool		result = false;

	kpi_rows_start(&reader, check->trigger, false);
	while (!result && kpi_rows_next(&reader))
	{
		KpiLink		link;

		CHECK_FOR_INTERRUPTS();
		kpi_store_read_link(reader.slot, &link);
		result = link.contributes == KPI_LINK_GROWTH;
	}
	kpi_rows_stop(&reader);
	return result;
}

/* the rows of kpi.link that came, which are checked, or went */
static void
check_rows(Check *check, bool old)
{
	KpiRowReader reader;

	kpi_rows_start(&reader, check->trigger, old);
	while (kpi_rows_next(&reader))
	{
		KpiLink		link;
		int			parent;

		CHECK_FOR_INTERRUPTS();
		kpi_store_read_link(reader.slot, &link);
		if (!old)
		{
			kpi_link_rules_check(&check->rules, &link);
			if (link.contributes == KPI_LINK_GROWTH)
				kpi_link_rules_check_no_facts(&check->rules, &link);
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
	kpi_rows_stop(&reader);
}

static bool
has_rows(Check *check)
{
	bool		result = false;

	for (int old = 0; old < 2 && !result; old++)
	{
		KpiRowReader reader;

		kpi_rows_start(&reader, check->trigger, old);
		result = kpi_rows_next(&reader);
		kpi_rows_stop(&reader);
	}
	return result;
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
			kpi_link_rules_begin(&check.rules, check.store, check.graph,
								 check.trigger->tg_relation);
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
			if (!kpi_rows_same_column(old, now, watched[table].columns[i]))
				return true;
		return false;
	}
	/* the first row of a new unit, and all rows of one that was deleted */
	if (now != NULL)
		return date_column(now, KPI_HISTORY_EFFECTIVE_FROM, DATEVAL_NOBEGIN) != DATEVAL_NOBEGIN;
	return kpi_store_has_unit(check->store, bigint_column(old, KPI_HISTORY_UNIT_ID));
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
				int64		unit_id = bigint_column(now, KPI_UNIT_ID);

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
										bigint_column(slot, KPI_HISTORY_UNIT_ID),
										date_column(slot, KPI_HISTORY_EFFECTIVE_FROM, DATEVAL_NOBEGIN));
			}
			break;
		case WATCH_KPI:
			{
				int			kpi = kpi_graph_find(graph, bigint_column(now, KPI_KPI_ID));

				if (kpi < 0)
					break;
				kpi_graph_note_unit(graph, change->units, bigint_column(old, KPI_KPI_UNIT_ID),
									DATEVAL_NOBEGIN);
				kpi_graph_note_unit(graph, change->units, bigint_column(now, KPI_KPI_UNIT_ID),
									DATEVAL_NOBEGIN);
				change->kpis = lappend_int(change->kpis, kpi);
				change->rules = lappend_int(change->rules, kpi);
				break;
			}
		case WATCH_MEASURE:
			change->rules = list_concat(change->rules,
										kpi_graph_kpis_of_measure(graph,
																  bigint_column(now, KPI_MEASURE_ID)));
			break;
	}
}

/* goes through the rows; without a graph only to see whether any concerns links */
static bool
read_change(Check *check, Watched table, Change *change)
{
	KpiRowReader olds;
	KpiRowReader nows;
	bool		result = false;

	kpi_rows_start(&olds, check->trigger, true);
	kpi_rows_start(&nows, check->trigger, false);
	while (check->graph != NULL || !result)
	{
		/* an update's old and new rows come in the same order */
		TupleTableSlot *old = kpi_rows_next(&olds) ? olds.slot : NULL;
		TupleTableSlot *now = kpi_rows_next(&nows) ? nows.slot : NULL;

		CHECK_FOR_INTERRUPTS();
		if (old == NULL && now == NULL)
			break;
		if (!concerns_links(check, table, old, now))
			continue;
		result = true;
		if (check->graph != NULL)
			note_change(check, table, change, old, now);
	}
	kpi_rows_stop(&olds);
	kpi_rows_stop(&nows);
	return result;
}

static void
check_change(Check *check, Watched table)
{
	Change		change = {.units = kpi_graph_unit_days(check->graph)};
	ListCell   *lc;

	(void) read_change(check, table, &change);
	if (change.rules != NIL)
		kpi_link_rules_begin(&check->rules, check->store, check->graph,
							 check->trigger->tg_relation);
	foreach(lc, change.rules)
	{
		int			kpi = lfirst_int(lc);
		ListCell   *link;

		foreach(link, kpi_graph_links_from(check->graph, kpi))
			kpi_link_rules_check(&check->rules, lfirst(link));
		foreach(link, kpi_graph_links_into(check->graph, kpi))
			kpi_link_rules_check(&check->rules, lfirst(link));
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
