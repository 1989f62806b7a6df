/*
 * fold_cells.c
 *		Writing what a fold's cascade found: the cells that changed, and the
 *		changes of status beside them.
 *
 * Most cascades know what each cell was before, and so which ones to write;
 * the cells of KPIs that are gone are deleted.  One that has computed every
 * cell anew does not: its cells are compared with those in the table, and what
 * is in the table only is deleted.
 *
 * The fold lock is held, and nothing is read but under the fold's snapshot
 * (fold.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "fold_cells.h"
#include "notify.h"
#include "store_graph.h"
#include "store_status.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

typedef struct CellWriter
{
	KpiStore   *store;
	KpiGraph   *graph;
	KpiStatusLog statuses;
	int64		written;
	HTAB	   *stored;			/* complete cascades: the cells in the table */
} CellWriter;

typedef struct StoredCell
{
	struct
	{
		int64		kpi_id;
		int64		period;
	}			key;
	KpiCell		cell;
	bool		wanted;
} StoredCell;

static void
write_change(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *old, const KpiCell *now)
{
	CellWriter *writer = context;

	if (writer->stored != NULL)
	{
		StoredCell	key = {{kpi_id, period}};
		StoredCell *stored = hash_search(writer->stored, &key.key, HASH_FIND, NULL);

		if (stored != NULL)
		{
			stored->wanted = true;
			if (kpi_cell_equal(&stored->cell, now))
				return;
			old = &stored->cell;
		}
	}
	kpi_store_note_status(&writer->statuses, kpi_id, period, old, now);
	kpi_store_write_cell(writer->store, kpi_id, period, old, now);
	writer->written++;
}

static void
delete_cell(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell)
{
	CellWriter *writer = context;

	/* that a KPI is gone is no change of its status */
	if (kpi_graph_find(writer->graph, kpi_id) >= 0)
		kpi_store_note_status(&writer->statuses, kpi_id, period, cell, NULL);
	kpi_store_write_cell(writer->store, kpi_id, period, cell, NULL);
	writer->written++;
}

static void
note_stored(void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell)
{
	CellWriter *writer = context;
	StoredCell	key = {{kpi_id, period}};
	StoredCell *stored = hash_search(writer->stored, &key.key, HASH_ENTER, NULL);

	stored->cell = *cell;
	stored->wanted = false;
}

/* everything was computed anew: compare with what is there */
static void
write_all(KpiCascade *cascade, CellWriter *writer)
{
	HASHCTL		control = {0};
	HASH_SEQ_STATUS status;
	StoredCell *stored;

	control.keysize = sizeof(((StoredCell *) NULL)->key);
	control.entrysize = sizeof(StoredCell);
	control.hcxt = CurrentMemoryContext;
	writer->stored = hash_create("kpi_cascade stored cells", 1024, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	kpi_store_each_cell(writer->store, note_stored, writer);
	kpi_cascade_each_change(cascade, write_change, writer);
	hash_seq_init(&status, writer->stored);
	while ((stored = hash_seq_search(&status)) != NULL)
		if (!stored->wanted)
			delete_cell(writer, stored->key.kpi_id, (KpiPeriod) stored->key.period, &stored->cell);
}

int64
kpi_fold_write_cells(KpiStore *store, KpiCascade *cascade, int64 fold, TimestampTz begun,
					 bool restored)
{
	CellWriter	writer = {.store = store, .graph = kpi_store_graph(store)};
	int64		last_change;
	ListCell   *lc;

	kpi_store_begin_statuses(&writer.statuses, store, fold, begun,
							 kpi_cascade_is_complete(cascade), restored);
	if (kpi_cascade_is_complete(cascade))
		write_all(cascade, &writer);
	else
	{
		kpi_cascade_each_change(cascade, write_change, &writer);
		foreach(lc, kpi_cascade_lost_kpis(cascade))
			kpi_store_cells(store, *(int64 *) lfirst(lc), KPI_PERIOD_NONE, KPI_PERIOD_NONE,
							delete_cell, &writer);
	}
	kpi_store_flush_cells(store);
	last_change = kpi_store_end_statuses(&writer.statuses);
	if (last_change != 0)
	{
		kpi_notify_changed(last_change);
		/* see store_status.c */
		ForceSyncCommit();
	}
	return writer.written;
}
