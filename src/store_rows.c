/*
 * store_rows.c
 *		The way to the rows that a cascade works on: facts, targets and cells.
 *
 * The second half of the store; see store.c for how tables are read and
 * written.  Each kind of lookup is prepared once per store and rescanned.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "catalog/pg_enum.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "store.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* what is kept in the store's lookup slots */
enum
{
	LOOKUP_KPI,
	LOOKUP_MEASURE,
	LOOKUP_UNIT,
	LOOKUP_FACTS_OF_PERIOD,
	LOOKUP_FACTS_OF_KPI,
	LOOKUP_TARGETS,
	LOOKUP_CELL,
	LOOKUP_CELLS_BETWEEN,
	LOOKUP_CELLS_OF_KPI,
	LOOKUP_PERIOD_AFTER,
	LOOKUP_GROWTH_LINKS
};

static const struct
{
	KpiTable	table;
	const char *index;
	int			n_keys;
	AttrNumber	columns[3];
	StrategyNumber strategies[3];
}			lookups[] = {
	[LOOKUP_KPI] = {KPI_TABLE_KPI, "kpi_pkey", 1, {1}, {BTEqualStrategyNumber}},
	[LOOKUP_MEASURE] = {KPI_TABLE_MEASURE, "measure_pkey", 1, {1}, {BTEqualStrategyNumber}},
	[LOOKUP_UNIT] = {KPI_TABLE_UNIT, "unit_pkey", 1, {1}, {BTEqualStrategyNumber}},
	[LOOKUP_FACTS_OF_PERIOD] = {KPI_TABLE_FACT, "fact_kpi_id_period_idx", 2, {1, 2},
	{BTEqualStrategyNumber, BTEqualStrategyNumber}},
	[LOOKUP_FACTS_OF_KPI] = {KPI_TABLE_FACT, "fact_kpi_id_period_idx", 1, {1},
	{BTEqualStrategyNumber}},
	[LOOKUP_TARGETS] = {KPI_TABLE_TARGET, "target_kpi_id_period_key", 1, {1},
	{BTEqualStrategyNumber}},
	[LOOKUP_CELL] = {KPI_TABLE_CELL, "cell_pkey", 2, {1, 2},
	{BTEqualStrategyNumber, BTEqualStrategyNumber}},
	[LOOKUP_CELLS_BETWEEN] = {KPI_TABLE_CELL, "cell_pkey", 3, {1, 2, 2},
	{BTEqualStrategyNumber, BTGreaterEqualStrategyNumber, BTLessEqualStrategyNumber}},
	[LOOKUP_CELLS_OF_KPI] = {KPI_TABLE_CELL, "cell_pkey", 1, {1}, {BTEqualStrategyNumber}},
	[LOOKUP_PERIOD_AFTER] = {KPI_TABLE_CELL, "cell_period_idx", 1, {1},
	{BTGreaterStrategyNumber}},
	[LOOKUP_GROWTH_LINKS] = {KPI_TABLE_LINK, "link_growth_parent_idx", 1, {1},
	{BTEqualStrategyNumber}},
};

/* starts the lookup with up to three keys */
static KpiLookup *
start(KpiStore *store, int which, Datum key1, Datum key2, Datum key3)
{
	KpiLookup **slot = kpi_store_lookup_slot(store, which);
	Datum		keys[3] = {key1, key2, key3};

	if (*slot == NULL)
		*slot = kpi_store_lookup(store, lookups[which].table, lookups[which].index,
								 lookups[which].n_keys, lookups[which].columns,
								 lookups[which].strategies);
	kpi_lookup_start(*slot, keys);
	return *slot;
}

static Numeric
number_column(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attribute, &isnull);

	return isnull ? NULL : DatumGetNumericCopy(value);
}

/* ------------------------------------------------------------------------
 * KPIs and facts
 * ------------------------------------------------------------------------ */

bool
kpi_store_kpi_grain(KpiStore *store, int64 kpi_id, int64 *measure_id, KpiGrain *grain,
					int *fiscal_start)
{
	bool		isnull;
	int64		known = *measure_id;
	TupleTableSlot *slot = kpi_lookup_next(start(store, LOOKUP_KPI, Int64GetDatum(kpi_id), 0, 0));

	if (slot == NULL)
		return false;
	*measure_id = DatumGetInt64(slot_getattr(slot, KPI_KPI_MEASURE_ID, &isnull));
	if (*measure_id == known)
		return true;
	slot = kpi_lookup_next(start(store, LOOKUP_MEASURE, Int64GetDatum(*measure_id), 0, 0));
	if (slot == NULL)
		return false;
	*grain = kpi_store_grain_of(slot);
	*fiscal_start = kpi_store_fiscal_start_of(slot);
	return true;
}

