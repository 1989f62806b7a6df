/*
 * store_rows.c
 *		The way to the rows that a cascade works on: facts and targets.
 *
 * Part of the store; see store.c for how tables are read and
 * written.  Each kind of lookup is prepared once per store and rescanned.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "catalog/pg_enum.h"
#include "columns.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "store_tables.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static const KpiPreparedLookup lookups[] = {
	[KPI_LOOKUP_KPI] = {KPI_TABLE_KPI, "kpi_pkey", 1, {1}, {BTEqualStrategyNumber}},
	[KPI_LOOKUP_MEASURE] = {KPI_TABLE_MEASURE, "measure_pkey", 1, {1}, {BTEqualStrategyNumber}},
	[KPI_LOOKUP_UNIT] = {KPI_TABLE_UNIT, "unit_pkey", 1, {1}, {BTEqualStrategyNumber}},
	[KPI_LOOKUP_FACTS_OF_PERIOD] = {KPI_TABLE_FACT, "fact_kpi_id_period_idx", 2, {1, 2},
	{BTEqualStrategyNumber, BTEqualStrategyNumber}},
	[KPI_LOOKUP_FACTS_OF_KPI] = {KPI_TABLE_FACT, "fact_kpi_id_period_idx", 1, {1},
	{BTEqualStrategyNumber}},
	[KPI_LOOKUP_TARGETS] = {KPI_TABLE_TARGET, "target_kpi_id_period_key", 1, {1},
	{BTEqualStrategyNumber}},
	[KPI_LOOKUP_GROWTH_LINKS] = {KPI_TABLE_LINK, "link_growth_parent_idx", 1, {1},
	{BTEqualStrategyNumber}},
	[KPI_LOOKUP_GROWTH_LINKS_FROM] = {KPI_TABLE_LINK, "link_growth_parent_idx", 1, {1},
	{BTGreaterEqualStrategyNumber}},
};

/* starts the lookup with up to two keys */
static KpiLookup *
start(KpiStore *store, KpiLookupSlot which, Datum key1, Datum key2)
{
	Datum		keys[] = {key1, key2};

	return kpi_store_start(store, which, &lookups[which], keys);
}

static Numeric
copy_of_number(TupleTableSlot *slot, int attribute)
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
	TupleTableSlot *slot = kpi_lookup_next(start(store, KPI_LOOKUP_KPI, Int64GetDatum(kpi_id), 0));

	if (slot == NULL)
		return false;
	*measure_id = DatumGetInt64(slot_getattr(slot, KPI_KPI_MEASURE_ID, &isnull));
	if (*measure_id == known)
		return true;
	slot = kpi_lookup_next(start(store, KPI_LOOKUP_MEASURE, Int64GetDatum(*measure_id), 0));
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
	TupleTableSlot *slot = kpi_lookup_next(start(store, KPI_LOOKUP_KPI, Int64GetDatum(kpi_id), 0));
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
	slot = kpi_lookup_next(start(store, KPI_LOOKUP_MEASURE, measure_id, 0));
	if (slot == NULL)
		return psprintf("KPI " INT64_FORMAT, kpi_id);
	measure = TextDatumGetCString(slot_getattr(slot, KPI_MEASURE_CODE, &isnull));
	slot = kpi_lookup_next(start(store, KPI_LOOKUP_UNIT, unit_id, 0));
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
	return kpi_lookup_next(start(store, KPI_LOOKUP_UNIT, Int64GetDatum(unit_id), 0)) != NULL;
}

bool
kpi_store_has_growth_link(KpiStore *store, int64 kpi_id)
{
	return kpi_lookup_next(start(store, KPI_LOOKUP_GROWTH_LINKS, Int64GetDatum(kpi_id), 0)) != NULL;
}

/* the first KPI from kpi_id on that a growth link leads into */
static int64
next_growth_kpi(KpiStore *store, int64 kpi_id)
{
	TupleTableSlot *slot = kpi_lookup_next(start(store, KPI_LOOKUP_GROWTH_LINKS_FROM,
												 Int64GetDatum(kpi_id), 0));
	bool		isnull;

	return slot == NULL ? PG_INT64_MAX : DatumGetInt64(slot_getattr(slot, KPI_LINK_PARENT, &isnull));
}

/* what is to be remembered of a KPI */
typedef struct FoundKpi
{
	int64		kpi_id;
	int64		measure_id;
} FoundKpi;

static int
compare_found(const void *a, const void *b)
{
	int64		x = ((const FoundKpi *) a)->kpi_id;
	int64		y = ((const FoundKpi *) b)->kpi_id;

	return (x > y) - (x < y);
}

