/*
 * store.c
 *		The way to the tables: opening, scanning and inserting.
 *
 * All reading happens under the one snapshot a store was opened with, through
 * fixed index scans: the planner would take a sequential scan while a table
 * is small, and keep it.  Writing goes through the access methods too, which
 * is several times faster than SPI and independent of the user's settings.
 * Relations are opened with AccessShareLock for reading and RowExclusiveLock
 * for writing, and the locks are kept to the end of the transaction, as plain
 * SQL would.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "storage/lmgr.h"
#include "store_cells.h"
#include "store_tables.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static const char *const table_names[KPI_TABLE_COUNT] = {
	"unit", "unit_history", "measure", "kpi", "link", "fact", "target", "cell",
	"pending", "fold_state", "graph_version", "view_key", "status_change",
	"period_close", "reported"
};

struct KpiStore
{
	MemoryContext context;		/* that it was opened in: scans and tables live there */
	Snapshot	snapshot;
	Relation	tables[KPI_TABLE_COUNT];
	CatalogIndexState indexes[KPI_TABLE_COUNT];
	KpiLookup  *lookups[KPI_LOOKUP_SLOTS];
	List	   *all_lookups;
	KpiNewCells new_cells;
	int			hot_generation; /* -1: not known yet */
	int			written_generation;
};

/* ------------------------------------------------------------------------
 * Opening
 * ------------------------------------------------------------------------ */

KpiStore *
kpi_store_open(Snapshot snapshot)
{
	KpiStore   *store = palloc0(sizeof(KpiStore));

	store->context = CurrentMemoryContext;
	store->snapshot = snapshot;
	store->hot_generation = -1;
	return store;
}

void
kpi_store_close(KpiStore *store)
{
	ListCell   *lc;

	foreach(lc, store->all_lookups)
		kpi_lookup_close(lfirst(lc));
	for (int i = 0; i < KPI_TABLE_COUNT; i++)
	{
		if (store->indexes[i] != NULL)
			CatalogCloseIndexes(store->indexes[i]);
		if (store->tables[i] != NULL)
			table_close(store->tables[i], NoLock);
	}
	pfree(store);
}

Snapshot
kpi_store_snapshot(KpiStore *store)
{
	return store->snapshot;
}

KpiNewCells *
kpi_store_new_cells(KpiStore *store)
{
	return &store->new_cells;
}

int
kpi_store_hot_generation(KpiStore *store)
{
	return store->hot_generation;
}

int
kpi_store_written_generation(KpiStore *store)
{
	return store->written_generation;
}

void
kpi_store_set_generations(KpiStore *store, int hot, int written)
{
	store->hot_generation = hot;
	store->written_generation = written;
}

/*
 * A library newer than the objects, until ALTER EXTENSION ... UPDATE: capture
 * goes on appending, which is all that writers need; nothing else may run.
 */
static void
check_version(Relation cell)
{
	if (RelationGetNumberOfAttributes(cell) < KPI_CELL_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the objects of extension \"kpi_cascade\" are older than its library"),
				 errhint("Run ALTER EXTENSION kpi_cascade UPDATE.")));
}

Relation
kpi_store_table(KpiStore *store, KpiTable table)
{
	if (store->tables[table] == NULL)
	{
		store->tables[table] = table_open(kpi_store_relation(table_names[table]), AccessShareLock);
		if (table == KPI_TABLE_CELL)
			check_version(store->tables[table]);
	}
	return store->tables[table];
}

/*
 * We fill indexes with columns only: one with an expression would need an
 * executor, one with a predicate would get rows that do not belong there.
 */
static void
check_index(Relation index, const IndexInfo *info)
{
	if (info->ii_Expressions != NIL || info->ii_Predicate != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s.%s\" has an expression or a predicate",
						get_namespace_name(RelationGetNamespace(index)),
						RelationGetRelationName(index)),
				 errdetail("A table that is written by folds can have indexes on columns only."),
				 errhint("Drop the index.")));
}

void *
kpi_store_open_indexes(Relation relation)
{
	CatalogIndexState indexes = CatalogOpenIndexes(relation);

	for (int i = 0; i < indexes->ri_NumIndices; i++)
		check_index(indexes->ri_IndexRelationDescs[i], indexes->ri_IndexRelationInfo[i]);
	return indexes;
}

