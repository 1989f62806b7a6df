/*
 * works.h
 *		The working state of a cascade, shared by works.c (cells in work),
 *		changes.c (which cells to look at), gather.c (what a cell is made of)
 *		and cascade.c (evaluating and handing on).
 */
#ifndef KPI_WORKS_H
#define KPI_WORKS_H

#include "cascade.h"
#include "common/hashfn.h"
#include "lib/pairingheap.h"

typedef struct KpiWorkKey
{
	int			kpi;			/* index in the graph */
	KpiPeriod	period;
} KpiWorkKey;

/* a cell that a cascade has looked at */
typedef struct KpiWork
{
	KpiWorkKey	key;
	const KpiCell *old;			/* as stored; one that does not exist is shared by all works */
	KpiCell		now;			/* as evaluated; before that, the stored ingredients with differences */
	bool		queued;
	bool		done;
	bool		changed;
	bool		unread;			/* noted, but not brought in from the table yet */
	bool		partly;			/* done, but for targets, attainment and score */
	bool		gather;			/* differences do not suffice */
	bool		read_facts;		/* the facts have to be read again */
	bool		own_inside;		/* gathered: own facts somewhere inside a coarser period */
	KpiTally   *added;			/* facts that came and went, as noted; NULL: none */
	KpiTally   *removed;
	struct KpiWork *next_queued;	/* of the same bucket */
	struct KpiWork *next_of_kpi;
} KpiWork;

/* what waits in the queue for one period and level */
typedef struct KpiBucket
{
	KpiPeriod	period;
	int			level;
	KpiWork    *first;			/* NULL: it is not in the queue */
	pairingheap_node node;
} KpiBucket;

/* from which day on the KPIs of a measure (0: all) at a unit and above are to be gathered */
typedef struct KpiUnitMarks
{
	int64		measure_id;
	DateADT    *since;			/* by unit */
} KpiUnitMarks;

/* the works by key: small entries, so that looking up stays in the processor's cache */
typedef struct KpiWorkEntry
{
	KpiWorkKey	key;
	KpiWork    *work;
	uint32		hash;
	char		status;
} KpiWorkEntry;

static inline uint32
kpi_work_key_hash(KpiWorkKey key)
{
	return murmurhash32((uint32) key.kpi * 0x9E3779B1 ^ murmurhash32(key.period));
}

#define SH_PREFIX			kpi_works
#define SH_ELEMENT_TYPE		KpiWorkEntry
#define SH_KEY_TYPE			KpiWorkKey
#define SH_KEY				key
#define SH_HASH_KEY(table, k)	kpi_work_key_hash(k)
#define SH_EQUAL(table, a, b)	((a).kpi == (b).kpi && (a).period == (b).period)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry)	(entry)->hash
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct KpiBucketKey
{
	KpiPeriod	period;
	int			level;
} KpiBucketKey;

typedef struct KpiBucketEntry
{
	KpiBucketKey key;
	KpiBucket  *bucket;
	char		status;
} KpiBucketEntry;

#define SH_PREFIX			kpi_buckets
#define SH_ELEMENT_TYPE		KpiBucketEntry
#define SH_KEY_TYPE			KpiBucketKey
#define SH_KEY				key
#define SH_HASH_KEY(table, k)	murmurhash32((k).period ^ murmurhash32((uint32) (k).level))
#define SH_EQUAL(table, a, b)	((a).period == (b).period && (a).level == (b).level)
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct KpiCascade
{
	MemoryContext context;
	MemoryContext scratch;		/* reset after each cell */
	KpiStore   *store;
	KpiGraph   *graph;
	kpi_works_hash *works;
	KpiWork   **works_of_kpi;	/* by KPI: the latest of them, or NULL */
	KpiWork    *spare_works;	/* allocated, zero and not used yet */
	int			n_spare;
	kpi_works_hash *listed;		/* demand.c: keys of cells that may change */
	bool	   *complete_kpis;	/* by KPI: all its stored cells are among the works */
	uint8	   *misses;			/* by KPI: how often a cell was looked for in vain */
	KpiTargetSet **targets;		/* by KPI: those already read */
	pairingheap *queue;			/* of KpiBuckets */
	kpi_buckets_hash *buckets;
	KpiBucket  *last_bucket;	/* that something was put into; NULL: none yet */
	DateADT    *marked;			/* by KPI: gather periods that end then or later; NULL: none */
	List	   *unit_marks;		/* KpiUnitMarks, one for each measure */
	List	   *lost_kpis;
	bool		complete;
	int64		evaluated;
};