/* a KPI in words, with or without quotes */
static char *
words_for_kpi(KpiStore *store, int64 kpi_id, bool quoted)
{
	TupleTableSlot *slot = kpi_lookup_next(start(store, LOOKUP_KPI, Int64GetDatum(kpi_id), 0, 0));
	Datum		unit_id;
	Datum		measure_id;
	char	   *measure;
	char	   *unit;
	Oid			path_output;
	bool		is_varlena;
	bool		isnull;

	if (slot == NULL)
		return psprintf("KPI " INT64_FORMAT, kpi_id);
	unit_id = slot_getattr(slot, KPI_KPI_UNIT_ID, &isnull);
	measure_id = slot_getattr(slot, KPI_KPI_MEASURE_ID, &isnull);
	slot = kpi_lookup_next(start(store, LOOKUP_MEASURE, measure_id, 0, 0));
	if (slot == NULL)
		return psprintf("KPI " INT64_FORMAT, kpi_id);
	measure = TextDatumGetCString(slot_getattr(slot, KPI_MEASURE_CODE, &isnull));
	slot = kpi_lookup_next(start(store, LOOKUP_UNIT, unit_id, 0, 0));
	if (slot == NULL)
		return psprintf("measure \"%s\"", measure);
	getTypeOutputInfo(TupleDescAttr(slot->tts_tupleDescriptor, KPI_UNIT_PATH - 1)->atttypid,
					  &path_output, &is_varlena);
	unit = OidOutputFunctionCall(path_output, slot_getattr(slot, KPI_UNIT_PATH, &isnull));
	return quoted ? psprintf("measure \"%s\" at unit \"%s\"", measure, unit) :
		psprintf("%s at %s", measure, unit);
}

char *
kpi_store_describe_kpi(KpiStore *store, int64 kpi_id)
{
	return words_for_kpi(store, kpi_id, true);
}

char *
kpi_store_name_kpi(KpiStore *store, int64 kpi_id)
{
	return words_for_kpi(store, kpi_id, false);
}

bool
kpi_store_has_unit(KpiStore *store, int64 unit_id)
{
	return kpi_lookup_next(start(store, LOOKUP_UNIT, Int64GetDatum(unit_id), 0, 0)) != NULL;
}

bool
kpi_store_has_growth_link(KpiStore *store, int64 kpi_id)
{
	return kpi_lookup_next(start(store, LOOKUP_GROWTH_LINKS, Int64GetDatum(kpi_id), 0, 0)) != NULL;
}

bool
kpi_store_facts(KpiStore *store, int64 kpi_id, KpiPeriod period, KpiTally *tally)
{
	KpiLookup  *lookup = start(store, LOOKUP_FACTS_OF_PERIOD, Int64GetDatum(kpi_id),
							   KpiPeriodGetDatum(period), 0);
	TupleTableSlot *slot;
	bool		found = false;

	kpi_tally_init(tally);
	while ((slot = kpi_lookup_next(lookup)) != NULL)
	{
		Numeric		value = number_column(slot, KPI_FACT_VALUE);
		Numeric		weight = number_column(slot, KPI_FACT_WEIGHT);

		CHECK_FOR_INTERRUPTS();
		kpi_tally_observe(tally, value, weight);
		pfree(value);
		pfree(weight);
		found = true;
	}
	return found;
}

typedef struct FactScan
{
	KpiFactVisitor visit;
	void	   *context;
} FactScan;

static void
visit_fact(void *context, TupleTableSlot *slot)
{
	FactScan   *scan = context;
	bool		isnull;
	Numeric		value = number_column(slot, KPI_FACT_VALUE);
	Numeric		weight = number_column(slot, KPI_FACT_WEIGHT);

	scan->visit(scan->context, DatumGetInt64(slot_getattr(slot, KPI_FACT_KPI_ID, &isnull)),
				DatumGetKpiPeriod(slot_getattr(slot, KPI_FACT_PERIOD, &isnull)), value, weight);
	pfree(value);
	pfree(weight);
}

void
kpi_store_each_fact(KpiStore *store, KpiFactVisitor visit, void *context)
{
	FactScan	scan = {visit, context};

	kpi_store_scan(store, KPI_TABLE_FACT, visit_fact, &scan);
}

List *
kpi_store_fact_periods(KpiStore *store, int64 kpi_id)
{
	KpiLookup  *lookup = start(store, LOOKUP_FACTS_OF_KPI, Int64GetDatum(kpi_id), 0, 0);
	TupleTableSlot *slot;
	KpiPeriod	last = KPI_PERIOD_NONE;
	List	   *result = NIL;

	while ((slot = kpi_lookup_next(lookup)) != NULL)
	{
		bool		isnull;
		KpiPeriod	period = DatumGetKpiPeriod(slot_getattr(slot, KPI_FACT_PERIOD, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (period != last)
			result = lappend_int(result, (int) period);
		last = period;
	}
	return result;
}

/* ------------------------------------------------------------------------
 * Targets
 * ------------------------------------------------------------------------ */

static int
compare_points(const void *a, const void *b)
{
	return kpi_number_compare(((const Numeric *) a)[0], ((const Numeric *) b)[0]);
}

static void
read_points(Datum value, KpiTarget *target)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(value), NUMERICOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &n);
	target->npoints = n / 2;
	target->points = palloc(sizeof(Numeric) * (n + 1));
	for (int i = 0; i < n; i++)
		target->points[i] = DatumGetNumericCopy(elements[i]);
	qsort(target->points, target->npoints, 2 * sizeof(Numeric), compare_points);
}

