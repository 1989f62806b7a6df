/*
 * link_rules.c
 *		Which KPIs may be joined by which kind of link: what the two ends'
 *		measures must have in common, what weights are allowed, and what other
 *		links a growth KPI may have.
 *
 * A link that is not allowed raises.  Where the link itself is new the error
 * says so; where something else was changed, it names the link in the way.
 *
 * No locks are taken here.  The graph is that of the latest snapshot, and the
 * locks that keep what it shows true are those of links.c.
 */
#include "postgres.h"

#include "fmgr.h"
#include "link_rules.h"
#include "store_graph.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

static const char *const hints[] = {
	[KPI_LINK_VALUE] = "A value link joins KPIs of one grain, fiscal_start, rollup (other than none) and time_rollup, and leaves no growth KPI.",
	[KPI_LINK_NUMERATOR] = "A numerator link leads from a sum, count or none into a ratio of the same grain and fiscal_start.",
	[KPI_LINK_DENOMINATOR] = "A denominator link leads from a sum, count or none into a ratio of the same grain and fiscal_start.",
	[KPI_LINK_GROWTH] = "A growth link has weight 1 and joins KPIs of one grain, other than week, and fiscal_start; its parent has no facts and no other links into it but score and aligned, and neither end is the growth of something else.",
	[KPI_LINK_SCORE] = "A score link has a weight of at least 0 and leads into the same grain, or one that it rolls up to, of the same fiscal_start.",
	[KPI_LINK_ALIGNED] = "An aligned link joins any two KPIs."
};

/* raises, naming both KPIs and the reason, a whole sentence */
static void
refuse(KpiLinkRules *rules, const KpiLink *link, const char *reason,...) pg_attribute_printf(3, 4);

static void
refuse(KpiLinkRules *rules, const KpiLink *link, const char *reason,...)
{
	const char *table = RelationGetRelationName(rules->changed);
	const char *kind = kpi_store_contributes_word(link->contributes);
	char	   *child = kpi_store_describe_kpi(rules->store, link->child_kpi_id);
	char	   *parent = kpi_store_describe_kpi(rules->store, link->parent_kpi_id);
	char		detail[1024];
	va_list		args;

	va_start(args, reason);
	vsnprintf(detail, sizeof(detail), reason, args);
	va_end(args);
	if (strcmp(table, "link") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("%s cannot be linked to %s as \"%s\"", child, parent, kind),
				 errdetail_internal("%s", detail),
				 errhint("%s", hints[link->contributes]),
				 errtable(rules->changed)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("%s is linked to %s as \"%s\", which this change would not allow",
					child, parent, kind),
			 errdetail_internal("%s", detail),
			 errhint("Delete that link first. %s", hints[link->contributes]),
			 errtable(rules->changed)));
}

static int
compare_by_parent(const void *a, const void *b)
{
	const KpiLink *x = *(const KpiLink *const *) a;
	const KpiLink *y = *(const KpiLink *const *) b;

	if (x->parent_kpi_id != y->parent_kpi_id)
		return x->parent_kpi_id < y->parent_kpi_id ? -1 : 1;
	return (x > y) - (x < y);
}

void
kpi_link_rules_begin(KpiLinkRules *rules, KpiStore *store, KpiGraph *graph, Relation changed)
{
	int			n;
	const KpiLink *links = kpi_graph_links(graph, &n);

	*rules = (KpiLinkRules) {.changed = changed, .store = store, .graph = graph};
	rules->growth = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(KpiLink *) * (n + 1));
	for (int i = 0; i < n; i++)
		if (links[i].contributes == KPI_LINK_GROWTH)
			rules->growth[rules->n_growth++] = &links[i];
	qsort(rules->growth, rules->n_growth, sizeof(KpiLink *), compare_by_parent);
}

static bool
overlap(const KpiLink *a, const KpiLink *b)
{
	return a->valid_from < b->valid_to && b->valid_from < a->valid_to;
}

