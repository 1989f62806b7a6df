/*
 * store_cells.c
 *		The way to the cells, also beside a long snapshot.
 *
 * A fold replaces the row of each cell that changes, and the cells at the top
 * change in nearly every fold.  Their dead rows are removed in passing by
 * whoever next touches the page, unless an old snapshot somewhere (an idle
 * REPEATABLE READ session, a long report) may still see them: then thousands
 * of dead rows pile up under one key, and whoever looks for that key walks
 * over all of them.  Generations keep them out of the way.
 *
 *		A cell has one live row, in generation 0 or in the generation that
 *		kpi.fold_state names, the hot one.  Readers look for (kpi_id, 0, period)
 *		and (kpi_id, hot, period) in the index and never touch other
 *		generations.
 *
 * Folds are counted in eras.  When an era ends (after ERA_FOLDS, more the
 * longer this goes on), the fold asks for the oldest transaction whose effects
 * some snapshot may not see yet.  If that one is older than the era, dead rows
 * of the era could not be removed, and a new era begins with a generation of
 * its own.  A cell written for the second time in an era goes there, and stays
 * as long as it is written in every era; others remain in generation 0.  Cells
 * of the generation before that the fold at the turn has not written return to
 * generation 0, so there are never more than two to look into.  A cell is
 * moved back at most once for each two times it was written, which bounds the
 * cost, and a key that changes in every one of n folds has left about the
 * square root of n dead rows.  Once nobody holds an old snapshot, all cells
 * return to generation 0 and stay there.
 *
 * All this happens inside the fold, under its lock and in its transaction: a
 * snapshot sees the state row and the cells of the same fold.  A generation
 * number is never used twice.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_enum.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "store_cells.h"
#include "store_tables.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define ERA_FOLDS	16

static const KpiPreparedLookup cell_lookup = {
	KPI_TABLE_CELL, "cell_kpi_id_idx", 3, {1, 2, 3},
	{BTEqualStrategyNumber, BTEqualStrategyNumber, BTEqualStrategyNumber}
};
static const KpiPreparedLookup cells_between = {
	KPI_TABLE_CELL, "cell_kpi_id_idx", 4, {1, 2, 3, 3},
	{BTEqualStrategyNumber, BTEqualStrategyNumber, BTGreaterEqualStrategyNumber,
	BTLessEqualStrategyNumber}
};
static const KpiPreparedLookup cells_among = {
	KPI_TABLE_CELL, "cell_kpi_id_idx", 4, {1, 2, 3, 3},
	{BTEqualStrategyNumber, BTEqualStrategyNumber, BTGreaterEqualStrategyNumber,
	BTLessEqualStrategyNumber},
	true
};
static const KpiPreparedLookup cells_of_kpi = {
	KPI_TABLE_CELL, "cell_kpi_id_idx", 2, {1, 2}, {BTEqualStrategyNumber, BTEqualStrategyNumber}
};
static const KpiPreparedLookup period_after = {
	KPI_TABLE_CELL, "cell_period_idx", 2, {1, 2},
	{BTEqualStrategyNumber, BTGreaterStrategyNumber}
};
static const KpiPreparedLookup cells_of_generation = {
	KPI_TABLE_CELL, "cell_period_idx", 1, {1}, {BTEqualStrategyNumber}
};

static KpiLookup *
start(KpiStore *store, KpiLookupSlot slot, const KpiPreparedLookup *lookup,
	  Datum key1, Datum key2, Datum key3, Datum key4)
{
	Datum		keys[] = {key1, key2, key3, key4};

	return kpi_store_start(store, slot, lookup, keys);
}

/* the live generations; returns how many */
static int
live_generations(KpiStore *store, int *generations)
{
	int			hot;

	if (kpi_store_hot_generation(store) < 0)
	{
		KpiFoldState state;

		/* which notes it */
		kpi_store_read_state(store, &state);
	}
	hot = kpi_store_hot_generation(store);
	generations[0] = 0;
	generations[1] = hot;
	return hot == 0 ? 1 : 2;
}

static Numeric
number_column(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attribute, &isnull);

	return isnull ? NULL : DatumGetNumericCopy(value);
}

