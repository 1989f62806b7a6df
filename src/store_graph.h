/*
 * store_graph.h
 *		The graph, and the words that the tables use for its parts.
 */
#ifndef KPI_STORE_GRAPH_H
#define KPI_STORE_GRAPH_H

#include "executor/tuptable.h"
#include "store.h"

/* remembers that the graph changed, in the current transaction */
extern void kpi_store_touch_graph(void);
/* folds many rows of graph_version into one with the same meaning */
extern void kpi_store_compact_versions(KpiStore *store);
/* the graph as the snapshot sees it; kept for the session until it changes */
extern KpiGraph *kpi_store_graph(KpiStore *store);
/* changes whenever the session's graph goes or another one comes */
extern uint64 kpi_store_graph_serial(void);
/* a graph frozen to the parents and links of one day, in the current memory context */
extern KpiGraph *kpi_store_graph_as_of(KpiStore *store, DateADT as_of);
/* at the end of a (sub)transaction: does what it built of the graph stay? */
extern void kpi_store_settle_graph(bool keep);
/* is there any explicit link? */
extern bool kpi_store_has_links(KpiStore *store);
/* the words that the tables use */
extern const char *kpi_store_contributes_word(KpiContributes contributes);
extern const char *kpi_store_rollup_word(KpiRollup rollup);
extern const char *kpi_store_time_rollup_word(KpiTimeRollup time_rollup);

/* a row of kpi.link */
extern void kpi_store_read_link(TupleTableSlot *slot, KpiLink *link);

#endif							/* KPI_STORE_GRAPH_H */