/* works.c */
extern KpiWork *kpi_cascade_find(KpiCascade *cascade, int kpi, KpiPeriod period);
/* the same, not brought in: to take note of changes */
extern KpiWork *kpi_cascade_note(KpiCascade *cascade, int kpi, KpiPeriod period);
extern KpiWork *kpi_cascade_work(KpiCascade *cascade, int kpi, KpiPeriod period);
/* brings in the stored cells of a KPI between two periods (NONE: all of them) */
extern void kpi_cascade_bring_in(KpiCascade *cascade, int kpi, KpiPeriod first, KpiPeriod last);
/* is the period one in which the measure has cells? */
extern bool kpi_cascade_has_period(const KpiMeasure *measure, KpiPeriod period);
extern void kpi_cascade_enqueue(KpiCascade *cascade, KpiWork *work);
extern void kpi_cascade_enqueue_to_gather(KpiCascade *cascade, KpiWork *work);
/* the next work in order, or NULL */
extern KpiWork *kpi_cascade_dequeue(KpiCascade *cascade);
/* forgets all works */
extern void kpi_cascade_reset_works(KpiCascade *cascade);
extern bool kpi_cell_same_tally(const KpiCell *a, const KpiCell *b);
extern bool kpi_cell_same_own(const KpiCell *a, const KpiCell *b);

/* visits the periods of coarser grains that the measure's period is in */
#define KPI_FOREACH_COARSER(measure, inside, coarser) \
	for (int grain_ = kpi_period_grain(inside) + 1; grain_ <= KPI_GRAIN_YEAR; grain_++) \
		if (kpi_grain_rolls_up_to(kpi_period_grain(inside), grain_) && \
			((coarser) = kpi_period_enclosing(inside, grain_, \
											  grain_ >= KPI_GRAIN_QUARTER ? (measure)->fiscal_start : 1)) \
			!= KPI_PERIOD_NONE)

/* visits the base periods inside a period, in order */
#define KPI_FOREACH_BASE(measure, inside, period) \
	for (KpiPeriod inside = kpi_first_inside(measure, period, (measure)->grain); \
		 inside != KPI_PERIOD_NONE; \
		 inside = kpi_period_last_day(inside) < kpi_period_last_day(period) ? \
		 kpi_period_shift(inside, 1) : KPI_PERIOD_NONE)

/* changes.c */
extern void kpi_cascade_expand_marks(KpiCascade *cascade);
/* forget what was noted, and compute everything from the facts and targets */
extern void kpi_cascade_start_over(KpiCascade *cascade);

/* gather.c */
/* are contributions over links taken in that period itself, rather than from the base periods inside? */
extern bool kpi_takes_links(const KpiMeasure *measure, const KpiNode *node, KpiPeriod period);
/* can one contribution to the cell be replaced without looking at the others? */
extern bool kpi_takes_differences(const KpiMeasure *measure, const KpiNode *node, KpiPeriod period);
/* reads everything the cell rests on; own facts of a base period are settled before */
extern void kpi_gather(KpiCascade *cascade, KpiWork *work, const KpiEpoch *epoch);
/*
 * Targets, attainment, score, status and coverage from what was gathered; may
 * be done again.  Unless fully, only what others than a reader ask for.
 */
extern void kpi_finish(KpiCascade *cascade, KpiWork *work, const KpiNode *node, bool fully);
/* the child whose growth the KPI shows, or -1 */
extern int	kpi_growing_child(const KpiEpoch *epoch, const KpiNode *node);

/* cascade.c */
/* hands a change on over one link, or to a coarser period; the work told is queued if it matters */
extern void kpi_cascade_tell_parent(KpiCascade *cascade, const KpiEpoch *epoch,
									const KpiEdge *edge, const KpiWork *child);
extern void kpi_cascade_tell_coarser(KpiCascade *cascade, const KpiWork *inside, KpiPeriod period);
/* visits the cells of growth KPIs that compare a base period of a KPI, apart from the same period */
typedef void (*KpiGrowthVisitor) (void *context, int parent, KpiPeriod period);
extern void kpi_cascade_each_growth(KpiCascade *cascade, int kpi, KpiPeriod base,
									KpiGrowthVisitor visit, void *context);
/* evaluates a cell after all it rests on; fully: see kpi_finish */
extern void kpi_cascade_evaluate(KpiCascade *cascade, KpiWork *work, bool fully);
/* what was left out when it was evaluated partly */
extern void kpi_cascade_complete_work(KpiCascade *cascade, KpiWork *work);

#endif							/* KPI_WORKS_H */