enum {CELL_KPI_ID = 1, CELL_PERIOD, CELL_ACTUAL, CELL_TARGET, CELL_ATTAINMENT, CELL_TARGET_TO_DATE,
	CELL_ATTAINMENT_TO_DATE, CELL_DRIVER_SCORE, CELL_SCORE, CELL_STATUS, CELL_COVERAGE, CELL_TALLY,
	CELL_HAS_OWN, CELL_OWN, CELL_COVERAGE_SUM, CELL_LAST_ACTUAL, CELL_IS_FED, CELL_GENERATION, CELL_ERA};

StaticAssertDecl(CELL_ERA == KPI_CELL_COLUMNS, "every column of kpi.cell has a place");

/* the oids of the labels of kpi_status, looked up once per session and type */
static Oid
status_oid(Oid type, KpiStatus status)
{
	static Oid	known_type = InvalidOid;
	static Oid	oids[KPI_STATUS_COUNT];

	if (type != known_type)
	{
		for (int i = 0; i < KPI_STATUS_COUNT; i++)
		{
			oids[i] = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type),
									  CStringGetDatum(kpi_status_name(i)));
			if (!OidIsValid(oids[i]))
				elog(ERROR, "kpi_status lacks \"%s\"", kpi_status_name(i));
		}
		known_type = type;
	}
	return oids[status];
}

static KpiStatus
status_of_oid(Oid type, Oid label)
{
	for (int i = 0; i < KPI_STATUS_COUNT; i++)
		if (status_oid(type, i) == label)
			return i;
	elog(ERROR, "unknown status %u", label);
	return KPI_STATUS_NO_DATA;	/* keep compilers quiet */
}

static bool
tally_column(TupleTableSlot *slot, int attribute, KpiTally *tally)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attribute, &isnull);

	if (!isnull)
		kpi_tally_unpack(PG_DETOAST_DATUM(value), tally);
	return !isnull;
}

static void
read_cell(TupleTableSlot *slot, KpiCell *cell)
{
	Oid			status_type = TupleDescAttr(slot->tts_tupleDescriptor, CELL_STATUS - 1)->atttypid;
	bool		isnull;
	Datum		value;

	memset(cell, 0, sizeof(KpiCell));
	cell->exists = true;
	cell->tid = slot->tts_tid;
	cell->actual = number_column(slot, CELL_ACTUAL);
	cell->target = number_column(slot, CELL_TARGET);
	cell->attainment = number_column(slot, CELL_ATTAINMENT);
	cell->target_to_date = number_column(slot, CELL_TARGET_TO_DATE);
	cell->attainment_to_date = number_column(slot, CELL_ATTAINMENT_TO_DATE);
	cell->driver_score = number_column(slot, CELL_DRIVER_SCORE);
	cell->score = number_column(slot, CELL_SCORE);
	cell->status = status_of_oid(status_type,
								 DatumGetObjectId(slot_getattr(slot, CELL_STATUS, &isnull)));
	cell->coverage = number_column(slot, CELL_COVERAGE);
	cell->has_tally = tally_column(slot, CELL_TALLY, &cell->tally);
	cell->has_own = DatumGetBool(slot_getattr(slot, CELL_HAS_OWN, &isnull));
	if (cell->has_own && !tally_column(slot, CELL_OWN, &cell->own))
		kpi_tally_copy(&cell->own, &cell->tally);
	cell->coverage_sum = number_column(slot, CELL_COVERAGE_SUM);
	value = slot_getattr(slot, CELL_LAST_ACTUAL, &isnull);
	cell->last_actual = isnull ? KPI_PERIOD_NONE : DatumGetKpiPeriod(value);
	cell->is_fed = DatumGetBool(slot_getattr(slot, CELL_IS_FED, &isnull));
	cell->generation = DatumGetInt32(slot_getattr(slot, CELL_GENERATION, &isnull));
	cell->era = DatumGetInt32(slot_getattr(slot, CELL_ERA, &isnull));
}

bool
kpi_store_cell(KpiStore *store, int64 kpi_id, KpiPeriod period, KpiCell *cell)
{
	int			generations[2];
	int			n = live_generations(store, generations);

	for (int i = n - 1; i >= 0; i--)
	{
		TupleTableSlot *slot = kpi_lookup_next(start(store, KPI_LOOKUP_CELL, &cell_lookup,
													 Int64GetDatum(kpi_id),
													 Int32GetDatum(generations[i]),
													 KpiPeriodGetDatum(period), 0));

		if (slot != NULL)
		{
			read_cell(slot, cell);
			return true;
		}
	}
	memset(cell, 0, sizeof(KpiCell));
	return false;
}