/* the same, for writing */
Relation
kpi_store_table_for_writing(KpiStore *store, KpiTable table)
{
	Relation	relation = kpi_store_table(store, table);

	if (store->indexes[table] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(store->context);

		LockRelationOid(RelationGetRelid(relation), RowExclusiveLock);
		store->indexes[table] = kpi_store_open_indexes(relation);
		MemoryContextSwitchTo(old);
	}
	return relation;
}

void *
kpi_store_indexes(KpiStore *store, KpiTable table)
{
	(void) kpi_store_table_for_writing(store, table);
	return store->indexes[table];
}

/* ------------------------------------------------------------------------
 * Scanning
 * ------------------------------------------------------------------------ */

/*
 * Access methods allocate while they scan (btree: the list of index entries
 * found dead) and keep it to the end of the scan.  So every call works in the
 * context of the lookup, never in that of whoever happens to ask.
 */
struct KpiLookup
{
	MemoryContext context;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	bool		shows_entries;
	int			n_keys;
	ScanKeyData keys[KPI_LOOKUP_KEYS];
};

KpiLookup *
kpi_store_lookup(KpiStore *store, KpiTable table, const char *index, int n_keys,
				 const AttrNumber *columns, const StrategyNumber *strategies)
{
	Relation	heap = kpi_store_table(store, table);
	MemoryContext old = MemoryContextSwitchTo(store->context);
	KpiLookup  *lookup = palloc0(sizeof(KpiLookup));

	lookup->context = store->context;
	lookup->index = index_open(kpi_store_relation(index), AccessShareLock);
	lookup->n_keys = n_keys;
	for (int i = 0; i < n_keys; i++)
	{
		int			column = columns[i] - 1;
		Oid			type = lookup->index->rd_opcintype[column];
		Oid			operator = get_opfamily_member(lookup->index->rd_opfamily[column],
												   type, type, strategies[i]);

		ScanKeyInit(&lookup->keys[i], columns[i], strategies[i], get_opcode(operator), (Datum) 0);
	}
	lookup->slot = table_slot_create(heap, NULL);
	lookup->scan = kpi_index_beginscan(heap, lookup->index, store->snapshot, n_keys, 0);
	store->all_lookups = lappend(store->all_lookups, lookup);
	MemoryContextSwitchTo(old);
	return lookup;
}

void
kpi_lookup_close(KpiLookup *lookup)
{
	index_endscan(lookup->scan);
	ExecDropSingleTupleTableSlot(lookup->slot);
	index_close(lookup->index, NoLock);
}

void
kpi_lookup_start(KpiLookup *lookup, const Datum *keys)
{
	MemoryContext old = MemoryContextSwitchTo(lookup->context);

	for (int i = 0; i < lookup->n_keys; i++)
		lookup->keys[i].sk_argument = keys[i];
	lookup->scan->xs_want_itup = lookup->shows_entries;
	index_rescan(lookup->scan, lookup->keys, lookup->n_keys, NULL, 0);
	MemoryContextSwitchTo(old);
}

KpiLookup *
kpi_store_start(KpiStore *store, KpiLookupSlot slot, const KpiPreparedLookup *lookup,
				const Datum *keys)
{
	if (store->lookups[slot] == NULL)
	{
		store->lookups[slot] = kpi_store_lookup(store, lookup->table, lookup->index,
												lookup->n_keys, lookup->columns,
												lookup->strategies);
		store->lookups[slot]->shows_entries = lookup->shows_entries;
	}
	kpi_lookup_start(store->lookups[slot], keys);
	return store->lookups[slot];
}

static TupleTableSlot *
get_row(KpiLookup *lookup, ScanDirection direction)
{
	MemoryContext old = MemoryContextSwitchTo(lookup->context);
	bool		found = index_getnext_slot(lookup->scan, direction, lookup->slot);

	MemoryContextSwitchTo(old);
	return found ? lookup->slot : NULL;
}

TupleTableSlot *
kpi_lookup_next(KpiLookup *lookup)
{
	return get_row(lookup, ForwardScanDirection);
}

TupleTableSlot *
kpi_lookup_last(KpiLookup *lookup)
{
	return get_row(lookup, BackwardScanDirection);
}

bool
kpi_lookup_pass(KpiLookup *lookup)
{
	MemoryContext old = MemoryContextSwitchTo(lookup->context);
	bool		found = index_getnext_tid(lookup->scan, ForwardScanDirection) != NULL;

	MemoryContextSwitchTo(old);
	return found;
}

Datum
kpi_lookup_entry(KpiLookup *lookup, int column)
{
	bool		isnull;

	return index_getattr(lookup->scan->xs_itup, column, lookup->scan->xs_itupdesc, &isnull);
}

