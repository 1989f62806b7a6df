/*
 * capture.c
 *		Triggers that turn what a statement changed into pending rows.
 *
 * Capture does no graph work, touches no row that others write, and waits for
 * nobody: it groups the statement's changes and appends pending rows, which
 * disappear with the transaction or subtransaction if that rolls back.  Facts
 * are tallied first (capture_facts.c).
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

#include "capture.h"
#include "close.h"
#include "columns.h"
#include "fold_due.h"
#include "miscadmin.h"
#include "store_graph.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(kpi_capture_target);
PG_FUNCTION_INFO_V1(kpi_capture_structure);

/* ------------------------------------------------------------------------
 * Pending rows of one statement
 * ------------------------------------------------------------------------ */

KpiPending *
kpi_batch_add(KpiBatch *batch, KpiPendingKind kind)
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

void
kpi_batch_append(const KpiBatch *batch, TriggerData *trigger)
{
	if (batch->n == 0)
		return;
	kpi_store_append(batch->rows, batch->n);
	kpi_fold_note_captured(batch->n);
	kpi_close_check(trigger, batch->rows, batch->n);
}

TriggerData *
kpi_capture_trigger(FunctionCallInfo fcinfo, const char *function)
{
	TriggerData *trigger = kpi_trigger_data(fcinfo, function);

	if (!TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired AFTER the change", function)));
	return trigger;
}

/* ------------------------------------------------------------------------
 * Targets
 * ------------------------------------------------------------------------ */

Datum
kpi_capture_target(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = kpi_capture_trigger(fcinfo, "kpi.capture_target");
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade capture",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KpiBatch	batch = {0};

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		kpi_batch_add(&batch, KPI_PENDING_EVERYTHING);
	else
		for (int side = 0; side < 2; side++)
		{
			KpiRowReader reader;

			kpi_rows_start(&reader, trigger, side == 0);
			while (kpi_rows_next(&reader))
			{
				KpiPending *row = kpi_batch_add(&batch, KPI_PENDING_TARGET);

				row->kpi_id = bigint_column(reader.slot, KPI_TARGET_KPI_ID);
				row->period = period_column(reader.slot, KPI_TARGET_PERIOD);
			}
			kpi_rows_stop(&reader);
		}
	kpi_batch_append(&batch, trigger);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Units, measures, KPIs and links
 * ------------------------------------------------------------------------ */

/*
 * What each table contributes: the columns that matter, and the pending rows
 * that a row of it, old or new, gives rise to.
 */
typedef struct Structure
{
	const char *table;
	int			first_column;	/* of those that matter */
	int			last_column;
	void		(*note) (KpiBatch *batch, TupleTableSlot *row, bool old, bool updated);
} Structure;

static void
note_unit(KpiBatch *batch, TupleTableSlot *row, bool old, bool updated)
{
	/* a unit that comes or goes has no KPIs at that moment */
	if (updated && !old)
		kpi_batch_add(batch, KPI_PENDING_VALIDITY)->unit_id = bigint_column(row, KPI_UNIT_ID);
}

static void
note_placement(KpiBatch *batch, TupleTableSlot *row, bool old, bool updated)
{
	KpiPending *change = kpi_batch_add(batch, KPI_PENDING_PLACEMENT);

	change->unit_id = bigint_column(row, KPI_HISTORY_UNIT_ID);
	change->since = date_column(row, KPI_HISTORY_EFFECTIVE_FROM, DATEVAL_NOBEGIN);
	if (old && bigint_column(row, KPI_HISTORY_PARENT) != 0)
	{
		change = kpi_batch_add(batch, KPI_PENDING_PLACEMENT);
		change->unit_id = bigint_column(row, KPI_HISTORY_PARENT);
		change->since = date_column(row, KPI_HISTORY_EFFECTIVE_FROM, DATEVAL_NOBEGIN);
	}
}

static void
note_measure(KpiBatch *batch, TupleTableSlot *row, bool old, bool updated)
{
	if (updated && !old)
		kpi_batch_add(batch, KPI_PENDING_MEASURE)->measure_id = bigint_column(row, KPI_MEASURE_ID);
}

static void
note_kpi(KpiBatch *batch, TupleTableSlot *row, bool old, bool updated)
{
	KpiPending *change = kpi_batch_add(batch, KPI_PENDING_KPI);

	change->kpi_id = bigint_column(row, KPI_KPI_ID);
	change->unit_id = bigint_column(row, KPI_KPI_UNIT_ID);
	change->measure_id = bigint_column(row, KPI_KPI_MEASURE_ID);
}

static void
note_link(KpiBatch *batch, TupleTableSlot *row, bool old, bool updated)
{
	bool		isnull;
	char	   *kind = TextDatumGetCString(slot_getattr(row, KPI_LINK_CONTRIBUTES, &isnull));
	KpiPending *change;

	if (strcmp(kind, "aligned") == 0)
		return;
	change = kpi_batch_add(batch, strcmp(kind, "growth") == 0 ?
						   KPI_PENDING_GROWTH_LINK : KPI_PENDING_LINK);
	change->kpi_id = bigint_column(row, KPI_LINK_PARENT);
	change->since = date_column(row, KPI_LINK_VALID_FROM, DATEVAL_NOBEGIN);
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
		if (!kpi_rows_same_column(old, now, column))
			return true;
	/* a KPI's validity stands behind columns that do not matter, and so do the states that count */
	if (structure->note == note_kpi)
		return !kpi_rows_same_column(old, now, KPI_KPI_VALID_FROM) ||
			!kpi_rows_same_column(old, now, KPI_KPI_VALID_TO);
	if (structure->note == note_measure)
		return !kpi_rows_same_column(old, now, KPI_MEASURE_ID) ||
			!kpi_rows_same_column(old, now, KPI_MEASURE_TARGETS_COUNT_FROM);
	return structure->note == note_unit ? !kpi_rows_same_column(old, now, KPI_UNIT_ID) : false;
}

static bool
note_structure(const Structure *structure, TriggerData *trigger, KpiBatch *batch)
{
	KpiRowReader old;
	KpiRowReader now;
	bool		updated = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	bool		changed = false;

	kpi_rows_start(&old, trigger, true);
	kpi_rows_start(&now, trigger, false);
	for (;;)
	{
		bool		has_old = kpi_rows_next(&old);
		bool		has_now = kpi_rows_next(&now);

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
	kpi_rows_stop(&old);
	kpi_rows_stop(&now);
	return changed;
}

Datum
kpi_capture_structure(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = kpi_capture_trigger(fcinfo, "kpi.capture_structure");
	const char *table = RelationGetRelationName(trigger->tg_relation);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kpi_cascade capture",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const Structure *structure = NULL;
	KpiBatch	batch = {0};
	bool		changed = true;

	for (int i = 0; i < lengthof(structures); i++)
		if (strcmp(structures[i].table, table) == 0)
			structure = &structures[i];
	if (structure == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"kpi.capture_structure\" cannot serve table \"%s\"", table)));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		kpi_batch_add(&batch, KPI_PENDING_EVERYTHING);
	else
		changed = note_structure(structure, trigger, &batch);
	if (changed)
		kpi_store_touch_graph();
	kpi_batch_append(&batch, trigger);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return PointerGetDatum(NULL);
}
