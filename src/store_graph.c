/*
 * store_graph.c
 *		The graph as a snapshot sees it, and the cache that keeps it.
 *
 * The cache is keyed by the sum of kpi.graph_version as the snapshot sees it.
 * The rows carry random numbers, so equal sums mean equal sets; a transaction
 * that rolled back takes its row with it.  In the middle of a statement that
 * changes units, measures, KPIs or links (in a trigger, say) some of its rows
 * are there and its version is not yet: a graph built then must not outlive
 * the statement, whether that ends in its capture trigger or in a rollback.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "columns.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "store_graph.h"
#include "store_tables.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

static void
append_version(uint64 version)
{
	Relation	relation = table_open(kpi_store_relation("graph_version"), RowExclusiveLock);
	Datum		values[1] = {Int64GetDatum((int64) version)};
	bool		nulls[1] = {false};
	HeapTuple	tuple = kpi_store_form_row(relation, 1, values, nulls);

	simple_heap_insert(relation, tuple);
	heap_freetuple(tuple);
	/* every session forgets the KPIs it knows, see store_names.c */
	CacheInvalidateRelcache(relation);
	table_close(relation, NoLock);
	CommandCounterIncrement();
}

static MemoryContext graph_context = NULL;	/* NULL: no graph is cached */
static KpiGraph *cached_graph;
static uint64 cached_version;
static Oid	cached_installation;	/* a table's, tells one installation from the next */
static uint64 graph_serial = 0; /* changes with the graph */
static bool graph_is_tentative; /* built in this transaction, after it wrote */

static void
forget_graph(void)
{
	if (graph_context != NULL)
		MemoryContextDelete(graph_context);
	graph_context = NULL;
	graph_serial++;
}

void
kpi_store_settle_graph(bool keep)
{
	if (graph_is_tentative && !keep)
		forget_graph();
	graph_is_tentative = false;
}

void
kpi_store_touch_graph(void)
{
	uint64		version;

	kpi_store_settle_graph(false);
	if (!pg_strong_random(&version, sizeof(version)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	append_version(version);
}

uint64
kpi_store_graph_serial(void)
{
	return graph_serial;
}

typedef struct VersionScan
{
	uint64		sum;
	int			rows;
	Relation	delete_from;	/* NULL: only add up */
} VersionScan;

static void
visit_version(void *context, TupleTableSlot *slot)
{
	VersionScan *scan = context;

	scan->sum += (uint64) bigint_column(slot, 1);
	scan->rows++;
	if (scan->delete_from != NULL)
		simple_heap_delete(scan->delete_from, &slot->tts_tid);
}

void
kpi_store_compact_versions(KpiStore *store)
{
	VersionScan scan = {0};

	kpi_store_scan(store, KPI_TABLE_GRAPH_VERSION, visit_version, &scan);
	if (scan.rows < 32)
		return;
	memset(&scan, 0, sizeof(scan));
	scan.delete_from = kpi_store_table_for_writing(store, KPI_TABLE_GRAPH_VERSION);
	kpi_store_scan(store, KPI_TABLE_GRAPH_VERSION, visit_version, &scan);
	append_version(scan.sum);
}

/* rows of one table, collected in an array that grows */
typedef struct Collector
{
	void	   *rows;
	int			n;
	int			room;
} Collector;

static void *
next_row(Collector *collector, Size size)
{
	void	   *row;

	if (collector->n == collector->room)
	{
		collector->room = collector->room ? collector->room * 2 : 64;
		collector->rows = collector->rows ?
			repalloc_huge(collector->rows, size * collector->room) :
			MemoryContextAllocHuge(CurrentMemoryContext, size * collector->room);
	}
	row = (char *) collector->rows + size * collector->n++;
	memset(row, 0, size);
	return row;
}

/* the position of the word in a list of words */
static int
word_column(TupleTableSlot *slot, int attribute, const char *const *words)
{
	bool		isnull;
	char	   *word = TextDatumGetCString(column(slot, attribute, &isnull));

	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], word) == 0)
		{
			pfree(word);
			return i;
		}
	elog(ERROR, "unknown word \"%s\"", word);
	return 0;					/* keep compilers quiet */
}

static const char *const directions[] = {"higher", "lower", NULL};
static const char *const rollups[] = {"sum", "mean", "weighted_mean", "ratio", "min", "max",
	"count", "none", NULL};