void
kpi_store_cells(KpiStore *store, int64 kpi_id, KpiPeriod first, KpiPeriod last,
				KpiCellVisitor visit, void *context)
{
	int			generations[2];
	int			n = live_generations(store, generations);

	for (int i = 0; i < n; i++)
	{
		KpiLookup  *lookup;
		TupleTableSlot *slot;

		if (first == KPI_PERIOD_NONE)
			lookup = start(store, KPI_LOOKUP_CELLS_OF_KPI, &cells_of_kpi, Int64GetDatum(kpi_id),
						   Int32GetDatum(generations[i]), 0, 0);
		else
			lookup = start(store, KPI_LOOKUP_CELLS_BETWEEN, &cells_between, Int64GetDatum(kpi_id),
						   Int32GetDatum(generations[i]), KpiPeriodGetDatum(first),
						   KpiPeriodGetDatum(last));
		while ((slot = kpi_lookup_next(lookup)) != NULL)
		{
			KpiCell		cell;
			bool		isnull;

			read_cell(slot, &cell);
			visit(context, kpi_id, DatumGetKpiPeriod(slot_getattr(slot, CELL_PERIOD, &isnull)),
				  &cell);
		}
	}
}

/* entries that are cheaper to pass than looking for another one from the root */
#define ENTRIES_PASSED	32

void
kpi_store_cells_among(KpiStore *store, int64 kpi_id, const KpiPeriod *periods, int n,
					  KpiCellVisitor visit, void *context)
{
	int			generations[2];
	int			n_generations = live_generations(store, generations);

	for (int i = 0; i < n_generations; i++)
	{
		KpiLookup  *lookup = start(store, KPI_LOOKUP_CELLS_AMONG, &cells_among,
								   Int64GetDatum(kpi_id), Int32GetDatum(generations[i]),
								   KpiPeriodGetDatum(periods[0]), KpiPeriodGetDatum(periods[n - 1]));
		int			at = 0;

		for (int passed = 0; passed < ENTRIES_PASSED && kpi_lookup_pass(lookup); passed++)
		{
			KpiPeriod	period = DatumGetKpiPeriod(kpi_lookup_entry(lookup, 3));
			TupleTableSlot *slot;
			KpiCell		cell;

			while (at < n && kpi_period_compare(periods[at], period) < 0)
				at++;
			if (at == n)
				break;
			if (periods[at] != period || (slot = kpi_lookup_row(lookup)) == NULL)
				continue;
			read_cell(slot, &cell);
			visit(context, kpi_id, period, &cell);
		}
	}
}

typedef struct CellScan
{
	KpiCellVisitor visit;
	void	   *context;
} CellScan;

static void
visit_cell(void *context, TupleTableSlot *slot)
{
	CellScan   *scan = context;
	KpiCell		cell;
	bool		isnull;

	read_cell(slot, &cell);
	scan->visit(scan->context, DatumGetInt64(slot_getattr(slot, CELL_KPI_ID, &isnull)),
				DatumGetKpiPeriod(slot_getattr(slot, CELL_PERIOD, &isnull)), &cell);
}

void
kpi_store_each_cell(KpiStore *store, KpiCellVisitor visit, void *context)
{
	CellScan	scan = {visit, context};

	kpi_store_scan(store, KPI_TABLE_CELL, visit_cell, &scan);
}

static int
compare_period_cells(const ListCell *a, const ListCell *b)
{
	return kpi_period_compare((KpiPeriod) lfirst_int(a), (KpiPeriod) lfirst_int(b));
}

List *
kpi_store_periods_in_use(KpiStore *store)
{
	List	   *result = NIL;
	int			generations[2];
	int			n = live_generations(store, generations);

	for (int i = 0; i < n; i++)
	{
		KpiPeriod	last = KPI_PERIOD_NONE;
		TupleTableSlot *slot;

		/* a skip scan: from each period straight to the next greater one */
		while ((slot = kpi_lookup_next(start(store, KPI_LOOKUP_PERIOD_AFTER, &period_after,
											 Int32GetDatum(generations[i]),
											 KpiPeriodGetDatum(last), 0, 0))) != NULL)
		{
			bool		isnull;

			last = DatumGetKpiPeriod(slot_getattr(slot, CELL_PERIOD, &isnull));
			if (n == 1 || !list_member_int(result, (int) last))
				result = lappend_int(result, (int) last);
		}
	}
	if (n > 1)
		list_sort(result, compare_period_cells);
	return result;
}

