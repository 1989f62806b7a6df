/*
 * store.h
 *		The only way to the tables, for capture, fold and read: opening it, and the
 *		extension, KPIs, facts and targets.
 *
 * Tables are read and written through their access methods under one given
 * snapshot, as the extension's owner would: no privileges, settings or search
 * path of the user take part.  A KpiStore is opened for the duration of one
 * statement or fold and knows relations, indexes and that snapshot.
 *
 * What concerns pending changes, the graph, cells, closes and changes of status
 * is in headers of their own, store_*.h.
 */
#ifndef KPI_STORE_H
#define KPI_STORE_H

#include "graph.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

typedef struct KpiStore KpiStore;

/* store.c */
extern KpiStore *kpi_store_open(Snapshot snapshot);
extern void kpi_store_close(KpiStore *store);
extern Snapshot kpi_store_snapshot(KpiStore *store);

/* store_names.c: what a session remembers of names and KPIs */
extern void kpi_store_install(void);
/* is the extension there (false while it is being created or dropped)? */
extern bool kpi_store_installed(void);
/* the oid of a table or index of ours by name; raises when missing */
extern Oid	kpi_store_relation(const char *name);
/* the same, InvalidOid when missing: the objects may be older than the library */
extern Oid	kpi_store_relation_or_none(const char *name);
/* may what is known of KPIs be used and added to in this transaction? */
extern bool kpi_store_may_know(void);
/* is the KPI known to exist and to take facts, and of what grain and fiscal start? */
extern bool kpi_store_known_kpi(int64 kpi_id, KpiGrain *grain, int *fiscal_start);
/* remembers that; to be called only where it may be known */
extern void kpi_store_remember_kpi(int64 kpi_id, KpiGrain grain, int fiscal_start);
/* how many pages of kpi.kpi it is worth to read for one that is not known; 0: only that one */
extern int	kpi_store_worth_remembering(void);

/* store_rows.c: facts and targets */
/* the measure's grain and fiscal start for a KPI; false if there is no such KPI */
extern bool kpi_store_kpi_grain(KpiStore *store, int64 kpi_id, int64 *measure_id,
								KpiGrain *grain, int *fiscal_start);
/* a KPI in words, for messages: measure "revenue" at unit "acme" */
extern char *kpi_store_describe_kpi(KpiStore *store, int64 kpi_id);
/* the same as short as can be: revenue at acme */
extern char *kpi_store_name_kpi(KpiStore *store, int64 kpi_id);
/* does the unit exist? */
extern bool kpi_store_has_unit(KpiStore *store, int64 unit_id);
/* does a growth link, of whatever validity, lead into the KPI? */
extern bool kpi_store_has_growth_link(KpiStore *store, int64 kpi_id);
/* remembers the KPIs that take facts among those stored near that one, in so many pages */
extern void kpi_store_remember_kpis(KpiStore *store, int64 kpi_id, int pages);
#define KPI_REMEMBER_PAGES	256
/* tallies the facts of a KPI in a period; false where there are none */
extern bool kpi_store_facts(KpiStore *store, int64 kpi_id, KpiPeriod period, KpiTally *tally);
/* calls visit for each fact there is */
typedef void (*KpiFactVisitor) (void *context, int64 kpi_id, KpiPeriod period,
								Numeric value, Numeric weight);
extern void kpi_store_each_fact(KpiStore *store, KpiFactVisitor visit, void *context);
/* the distinct periods in which a KPI has facts, as a list of ints */
extern List *kpi_store_fact_periods(KpiStore *store, int64 kpi_id);
/* fills n and targets of the set, sorted by period, with those that count */
extern void kpi_store_targets(KpiStore *store, const KpiKpi *kpi, KpiTargetSet *set);
/* the one row of kpi.view_key; key stays as it is where there is none */
extern void kpi_store_read_view_key(KpiStore *store, pg_uuid_t *key);

#endif							/* KPI_STORE_H */