static const char *const time_rollups[] = {"pool", "last", "mean", NULL};
static const char *const scorings[] = {"ratio", "progress", "range", "step", "curve", NULL};
static const char *const driver_rollups[] = {"mean", "min", "max", NULL};
static const char *const missing_children[] = {"exclude", "zero", "require", NULL};
static const char *const target_states[] = {"proposed", "agreed", "final", NULL};
static const char *const contributions[] = {"value", "numerator", "denominator", "growth",
	"score", "aligned", NULL};

KpiTargetState
kpi_store_target_state(TupleTableSlot *slot, int attribute)
{
	return word_column(slot, attribute, target_states);
}

const char *
kpi_store_contributes_word(KpiContributes contributes)
{
	return contributions[contributes];
}

const char *
kpi_store_rollup_word(KpiRollup rollup)
{
	return rollups[rollup];
}

const char *
kpi_store_time_rollup_word(KpiTimeRollup time_rollup)
{
	return time_rollups[time_rollup];
}

KpiGrain
kpi_store_grain_of(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = column(slot, KPI_MEASURE_GRAIN, &isnull);
	char	   *label = DatumGetCString(DirectFunctionCall1(enum_out, value));
	KpiGrain	grain = kpi_grain_from_name(label);

	pfree(label);
	return grain;
}

int
kpi_store_fiscal_start_of(TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetInt16(column(slot, KPI_MEASURE_FISCAL_START, &isnull));
}

static void
collect_measure(void *context, TupleTableSlot *slot)
{
	KpiMeasure *row = next_row(context, sizeof(KpiMeasure));
	bool		isnull;

	row->measure_id = bigint_column(slot, KPI_MEASURE_ID);
	row->direction = word_column(slot, KPI_MEASURE_DIRECTION, directions);
	row->rollup = word_column(slot, KPI_MEASURE_ROLLUP, rollups);
	row->time_rollup = word_column(slot, KPI_MEASURE_TIME_ROLLUP, time_rollups);
	row->scoring = word_column(slot, KPI_MEASURE_SCORING, scorings);
	row->driver_rollup = word_column(slot, KPI_MEASURE_DRIVER_ROLLUP, driver_rollups);
	row->missing_child = word_column(slot, KPI_MEASURE_MISSING_CHILD, missing_children);
	row->grain = kpi_store_grain_of(slot);
	row->fiscal_start = kpi_store_fiscal_start_of(slot);
	row->rolls_up = DatumGetBool(column(slot, KPI_MEASURE_ROLLS_UP, &isnull));
	row->apply_share = DatumGetBool(column(slot, KPI_MEASURE_APPLY_SHARE, &isnull));
	row->multiplier = number_column(slot, KPI_MEASURE_MULTIPLIER);
	row->score_floor = number_column(slot, KPI_MEASURE_SCORE_FLOOR);
	row->score_cap = number_column(slot, KPI_MEASURE_SCORE_CAP);
	row->result_weight = number_column(slot, KPI_MEASURE_RESULT_WEIGHT);
	row->at_risk_from = number_column(slot, KPI_MEASURE_AT_RISK_FROM);
	row->on_track_from = number_column(slot, KPI_MEASURE_ON_TRACK_FROM);
	row->exceeded_from = number_column(slot, KPI_MEASURE_EXCEEDED_FROM);
	row->targets_count_from = kpi_store_target_state(slot, KPI_MEASURE_TARGETS_COUNT_FROM);
}

static void
collect_unit(void *context, TupleTableSlot *slot)
{
	KpiUnit    *row = next_row(context, sizeof(KpiUnit));

	row->unit_id = bigint_column(slot, KPI_UNIT_ID);
	row->valid_from = date_column(slot, KPI_UNIT_VALID_FROM, DATEVAL_NOBEGIN);
	row->valid_to = date_column(slot, KPI_UNIT_VALID_TO, DATEVAL_NOEND);
}

static void
collect_placement(void *context, TupleTableSlot *slot)
{
	KpiPlacement *row = next_row(context, sizeof(KpiPlacement));

	row->unit_id = bigint_column(slot, KPI_HISTORY_UNIT_ID);
	row->effective_from = date_column(slot, KPI_HISTORY_EFFECTIVE_FROM, DATEVAL_NOBEGIN);
	row->parent_unit_id = bigint_column(slot, KPI_HISTORY_PARENT);
	row->share = number_column(slot, KPI_HISTORY_SHARE);
}