static void
set_number(Datum *values, bool *nulls, int attribute, Numeric number)
{
	values[attribute - 1] = NumericGetDatum(number);
	nulls[attribute - 1] = number == NULL;
}

void
kpi_store_cell_values(int64 kpi_id, KpiPeriod period, const KpiCell *cell, Oid status_type,
					  Datum *values, bool *nulls)
{
	bool		own_differs = cell->has_own &&
		(!cell->has_tally || !kpi_tally_equal(&cell->own, &cell->tally));

	memset(nulls, 0, sizeof(bool) * KPI_CELL_COLUMNS);
	values[CELL_KPI_ID - 1] = Int64GetDatum(kpi_id);
	values[CELL_PERIOD - 1] = KpiPeriodGetDatum(period);
	set_number(values, nulls, CELL_ACTUAL, cell->actual);
	set_number(values, nulls, CELL_TARGET, cell->target);
	set_number(values, nulls, CELL_ATTAINMENT, cell->attainment);
	set_number(values, nulls, CELL_TARGET_TO_DATE, cell->target_to_date);
	set_number(values, nulls, CELL_ATTAINMENT_TO_DATE, cell->attainment_to_date);
	set_number(values, nulls, CELL_DRIVER_SCORE, cell->driver_score);
	set_number(values, nulls, CELL_SCORE, cell->score);
	values[CELL_STATUS - 1] = ObjectIdGetDatum(status_oid(status_type, cell->status));
	set_number(values, nulls, CELL_COVERAGE, cell->coverage);
	nulls[CELL_TALLY - 1] = !cell->has_tally;
	if (cell->has_tally)
		values[CELL_TALLY - 1] = PointerGetDatum(kpi_tally_pack(&cell->tally));
	values[CELL_HAS_OWN - 1] = BoolGetDatum(cell->has_own);
	nulls[CELL_OWN - 1] = !own_differs;
	if (own_differs)
		values[CELL_OWN - 1] = PointerGetDatum(kpi_tally_pack(&cell->own));
	set_number(values, nulls, CELL_COVERAGE_SUM, cell->coverage_sum);
	values[CELL_LAST_ACTUAL - 1] = KpiPeriodGetDatum(cell->last_actual);
	nulls[CELL_LAST_ACTUAL - 1] = cell->last_actual == KPI_PERIOD_NONE;
	values[CELL_IS_FED - 1] = BoolGetDatum(cell->is_fed);
	values[CELL_GENERATION - 1] = Int32GetDatum(0);
	values[CELL_ERA - 1] = Int32GetDatum(0);
}

Numeric
kpi_store_cell_figure(const KpiCell *cell, int column)
{
	switch (column)
	{
		case CELL_ACTUAL:
			return cell->actual;
		case CELL_TARGET:
			return cell->target;
		case CELL_ATTAINMENT:
			return cell->attainment;
		case CELL_TARGET_TO_DATE:
			return cell->target_to_date;
		case CELL_ATTAINMENT_TO_DATE:
			return cell->attainment_to_date;
		case CELL_DRIVER_SCORE:
			return cell->driver_score;
		case CELL_SCORE:
			return cell->score;
		case CELL_COVERAGE:
			return cell->coverage;
	}
	elog(ERROR, "column %d of kpi.cell is no figure", column);
	return NULL;				/* keep compilers quiet */
}

Datum
kpi_store_status_datum(Oid status_type, KpiStatus status)
{
	return ObjectIdGetDatum(status_oid(status_type, status));
}

KpiStatus
kpi_store_status_of_datum(Oid status_type, Datum label)
{
	return status_of_oid(status_type, DatumGetObjectId(label));
}