/* the KPIs stored in the pages around that row, by key */
static FoundKpi *
kpis_around(KpiStore *store, BlockNumber block, int pages, int *n)
{
	Relation	relation = kpi_store_table(store, KPI_TABLE_KPI);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	int			room = 256;
	FoundKpi   *found = palloc(sizeof(FoundKpi) * room);
	ItemPointerData first;
	ItemPointerData last;
	TableScanDesc scan;

	*n = 0;
	block -= block % pages;
	ItemPointerSet(&first, block, FirstOffsetNumber);
	ItemPointerSet(&last, block + pages - 1, MaxOffsetNumber);
	scan = table_beginscan_tidrange(relation, kpi_store_snapshot(store), &first, &last);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (*n == room)
		{
			room *= 2;
			found = repalloc(found, sizeof(FoundKpi) * room);
		}
		found[*n].kpi_id = DatumGetInt64(slot_getattr(slot, KPI_KPI_ID, &isnull));
		found[(*n)++].measure_id = DatumGetInt64(slot_getattr(slot, KPI_KPI_MEASURE_ID, &isnull));
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	qsort(found, *n, sizeof(FoundKpi), compare_found);
	return found;
}

/* what facts of a measure have to be, looked up once where KPIs of few measures take turns */
typedef struct MeasureRules
{
	bool		known;
	int64		measure_id;
	KpiGrain	grain;
	int			fiscal_start;
} MeasureRules;

#define RULES_KEPT	64

static const MeasureRules *
rules_of(KpiStore *store, MeasureRules *kept, int64 measure_id)
{
	MeasureRules *rules = &kept[(uint64) measure_id % RULES_KEPT];
	TupleTableSlot *slot;

	if (rules->known && rules->measure_id == measure_id)
		return rules;
	slot = kpi_lookup_next(start(store, KPI_LOOKUP_MEASURE, Int64GetDatum(measure_id), 0));
	if (slot == NULL)
		return NULL;
	rules->known = true;
	rules->measure_id = measure_id;
	rules->grain = kpi_store_grain_of(slot);
	rules->fiscal_start = kpi_store_fiscal_start_of(slot);
	return rules;
}

void
kpi_store_remember_kpis(KpiStore *store, int64 kpi_id, int pages)
{
	TupleTableSlot *slot = kpi_lookup_next(start(store, KPI_LOOKUP_KPI, Int64GetDatum(kpi_id), 0));
	MeasureRules kept[RULES_KEPT] = {0};
	FoundKpi   *found;
	int64		growth_kpi = PG_INT64_MIN;
	int			n;

	if (slot == NULL)
		return;
	found = kpis_around(store, ItemPointerGetBlockNumber(&slot->tts_tid), pages, &n);
	for (int i = 0; i < n; i++)
	{
		const MeasureRules *rules = rules_of(store, kept, found[i].measure_id);

		if (growth_kpi < found[i].kpi_id)
			growth_kpi = next_growth_kpi(store, found[i].kpi_id);
		if (rules != NULL && growth_kpi != found[i].kpi_id)
			kpi_store_remember_kpi(found[i].kpi_id, rules->grain, rules->fiscal_start);
	}
	pfree(found);
}

bool
kpi_store_facts(KpiStore *store, int64 kpi_id, KpiPeriod period, KpiTally *tally)
{
	KpiLookup  *lookup = start(store, KPI_LOOKUP_FACTS_OF_PERIOD, Int64GetDatum(kpi_id),
							   KpiPeriodGetDatum(period));
	TupleTableSlot *slot;
	bool		found = false;

	kpi_tally_init(tally);
	while ((slot = kpi_lookup_next(lookup)) != NULL)
	{
		Numeric		value = copy_of_number(slot, KPI_FACT_VALUE);
		Numeric		weight = copy_of_number(slot, KPI_FACT_WEIGHT);

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
	Numeric		value = copy_of_number(slot, KPI_FACT_VALUE);
	Numeric		weight = copy_of_number(slot, KPI_FACT_WEIGHT);

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
	KpiLookup  *lookup = start(store, KPI_LOOKUP_FACTS_OF_KPI, Int64GetDatum(kpi_id), 0);
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
	KpiLookup  *lookup = start(store, KPI_LOOKUP_TARGETS, Int64GetDatum(kpi->kpi_id), 0);
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
 * The key of the views
 * ------------------------------------------------------------------------ */

static void
read_view_key(void *context, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		key = slot_getattr(slot, 1, &isnull);

	if (!isnull)
		memcpy(context, DatumGetUUIDP(key), sizeof(pg_uuid_t));
}

void
kpi_store_read_view_key(KpiStore *store, pg_uuid_t *key)
{
	kpi_store_scan(store, KPI_TABLE_VIEW_KEY, read_view_key, key);
}