TupleTableSlot *
kpi_lookup_row(KpiLookup *lookup)
{
	MemoryContext old = MemoryContextSwitchTo(lookup->context);
	bool		found = index_fetch_heap(lookup->scan, lookup->slot);

	MemoryContextSwitchTo(old);
	return found ? lookup->slot : NULL;
}

void
kpi_store_scan(KpiStore *store, KpiTable table, KpiRowVisitor each, void *context)
{
	Relation	relation = kpi_store_table(store, table);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TableScanDesc scan = table_beginscan(relation, store->snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		each(context, slot);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

/* ------------------------------------------------------------------------
 * Inserting
 * ------------------------------------------------------------------------ */

#define BATCH_TUPLES	500

/* a row of so many columns; those that somebody has added to the table are null */
HeapTuple
kpi_store_form_row(Relation relation, int columns, const Datum *values, const bool *nulls)
{
	TupleDesc	row = RelationGetDescr(relation);
	Datum		all_values[MaxHeapAttributeNumber];
	bool		all_nulls[MaxHeapAttributeNumber];

	if (row->natts <= columns)
		return heap_form_tuple(row, unconstify(Datum *, values), unconstify(bool *, nulls));
	memcpy(all_values, values, sizeof(Datum) * columns);
	memcpy(all_nulls, nulls, sizeof(bool) * columns);
	memset(all_nulls + columns, true, sizeof(bool) * (row->natts - columns));
	return heap_form_tuple(row, all_values, all_nulls);
}

/*
 * Inserts tuples many at a time, and frees them.  indexes is what
 * kpi_store_open_indexes gave.
 */
void
kpi_store_insert(Relation relation, void *indexes, HeapTuple *tuples, int n)
{
	ResultRelInfo *info = indexes;
	TupleTableSlot *slots[BATCH_TUPLES];
	int			made = Min(n, BATCH_TUPLES);

	for (int i = 0; i < made; i++)
		slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsHeapTuple);
	for (int done = 0; done < n; done += BATCH_TUPLES)
	{
		int			batch = Min(n - done, BATCH_TUPLES);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < batch; i++)
			ExecStoreHeapTuple(tuples[done + i], slots[i], false);
		if (batch == 1)
		{
			simple_heap_insert(relation, tuples[done]);
			slots[0]->tts_tid = tuples[done]->t_self;
		}
		else
			heap_multi_insert(relation, slots, batch, GetCurrentCommandId(true), 0, NULL);
		for (int index = 0; index < info->ri_NumIndices; index++)
		{
			Relation	index_relation = info->ri_IndexRelationDescs[index];
			Datum		values[INDEX_MAX_KEYS];
			bool		nulls[INDEX_MAX_KEYS];

			/* one that is only just being made concurrently */
			if (!info->ri_IndexRelationInfo[index]->ii_ReadyForInserts)
				continue;
			for (int i = 0; i < batch; i++)
			{
				FormIndexDatum(info->ri_IndexRelationInfo[index], slots[i], NULL, values, nulls);
				index_insert(index_relation, values, nulls, &slots[i]->tts_tid, relation,
							 index_relation->rd_index->indisunique ?
							 UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
							 false, info->ri_IndexRelationInfo[index]);
			}
		}
	}
	for (int i = 0; i < made; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	for (int i = 0; i < n; i++)
		heap_freetuple(tuples[i]);
}

/*
 * Inserts one tuple, of these values, into a table whose indexes are not open.
 */
void
kpi_store_insert_one(Relation relation, HeapTuple tuple, int columns, const Datum *values,
					 const bool *nulls)
{
	List	   *indexes = RelationGetIndexList(relation);
	ListCell   *lc;

	simple_heap_insert(relation, tuple);
	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);
		IndexInfo  *info = BuildIndexInfo(index);
		Datum		keys[INDEX_MAX_KEYS];
		bool		null_keys[INDEX_MAX_KEYS];

		check_index(index, info);
		for (int i = 0; i < info->ii_NumIndexAttrs; i++)
		{
			int			column = info->ii_IndexAttrNumbers[i] - 1;

			keys[i] = column < columns ? values[column] : (Datum) 0;
			null_keys[i] = column < columns ? nulls[column] : true;
		}
		if (info->ii_ReadyForInserts)
			index_insert(index, keys, null_keys, &tuple->t_self, relation,
						 index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
						 false, info);
		index_close(index, NoLock);
	}
	list_free(indexes);
}