void
kpi_store_write_cell(KpiStore *store, int64 kpi_id, KpiPeriod period, const KpiCell *old,
					 const KpiCell *now)
{
	CatalogIndexState indexes = kpi_store_indexes(store, KPI_TABLE_CELL);
	Relation	relation = kpi_store_table(store, KPI_TABLE_CELL);
	bool		exists = old != NULL && old->exists;
	ItemPointerData tid;
	Datum		values[KPI_CELL_COLUMNS];
	bool		nulls[KPI_CELL_COLUMNS];
	HeapTuple	tuple;

	if (exists)
		tid = old->tid;
	if (now == NULL || !now->exists)
	{
		if (exists)
			simple_heap_delete(relation, &tid);
		return;
	}
	kpi_store_cell_values(kpi_id, period, now,
						  TupleDescAttr(RelationGetDescr(relation), CELL_STATUS - 1)->atttypid,
						  values, nulls);
	/* a new cell has no dead rows */
	if (exists && kpi_store_written_generation(store) != 0)
	{
		int			era = kpi_store_written_generation(store);

		if (old->era == era || old->generation != 0)
			values[CELL_GENERATION - 1] = Int32GetDatum(era);
		values[CELL_ERA - 1] = Int32GetDatum(era);
	}
	tuple = kpi_store_form_row(relation, KPI_CELL_COLUMNS, values, nulls);
	if (exists)
	{
		CatalogTupleUpdateWithInfo(relation, &tid, tuple, indexes);
		heap_freetuple(tuple);
	}
	else
	{
		KpiNewCells *new_cells = kpi_store_new_cells(store);

		if (new_cells->tuples == NULL)
		{
			new_cells->room = 10000;
			new_cells->tuples = palloc(sizeof(HeapTuple) * new_cells->room);
		}
		new_cells->tuples[new_cells->n++] = tuple;
		if (new_cells->n == new_cells->room)
			kpi_store_flush_cells(store);
	}
}

void
kpi_store_flush_cells(KpiStore *store)
{
	KpiNewCells *new_cells = kpi_store_new_cells(store);

	if (new_cells->n > 0)
		kpi_store_insert(kpi_store_table(store, KPI_TABLE_CELL),
						 kpi_store_indexes(store, KPI_TABLE_CELL), new_cells->tuples, new_cells->n);
	new_cells->n = 0;
}

/* ------------------------------------------------------------------------
 * Generations
 * ------------------------------------------------------------------------ */

/* was something dead since the transaction began possibly needed by a snapshot? */
static bool
is_held(Relation relation, uint64 since)
{
	TransactionId oldest = GetOldestNonRemovableTransactionId(relation);

	return kpi_store_full_xid(oldest) <= since;
}

void
kpi_store_count_era(KpiStore *store, KpiFoldState *state)
{
	if (!FullTransactionIdIsValid(FullTransactionIdFromU64(state->era_began)))
		state->era_began = U64FromFullTransactionId(GetTopFullTransactionId());
	state->former_generation = state->generation;
	if (++state->era_folds < ERA_FOLDS + state->eras)
		return;
	if (is_held(kpi_store_table(store, KPI_TABLE_CELL), state->era_began))
	{
		state->generation = ++state->generations;
		state->eras++;
	}
	else
	{
		state->generation = 0;
		state->eras = 0;
	}
	state->era_began = U64FromFullTransactionId(GetTopFullTransactionId());
	state->era_folds = 0;
}

/*
 * Cells of the former generation that this fold has not written return to
 * generation 0.  Read under SnapshotSelf: those just written have left it.
 */
void
kpi_store_leave_generation(KpiStore *store, const KpiFoldState *state)
{
	KpiStore   *current;
	Relation	relation;
	CatalogIndexState indexes;
	KpiLookup  *lookup;
	TupleTableSlot *slot;

	if (state->former_generation == 0 || state->former_generation == state->generation)
		return;
	relation = kpi_store_table(store, KPI_TABLE_CELL);
	indexes = kpi_store_indexes(store, KPI_TABLE_CELL);
	current = kpi_store_open(SnapshotSelf);
	lookup = start(current, KPI_LOOKUP_CELLS_OF_GENERATION, &cells_of_generation,
				   Int32GetDatum(state->former_generation), 0, 0, 0);
	while ((slot = kpi_lookup_next(lookup)) != NULL)
	{
		bool		should_free;
		HeapTuple	old = ExecFetchSlotHeapTuple(slot, false, &should_free);
		Datum		values[MaxHeapAttributeNumber];
		bool		nulls[MaxHeapAttributeNumber];
		HeapTuple	tuple;
		ItemPointerData tid = slot->tts_tid;

		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(old, RelationGetDescr(relation), values, nulls);
		values[CELL_GENERATION - 1] = Int32GetDatum(0);
		tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);
		CatalogTupleUpdateWithInfo(relation, &tid, tuple, indexes);
		heap_freetuple(tuple);
		if (should_free)
			heap_freetuple(old);
	}
	kpi_store_close(current);
}