/* a growth link into a KPI while another link is valid, or NULL */
static const KpiLink *
growth_into(KpiLinkRules *rules, int64 kpi_id, const KpiLink *other)
{
	int			low = 0,
				high = rules->n_growth;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (rules->growth[middle]->parent_kpi_id < kpi_id)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < rules->n_growth && rules->growth[low]->parent_kpi_id == kpi_id; low++)
		if (overlap(rules->growth[low], other))
			return rules->growth[low];
	return NULL;
}

static void
check_same_grain(KpiLinkRules *rules, const KpiLink *link, const KpiMeasure *child, const KpiMeasure *parent)
{
	if (child->grain != parent->grain)
		refuse(rules, link, "The child's grain is %s, the parent's is %s.",
			   kpi_grain_name(child->grain), kpi_grain_name(parent->grain));
}

static void
check_same_fiscal_start(KpiLinkRules *rules, const KpiLink *link, const KpiMeasure *child,
						const KpiMeasure *parent)
{
	if (child->fiscal_start != parent->fiscal_start)
		refuse(rules, link, "The child's fiscal_start is %d, the parent's is %d.",
			   child->fiscal_start, parent->fiscal_start);
}

static char *
number_text(Numeric number)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
}

static void
check_value(KpiLinkRules *rules, const KpiLink *link, const KpiMeasure *child, const KpiMeasure *parent)
{
	Numeric		one = kpi_number_from_int(1);

	if (child->rollup != parent->rollup)
		refuse(rules, link, "The child's rollup is %s, the parent's is %s.",
			   kpi_store_rollup_word(child->rollup), kpi_store_rollup_word(parent->rollup));
	if (parent->rollup == KPI_ROLLUP_NONE)
		refuse(rules, link, "The parent's rollup is none: it takes facts of its own only.");
	if (child->time_rollup != parent->time_rollup)
		refuse(rules, link, "The child's time_rollup is %s, the parent's is %s.",
			   kpi_store_time_rollup_word(child->time_rollup),
			   kpi_store_time_rollup_word(parent->time_rollup));
	if ((parent->rollup == KPI_ROLLUP_MEAN || parent->rollup == KPI_ROLLUP_WEIGHTED_MEAN) &&
		kpi_number_sign(link->weight) <= 0)
		refuse(rules, link, "The weight is %s; with rollup %s it must be more than 0.",
			   number_text(link->weight), kpi_store_rollup_word(parent->rollup));
	if ((parent->rollup == KPI_ROLLUP_MIN || parent->rollup == KPI_ROLLUP_MAX) &&
		kpi_number_compare(link->weight, one) != 0)
		refuse(rules, link, "The weight is %s; with rollup %s it must be 1.",
			   number_text(link->weight), kpi_store_rollup_word(parent->rollup));
}

static void
check_ratio(KpiLinkRules *rules, const KpiLink *link, const KpiMeasure *child, const KpiMeasure *parent)
{
	if (parent->rollup != KPI_ROLLUP_RATIO)
		refuse(rules, link, "The parent's rollup is %s.", kpi_store_rollup_word(parent->rollup));
	if (child->rollup != KPI_ROLLUP_SUM && child->rollup != KPI_ROLLUP_COUNT &&
		child->rollup != KPI_ROLLUP_NONE)
		refuse(rules, link, "The child's rollup is %s.", kpi_store_rollup_word(child->rollup));
}

