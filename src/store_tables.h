/*
 * store_tables.h
 *		Tables and their indexes, for the files of the store only.
 */
#ifndef KPI_STORE_TABLES_H
#define KPI_STORE_TABLES_H

#include "access/htup.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "store.h"
#include "utils/rel.h"

typedef enum KpiTable
{
	KPI_TABLE_UNIT,
	KPI_TABLE_UNIT_HISTORY,
	KPI_TABLE_MEASURE,
	KPI_TABLE_KPI,
	KPI_TABLE_LINK,
	KPI_TABLE_FACT,
	KPI_TABLE_TARGET,
	KPI_TABLE_CELL,
	KPI_TABLE_PENDING,
	KPI_TABLE_FOLD_STATE,
	KPI_TABLE_GRAPH_VERSION,
	KPI_TABLE_VIEW_KEY,
	KPI_TABLE_STATUS_CHANGE,
	KPI_TABLE_PERIOD_CLOSE,
	KPI_TABLE_REPORTED
} KpiTable;

#define KPI_TABLE_COUNT		(KPI_TABLE_REPORTED + 1)

extern Relation kpi_store_table(KpiStore *store, KpiTable table);
extern Relation kpi_store_table_for_writing(KpiStore *store, KpiTable table);
extern void *kpi_store_indexes(KpiStore *store, KpiTable table);
/* what CatalogOpenIndexes gives; refuses indexes that the store cannot fill */
extern void *kpi_store_open_indexes(Relation relation);
extern void kpi_store_insert(Relation relation, void *indexes, HeapTuple *tuples, int n);
extern void kpi_store_insert_one(Relation relation, HeapTuple tuple, int columns,
								 const Datum *values, const bool *nulls);
/* a row of so many columns; those that somebody has added to the table are null */
extern HeapTuple kpi_store_form_row(Relation relation, int columns, const Datum *values,
									const bool *nulls);
/*
 * An index scan kept open and rescanned for each lookup.  Up to four
 * keys are compared by the strategies given.
 */
typedef struct KpiLookup KpiLookup;
extern KpiLookup *kpi_store_lookup(KpiStore *store, KpiTable table, const char *index, int n_keys,
								   const AttrNumber *columns, const StrategyNumber *strategies);
extern void kpi_lookup_close(KpiLookup *lookup);
extern void kpi_lookup_start(KpiLookup *lookup, const Datum *keys);
/* the next row, or NULL; valid until the next call */
extern TupleTableSlot *kpi_lookup_next(KpiLookup *lookup);
/* the last row, or NULL, found from the end of the index */
extern TupleTableSlot *kpi_lookup_last(KpiLookup *lookup);
/* goes on to the next entry of the index, whatever its row; false where there is none */
extern bool kpi_lookup_pass(KpiLookup *lookup);
/* that entry's column, where the lookup shows entries, and its row, or NULL where none is visible */
extern Datum kpi_lookup_entry(KpiLookup *lookup, int column);
extern TupleTableSlot *kpi_lookup_row(KpiLookup *lookup);
/* lookups that are prepared once while the store is open */
typedef enum KpiLookupSlot
{
	KPI_LOOKUP_KPI,
	KPI_LOOKUP_MEASURE,
	KPI_LOOKUP_UNIT,
	KPI_LOOKUP_FACTS_OF_PERIOD,
	KPI_LOOKUP_FACTS_OF_KPI,
	KPI_LOOKUP_TARGETS,
	KPI_LOOKUP_GROWTH_LINKS,
	KPI_LOOKUP_GROWTH_LINKS_FROM,
	KPI_LOOKUP_CELL,
	KPI_LOOKUP_CELLS_BETWEEN,
	KPI_LOOKUP_CELLS_AMONG,
	KPI_LOOKUP_CELLS_OF_KPI,
	KPI_LOOKUP_PERIOD_AFTER,
	KPI_LOOKUP_CELLS_OF_GENERATION,
	KPI_LOOKUP_LAST_CHANGE,
	KPI_LOOKUP_CHANGES_FROM,
	KPI_LOOKUP_REPORTED,
	KPI_LOOKUP_REPORTED_OF_KPI,
	KPI_LOOKUP_KPIS_OF_UNIT,
	KPI_LOOKUP_CHILD_UNITS
} KpiLookupSlot;
#define KPI_LOOKUP_SLOTS	(KPI_LOOKUP_CHILD_UNITS + 1)
#define KPI_LOOKUP_KEYS		4
typedef struct KpiPreparedLookup
{
	KpiTable	table;
	const char *index;
	int			n_keys;
	AttrNumber	columns[KPI_LOOKUP_KEYS];
	StrategyNumber strategies[KPI_LOOKUP_KEYS];
	bool		shows_entries;
} KpiPreparedLookup;
/* starts it with these keys */
extern KpiLookup *kpi_store_start(KpiStore *store, KpiLookupSlot slot,
								  const KpiPreparedLookup *lookup, const Datum *keys);
/* grain and fiscal start of a row of kpi.measure */
extern KpiGrain kpi_store_grain_of(TupleTableSlot *slot);
extern int	kpi_store_fiscal_start_of(TupleTableSlot *slot);
/* the state of a target, or the one from which a measure's targets count */
extern KpiTargetState kpi_store_target_state(TupleTableSlot *slot, int attribute);
/* calls each for every row of a table */
typedef void (*KpiRowVisitor) (void *context, TupleTableSlot *slot);
extern void kpi_store_scan(KpiStore *store, KpiTable table, KpiRowVisitor each, void *context);

/* cells waiting to be inserted */
typedef struct KpiNewCells
{
	HeapTuple  *tuples;
	int			n;
	int			room;
} KpiNewCells;
extern KpiNewCells *kpi_store_new_cells(KpiStore *store);

#endif							/* KPI_STORE_TABLES_H */
