/*
 * store_names.c
 *		What a session remembers so that a statement on facts need not look it
 *		up: the oids of our tables and indexes, and which KPIs take facts.
 *
 * Oids.  Forgotten when the server tells that one of these relations, or any
 * schema, has changed.
 *
 * KPIs.  That a KPI exists, the grain and fiscal start of its measure, and that
 * no growth link leads into it, which capture has to know of every fact, is
 * remembered once it has been looked up.  What is remembered is never out of
 * date, for these reasons:
 *
 *	1.	Whatever can make it wrong takes ShareRowExclusiveLock on kpi.fact and
 *		holds it to the end of its transaction: deleting a KPI or giving it
 *		another key or measure (kpi_keeps_facts), changing a measure's grain or
 *		fiscal start (measure_periods), adding a growth link (links.c).
 *	2.	The same transaction notes that the graph has changed
 *		(kpi_store_touch_graph), which sends every session an invalidation of
 *		kpi.graph_version.  The server sends invalidations after the commit and
 *		before it releases the transaction's locks (COMMIT PREPARED, too).
 *	3.	Whoever writes facts holds RowExclusiveLock on kpi.fact to the end of
 *		its transaction.  Getting a lock takes in all invalidations sent before.
 *		So whoever gets it after such a change has heard of the change, and
 *		while it is held no such change commits.
 *	4.	That leaves what the transaction itself has changed, which the others do
 *		not see yet and which may be rolled back, alone or with a savepoint:
 *		while it holds the lock of a writer on kpi.kpi, kpi.measure or kpi.link
 *		it neither uses nor adds to what is remembered.  TRUNCATE takes another
 *		lock, but it sends itself the invalidation at its end and again if it is
 *		rolled back, and no facts are captured in between.
 *
 * Only what exists is remembered, so a KPI that is new needs no message.  A
 * subscriber's apply worker fires no kpi_keeps_facts and takes no lock on
 * kpi.fact, as it always was; its captured changes send the invalidation too.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "store.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* ------------------------------------------------------------------------
 * KPIs
 * ------------------------------------------------------------------------ */

typedef struct KnownKpi
{
	int64		kpi_id;
	uint8		grain;
	uint8		fiscal_start;
	char		status;
} KnownKpi;

#define SH_PREFIX			known_kpis
#define SH_ELEMENT_TYPE		KnownKpi
#define SH_KEY_TYPE			int64
#define SH_KEY				kpi_id
#define SH_HASH_KEY(table, k)	murmurhash32((uint32) (k) ^ (uint32) ((uint64) (k) >> 32))
#define SH_EQUAL(table, a, b)	((a) == (b))
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define MAX_KNOWN_KPIS	200000	/* of 16 bytes */

static known_kpis_hash *known = NULL;
static Oid	known_by = InvalidOid;	/* the oid of kpi.graph_version, if anything is known */

static int	misses = 0;			/* since they were forgotten */

static void
forget_kpis(void)
{
	misses = 0;
	if (known_by == InvalidOid)
		return;
	known_by = InvalidOid;
	if (known->size > 1024)
	{
		known_kpis_destroy(known);
		known = NULL;
	}
	else
		known_kpis_reset(known);
}

static bool
writes(const char *table)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, kpi_store_relation(table));
	return kpi_lock_held(&tag, RowExclusiveLock);
}

bool
kpi_store_may_know(void)
{
	return !writes("kpi") && !writes("measure") && !writes("link");
}

bool
kpi_store_known_kpi(int64 kpi_id, KpiGrain *grain, int *fiscal_start)
{
	KnownKpi   *kpi;

	if (known_by == InvalidOid)
		return false;
	kpi = known_kpis_lookup(known, kpi_id);
	if (kpi == NULL)
		return false;
	*grain = (KpiGrain) kpi->grain;
	*fiscal_start = kpi->fiscal_start;
	return true;
}

void
kpi_store_remember_kpi(int64 kpi_id, KpiGrain grain, int fiscal_start)
{
	KnownKpi   *kpi;
	bool		found;

	if (known != NULL && known->members >= MAX_KNOWN_KPIS)
		forget_kpis();
	if (known == NULL)
		known = known_kpis_create(CacheMemoryContext, 64, NULL);
	if (known_by == InvalidOid)
		known_by = kpi_store_relation("graph_version");
	kpi = known_kpis_insert(known, kpi_id, &found);
	kpi->grain = (uint8) grain;
	kpi->fiscal_start = (uint8) fiscal_start;
}

/*
 * A session that writes facts of a few KPIs looks up those; one that goes on
 * to others will write facts of most.  So what is looked up at a time is four
 * times as much each time, and getting to know all KPIs costs little more than
 * reading their table once.
 */
int
kpi_store_worth_remembering(void)
{
	const int	few = 8;

	misses++;
	return misses < few ? 0 : Min(1 << 2 * Min(misses - few, 8), KPI_REMEMBER_PAGES);
}

/* ------------------------------------------------------------------------
 * Names
 * ------------------------------------------------------------------------ */

#define MAX_NAMES	64			/* more than there are */

static struct
{
	const char *name;			/* a literal */
	Oid			oid;
}			names[MAX_NAMES];
static int	n_names = 0;
static uint64 forgotten = 0;	/* how often names were */

static void
relation_changed(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == known_by)
		forget_kpis();
	for (int i = 0; i < n_names; i++)
		if (relation == InvalidOid || names[i].oid == relation)
		{
			n_names = 0;
			forgotten++;
		}
}

static void
schema_changed(Datum arg, int cache, uint32 hash)
{
	n_names = 0;
	forgotten++;
}

void
kpi_store_install(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
}

/* InvalidOid where there is none */
static Oid
relation_named(const char *name)
{
	uint64		before = forgotten;
	Oid			schema;
	Oid			relation;

	for (int i = 0; i < n_names; i++)
		if (names[i].name == name)
			return names[i].oid;
	schema = get_namespace_oid("kpi", true);
	if (!OidIsValid(schema))
		return InvalidOid;
	relation = get_relname_relid(name, schema);
	if (OidIsValid(relation) && forgotten == before && n_names < MAX_NAMES)
	{
		names[n_names].name = name;
		names[n_names++].oid = relation;
	}
	return relation;
}

bool
kpi_store_installed(void)
{
	return OidIsValid(relation_named("pending"));
}

Oid
kpi_store_relation_or_none(const char *name)
{
	return relation_named(name);
}

Oid
kpi_store_relation(const char *name)
{
	Oid			relation = relation_named(name);

	if (!OidIsValid(relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"kpi.%s\" does not exist", name),
				 errhint("The extension kpi_cascade is not installed, only in part, or older than "
						 "its library. Run ALTER EXTENSION kpi_cascade UPDATE if it is.")));
	return relation;
}