/* what a growth link demands of the other links of its parent */
static void
check_growth(KpiLinkRules *rules, const KpiLink *link, int parent)
{
	ListCell   *lc;

	foreach(lc, kpi_graph_links_into(rules->graph, parent))
	{
		const KpiLink *other = lfirst(lc);

		if (other->contributes == KPI_LINK_SCORE || other->contributes == KPI_LINK_ALIGNED ||
			!overlap(link, other))
			continue;
		/* two of one kind between the same two KPIs never overlap: this is the link itself */
		if (other->contributes == KPI_LINK_GROWTH && other->child_kpi_id == link->child_kpi_id)
			continue;
		refuse(rules, link, "The parent also has a %s link from %s on some of these days.",
			   kpi_store_contributes_word(other->contributes),
			   kpi_store_describe_kpi(rules->store, other->child_kpi_id));
	}
	foreach(lc, kpi_graph_links_from(rules->graph, parent))
	{
		const KpiLink *other = lfirst(lc);

		if ((other->contributes == KPI_LINK_VALUE || other->contributes == KPI_LINK_GROWTH) &&
			overlap(link, other))
			refuse(rules, link, "The parent has a %s link to %s on some of these days, which no growth KPI may have.",
				   kpi_store_contributes_word(other->contributes),
				   kpi_store_describe_kpi(rules->store, other->parent_kpi_id));
	}
}

void
kpi_link_rules_check(KpiLinkRules *rules, const KpiLink *link)
{
	int			child = kpi_graph_find(rules->graph, link->child_kpi_id);
	int			parent = kpi_graph_find(rules->graph, link->parent_kpi_id);
	const KpiMeasure *of_child;
	const KpiMeasure *of_parent;
	const KpiLink *growth;

	/* while their KPI is being deleted */
	if (child < 0 || parent < 0)
		return;
	of_child = kpi_graph_kpi(rules->graph, child)->measure;
	of_parent = kpi_graph_kpi(rules->graph, parent)->measure;
	switch (link->contributes)
	{
		case KPI_LINK_VALUE:
			check_same_grain(rules, link, of_child, of_parent);
			check_value(rules, link, of_child, of_parent);
			break;
		case KPI_LINK_NUMERATOR:
		case KPI_LINK_DENOMINATOR:
			check_same_grain(rules, link, of_child, of_parent);
			check_ratio(rules, link, of_child, of_parent);
			break;
		case KPI_LINK_GROWTH:
			check_same_grain(rules, link, of_child, of_parent);
			if (of_parent->grain == KPI_GRAIN_WEEK)
				refuse(rules, link, "Their grain is week, and weeks have no week a year earlier.");
			if (kpi_number_compare(link->weight, kpi_number_from_int(1)) != 0)
				refuse(rules, link, "The weight is %s.", number_text(link->weight));
			break;
		case KPI_LINK_SCORE:
			if (of_child->grain != of_parent->grain &&
				!kpi_grain_rolls_up_to(of_child->grain, of_parent->grain))
				refuse(rules, link, "The child's grain is %s, which does not roll up to the parent's, %s.",
					   kpi_grain_name(of_child->grain), kpi_grain_name(of_parent->grain));
			if (kpi_number_sign(link->weight) < 0)
				refuse(rules, link, "The weight is %s.", number_text(link->weight));
			break;
		case KPI_LINK_ALIGNED:
			return;
	}
	check_same_fiscal_start(rules, link, of_child, of_parent);

	if (link->contributes == KPI_LINK_VALUE || link->contributes == KPI_LINK_GROWTH)
	{
		growth = growth_into(rules, link->child_kpi_id, link);
		if (growth != NULL)
			refuse(rules, link, "The child is the growth of %s on some of these days.",
				   kpi_store_describe_kpi(rules->store, growth->child_kpi_id));
	}
	if (link->contributes == KPI_LINK_GROWTH)
		check_growth(rules, link, parent);
	else if (link->contributes != KPI_LINK_SCORE)
	{
		growth = growth_into(rules, link->parent_kpi_id, link);
		if (growth != NULL)
			refuse(rules, link, "The parent is the growth of %s on some of these days.",
				   kpi_store_describe_kpi(rules->store, growth->child_kpi_id));
	}
}

void
kpi_link_rules_check_no_facts(KpiLinkRules *rules, const KpiLink *link)
{
	List	   *periods = kpi_store_fact_periods(rules->store, link->parent_kpi_id);

	if (periods != NIL)
		refuse(rules, link, "The parent has facts, such as of %s.",
			   kpi_period_to_text((KpiPeriod) linitial_int(periods)));
}
