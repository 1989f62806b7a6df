/*
 * link_rules.h
 *		Which KPIs may be joined by which kind of link.
 */
#ifndef KPI_LINK_RULES_H
#define KPI_LINK_RULES_H

#include "store.h"

/* what links are held against */
typedef struct KpiLinkRules
{
	Relation	changed;		/* the table that a statement changed, for messages */
	KpiStore   *store;
	KpiGraph   *graph;
	const KpiLink **growth;		/* the growth links, by parent */
	int			n_growth;
} KpiLinkRules;

extern void kpi_link_rules_begin(KpiLinkRules *rules, KpiStore *store, KpiGraph *graph,
								 Relation changed);
/* raises where a link is not allowed */
extern void kpi_link_rules_check(KpiLinkRules *rules, const KpiLink *link);
/* raises where the parent of a growth link has facts */
extern void kpi_link_rules_check_no_facts(KpiLinkRules *rules, const KpiLink *link);

#endif							/* KPI_LINK_RULES_H */