static void
collect_kpi(void *context, TupleTableSlot *slot)
{
	KpiKpi	   *row = next_row(context, sizeof(KpiKpi));

	row->kpi_id = bigint_column(slot, KPI_KPI_ID);
	row->unit_id = bigint_column(slot, KPI_KPI_UNIT_ID);
	row->measure_id = bigint_column(slot, KPI_KPI_MEASURE_ID);
	row->valid_from = date_column(slot, KPI_KPI_VALID_FROM, DATEVAL_NOBEGIN);
	row->valid_to = date_column(slot, KPI_KPI_VALID_TO, DATEVAL_NOEND);
}

static void
collect_link(void *context, TupleTableSlot *slot)
{
	kpi_store_read_link(slot, next_row(context, sizeof(KpiLink)));
}

void
kpi_store_read_link(TupleTableSlot *slot, KpiLink *row)
{
	row->child_kpi_id = bigint_column(slot, KPI_LINK_CHILD);
	row->parent_kpi_id = bigint_column(slot, KPI_LINK_PARENT);
	row->contributes = word_column(slot, KPI_LINK_CONTRIBUTES, contributions);
	row->weight = number_column(slot, KPI_LINK_WEIGHT);
	row->valid_from = date_column(slot, KPI_LINK_VALID_FROM, DATEVAL_NOBEGIN);
	row->valid_to = date_column(slot, KPI_LINK_VALID_TO, DATEVAL_NOEND);
}

/* reads the graph into the current memory context */
static KpiGraph *
read_graph(KpiStore *store)
{
	Collector	measures = {0},
				units = {0},
				placements = {0},
				kpis = {0},
				links = {0};

	kpi_store_scan(store, KPI_TABLE_MEASURE, collect_measure, &measures);
	kpi_store_scan(store, KPI_TABLE_UNIT, collect_unit, &units);
	kpi_store_scan(store, KPI_TABLE_UNIT_HISTORY, collect_placement, &placements);
	kpi_store_scan(store, KPI_TABLE_KPI, collect_kpi, &kpis);
	kpi_store_scan(store, KPI_TABLE_LINK, collect_link, &links);
	return kpi_graph_build(measures.rows, measures.n, units.rows, units.n,
						   placements.rows, placements.n, kpis.rows, kpis.n,
						   links.rows, links.n);
}

KpiGraph *
kpi_store_graph_as_of(KpiStore *store, DateADT as_of)
{
	KpiGraph   *graph = read_graph(store);

	kpi_graph_freeze(graph, as_of);
	return graph;
}

bool
kpi_store_has_links(KpiStore *store)
{
	static const AttrNumber columns[] = {1};
	static const StrategyNumber at_least[] = {BTGreaterEqualStrategyNumber};
	KpiLookup  *lookup = kpi_store_lookup(store, KPI_TABLE_LINK, "link_pkey", 1, columns, at_least);
	Datum		key = Int64GetDatum(PG_INT64_MIN);

	kpi_lookup_start(lookup, &key);
	return kpi_lookup_next(lookup) != NULL;
}

KpiGraph *
kpi_store_graph(KpiStore *store)
{
	VersionScan scan = {0};
	MemoryContext fresh,
				old;

	kpi_store_scan(store, KPI_TABLE_GRAPH_VERSION, visit_version, &scan);
	if (graph_context != NULL && scan.sum == cached_version &&
		cached_installation == RelationGetRelid(kpi_store_table(store, KPI_TABLE_GRAPH_VERSION)))
		return cached_graph;

	/* build first, then replace: an error leaves the old graph as it was */
	fresh = AllocSetContextCreate(CacheMemoryContext, "kpi_cascade graph", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(fresh);
	PG_TRY();
	{
		KpiGraph   *built = read_graph(store);

		forget_graph();
		graph_context = fresh;
		cached_graph = built;
		graph_serial++;
		cached_version = scan.sum;
		cached_installation = RelationGetRelid(kpi_store_table(store, KPI_TABLE_GRAPH_VERSION));
		graph_is_tentative = TransactionIdIsValid(GetTopTransactionIdIfAny());
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		if (graph_context != fresh)
			MemoryContextDelete(fresh);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return cached_graph;
}