static Numeric
trimmed_column(TupleTableSlot *slot, int attribute)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attribute, &isnull);

	return isnull ? NULL : kpi_number_trim(DatumGetNumeric(value));
}

void
kpi_store_targets(KpiStore *store, const KpiKpi *kpi, KpiTargetSet *set)
{
	KpiLookup  *lookup = start(store, LOOKUP_TARGETS, Int64GetDatum(kpi->kpi_id), 0, 0);
	KpiTargetState count_from = kpi->measure->targets_count_from;
	TupleTableSlot *slot;
	int			room = 0;

	set->n = 0;
	set->targets = NULL;
	while ((slot = kpi_lookup_next(lookup)) != NULL)
	{
		KpiTarget  *target;
		bool		isnull;
		Datum		points;

		if (count_from != KPI_TARGET_PROPOSED &&
			kpi_store_target_state(slot, KPI_TARGET_STATE) < count_from)
			continue;
		if (set->n == room)
		{
			room = room ? room * 2 : 8;
			set->targets = set->targets ? repalloc(set->targets, sizeof(KpiTarget) * room) :
				palloc(sizeof(KpiTarget) * room);
		}
		target = &set->targets[set->n++];
		memset(target, 0, sizeof(KpiTarget));
		target->period = DatumGetKpiPeriod(slot_getattr(slot, KPI_TARGET_PERIOD, &isnull));
		target->value = trimmed_column(slot, KPI_TARGET_VALUE);
		target->baseline = trimmed_column(slot, KPI_TARGET_BASELINE);
		target->low = trimmed_column(slot, KPI_TARGET_LOW);
		target->high = trimmed_column(slot, KPI_TARGET_HIGH);
		points = slot_getattr(slot, KPI_TARGET_POINTS, &isnull);
		if (!isnull)
			read_points(points, target);
	}
}

/* ------------------------------------------------------------------------
 * Cells
 * ------------------------------------------------------------------------ */

enum {CELL_KPI_ID = 1, CELL_PERIOD, CELL_ACTUAL, CELL_TARGET, CELL_ATTAINMENT, CELL_TARGET_TO_DATE,
	CELL_ATTAINMENT_TO_DATE, CELL_DRIVER_SCORE, CELL_SCORE, CELL_STATUS, CELL_COVERAGE, CELL_TALLY,
	CELL_HAS_OWN, CELL_OWN, CELL_COVERAGE_SUM, CELL_LAST_ACTUAL, CELL_IS_FED};

StaticAssertDecl(CELL_IS_FED == KPI_CELL_COLUMNS, "every column of kpi.cell has a place");

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
}

bool
kpi_store_cell(KpiStore *store, int64 kpi_id, KpiPeriod period, KpiCell *cell)
{
	TupleTableSlot *slot = kpi_lookup_next(start(store, LOOKUP_CELL, Int64GetDatum(kpi_id),
												 KpiPeriodGetDatum(period), 0));

	if (slot == NULL)
	{
		memset(cell, 0, sizeof(KpiCell));
		return false;
	}
	read_cell(slot, cell);
	return true;
}

void
kpi_store_cells(KpiStore *store, int64 kpi_id, KpiPeriod first, KpiPeriod last,
				KpiCellVisitor visit, void *context)
{
	KpiLookup  *lookup;
	TupleTableSlot *slot;

	if (first == KPI_PERIOD_NONE)
		lookup = start(store, LOOKUP_CELLS_OF_KPI, Int64GetDatum(kpi_id), 0, 0);
	else
		lookup = start(store, LOOKUP_CELLS_BETWEEN, Int64GetDatum(kpi_id),
					   KpiPeriodGetDatum(first), KpiPeriodGetDatum(last));
	while ((slot = kpi_lookup_next(lookup)) != NULL)
	{
		KpiCell		cell;
		bool		isnull;

		read_cell(slot, &cell);
		visit(context, kpi_id, DatumGetKpiPeriod(slot_getattr(slot, CELL_PERIOD, &isnull)), &cell);
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

List *
kpi_store_periods_in_use(KpiStore *store)
{
	List	   *result = NIL;
	KpiPeriod	last = KPI_PERIOD_NONE;
	TupleTableSlot *slot;

	/* a skip scan: from each period straight to the next greater one */
	while ((slot = kpi_lookup_next(start(store, LOOKUP_PERIOD_AFTER,
										 KpiPeriodGetDatum(last), 0, 0))) != NULL)
	{
		bool		isnull;

		last = DatumGetKpiPeriod(slot_getattr(slot, CELL_PERIOD, &isnull));
		result = lappend_int(result, (int) last);
	}
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
	tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);
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
			new_cells->room = 1000;
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
