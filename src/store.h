/*
 * store.h
 *		The only way to the tables, for capture, fold and read.
 *
 * Tables are read and written through their access methods under one given
 * snapshot, as the extension's owner would: no privileges, settings or search
 * path of the user take part.  A KpiStore is opened for the duration of one
 * statement or fold and knows relations, indexes and that snapshot.
 */
#ifndef KPI_STORE_H
#define KPI_STORE_H

#include "access/transam.h"
#include "access/skey.h"
#include "graph.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

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

/* columns of the tables that C reads, in the order of the install script */
enum {KPI_UNIT_ID = 1, KPI_UNIT_PATH, KPI_UNIT_VALID_FROM = 8, KPI_UNIT_VALID_TO};
enum {KPI_HISTORY_UNIT_ID = 1, KPI_HISTORY_EFFECTIVE_FROM, KPI_HISTORY_PARENT, KPI_HISTORY_SHARE};
enum {KPI_KPI_ID = 1, KPI_KPI_UNIT_ID, KPI_KPI_MEASURE_ID, KPI_KPI_VALID_FROM = 6, KPI_KPI_VALID_TO};
enum {KPI_LINK_ID = 1, KPI_LINK_CHILD, KPI_LINK_PARENT, KPI_LINK_CONTRIBUTES, KPI_LINK_WEIGHT,
	KPI_LINK_VALID_FROM, KPI_LINK_VALID_TO};
enum {KPI_FACT_ID = 1, KPI_FACT_KPI_ID, KPI_FACT_PERIOD, KPI_FACT_VALUE, KPI_FACT_WEIGHT};
enum {KPI_TARGET_ID = 1, KPI_TARGET_KPI_ID, KPI_TARGET_PERIOD, KPI_TARGET_VALUE, KPI_TARGET_BASELINE,
	KPI_TARGET_LOW, KPI_TARGET_HIGH, KPI_TARGET_POINTS, KPI_TARGET_STATE = 11};
enum {KPI_MEASURE_ID = 1, KPI_MEASURE_CODE, KPI_MEASURE_DIRECTION = 6, KPI_MEASURE_ROLLUP, KPI_MEASURE_TIME_ROLLUP,
	KPI_MEASURE_SCORING, KPI_MEASURE_MULTIPLIER, KPI_MEASURE_SCORE_FLOOR, KPI_MEASURE_SCORE_CAP,
	KPI_MEASURE_DRIVER_ROLLUP, KPI_MEASURE_RESULT_WEIGHT, KPI_MEASURE_MISSING_CHILD,
	KPI_MEASURE_GRAIN, KPI_MEASURE_FISCAL_START, KPI_MEASURE_AT_RISK_FROM,
	KPI_MEASURE_ON_TRACK_FROM, KPI_MEASURE_EXCEEDED_FROM, KPI_MEASURE_ROLLS_UP,
	KPI_MEASURE_APPLY_SHARE, KPI_MEASURE_TARGETS_COUNT_FROM = 24};
enum {KPI_CLOSE_ID = 1, KPI_CLOSE_PERIOD, KPI_CLOSE_UNIT_ID, KPI_CLOSE_REOPENED_AT = 7};
enum {KPI_REPORTED_CLOSE_ID = 1, KPI_REPORTED_KPI_ID, KPI_REPORTED_PERIOD, KPI_REPORTED_ACTUAL,
	KPI_REPORTED_TARGET, KPI_REPORTED_ATTAINMENT, KPI_REPORTED_TARGET_TO_DATE,
	KPI_REPORTED_ATTAINMENT_TO_DATE, KPI_REPORTED_DRIVER_SCORE, KPI_REPORTED_SCORE,
	KPI_REPORTED_STATUS, KPI_REPORTED_COVERAGE, KPI_REPORTED_TALLY, KPI_REPORTED_UNIT = 16,
	KPI_REPORTED_MEASURE};

/* what a pending row says; the letters of kpi.pending.kind */
typedef enum KpiPendingKind
{
	KPI_PENDING_ADDED = 'f',
	KPI_PENDING_REMOVED = 'r',
	KPI_PENDING_TARGET = 't',
	KPI_PENDING_KPI = 'k',
	KPI_PENDING_LINK = 'i',
	KPI_PENDING_GROWTH_LINK = 'g',
	KPI_PENDING_PLACEMENT = 'p',
	KPI_PENDING_VALIDITY = 'v',
	KPI_PENDING_MEASURE = 'm',
	KPI_PENDING_EVERYTHING = 'a'
} KpiPendingKind;

typedef struct KpiPending
{
	KpiPendingKind kind;
	int64		kpi_id;			/* ids are 0 and since is DATEVAL_NOBEGIN where null */
	KpiPeriod	period;
	bool		has_delta;
	KpiTally	delta;
	int64		unit_id;
	int64		measure_id;
	DateADT		since;
} KpiPending;

/* the row of kpi.fold_state */
typedef struct KpiFoldState
{
	bool		exists;
	ItemPointerData tid;
	uint64		xmin;
	uint64		xmax;
	int			n_in_progress;
	uint64	   *in_progress;	/* ascending */
	uint64		own;
	int64		upto;
	uint64		purged;
	int64		folds;
	int64		cells_evaluated;
	int64		cells_written;
	int64		folded_at;		/* TimestampTz */
	int64		took;			/* microseconds */
	/* store_cells.c says what these are for */
	int			generation;
	int			generations;
	uint64		era_began;
	int			era_folds;
	int			eras;
	int			former_generation;	/* not stored: before this fold */
	/* two stretches of time that rates are measured over; times are 0 where null */
	int64		window_began;
	int64		window_folds;
	int64		window_cells;
	int64		earlier_began;
	int64		earlier_folds;
	int64		earlier_cells;
} KpiFoldState;

/* one row of kpi.cell; figures that do not exist are NULL */
typedef struct KpiCell
{
	bool		exists;
	ItemPointerData tid;		/* where it was read; invalid for a new one */
	int			generation;		/* as read; store_cells.c */
	int			era;
	Numeric		actual;
	Numeric		target;
	Numeric		attainment;
	Numeric		target_to_date;
	Numeric		attainment_to_date;
	Numeric		driver_score;
	Numeric		score;
	KpiStatus	status;
	Numeric		coverage;
	bool		has_tally;
	KpiTally	tally;
	bool		has_own;
	KpiTally	own;
	Numeric		coverage_sum;
	KpiPeriod	last_actual;
	bool		is_fed;			/* own facts, or data, in or beneath it */
} KpiCell;

typedef struct KpiStore KpiStore;

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

extern KpiStore *kpi_store_open(Snapshot snapshot);
extern void kpi_store_close(KpiStore *store);
extern Snapshot kpi_store_snapshot(KpiStore *store);

/* store.c: the cursor, pending changes and the graph */
extern void kpi_store_read_state(KpiStore *store, KpiFoldState *state);
extern void kpi_store_write_state(KpiStore *store, const KpiFoldState *state);
/* the pending changes that are not in the cells, in no particular order; a list of KpiPending */
extern List *kpi_store_pending(KpiStore *store, const KpiFoldState *state);
/*
 * How many there are, up to a limit (0: none), and since when the oldest of
 * those counted waits (TimestampTz; 0 where there is none).
 */
extern int64 kpi_store_count_pending(KpiStore *store, const KpiFoldState *state, int64 limit,
									 int64 *oldest);
/* what a fold takes of them */
typedef struct KpiPendingPart
{
	List	   *rows;			/* KpiPending */
	int64		own_upto;		/* the highest seq among the rows of transaction own; 0: none */
	bool		own_everything; /* is a change of everything among the own rows? */
	uint64		cut;			/* rows of transactions from this one on are left; 0: none are */
} KpiPendingPart;
extern void kpi_store_take_pending(KpiStore *store, const KpiFoldState *state, uint64 own,
								   int64 limit, KpiPendingPart *part);
/*
 * About how many there are, up to a limit: counted in the index, without a look
 * at the rows, so those of rolled back and of running transactions count.
 */
extern int64 kpi_store_estimate_pending(KpiStore *store, const KpiFoldState *state, int64 limit);
/* about how many rows kpi.pending could hold at most, by its size */
extern int64 kpi_store_pending_bound(KpiStore *store);
extern void kpi_store_purge(KpiStore *store, uint64 from, uint64 before);
/* appends pending rows of the current transaction */
extern void kpi_store_append(const KpiPending *rows, int n);
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

/* store_cells.c: cells */
/* one cell; false (and exists false) where there is none */
extern bool kpi_store_cell(KpiStore *store, int64 kpi_id, KpiPeriod period, KpiCell *cell);
/* calls visit for the cells of a KPI with first <= period <= last (NONE: all of them) */
typedef void (*KpiCellVisitor) (void *context, int64 kpi_id, KpiPeriod period, const KpiCell *cell);
extern void kpi_store_cells(KpiStore *store, int64 kpi_id, KpiPeriod first, KpiPeriod last,
							KpiCellVisitor visit, void *context);
/*
 * The same for those in some periods, ascending, found by one walk along the
 * index; some may be missed where there are many cells in between.
 */
extern void kpi_store_cells_among(KpiStore *store, int64 kpi_id, const KpiPeriod *periods, int n,
								  KpiCellVisitor visit, void *context);
/* the same for all cells there are, in no order */
extern void kpi_store_each_cell(KpiStore *store, KpiCellVisitor visit, void *context);
/* the distinct periods of all cells, ascending, as a list of ints */
extern List *kpi_store_periods_in_use(KpiStore *store);
/*
 * Inserts, or replaces the row at old->tid, or (now NULL or not existing)
 * deletes it.  Inserts are collected until kpi_store_flush_cells.
 */
extern void kpi_store_write_cell(KpiStore *store, int64 kpi_id, KpiPeriod period,
								 const KpiCell *old, const KpiCell *now);
extern void kpi_store_flush_cells(KpiStore *store);
/* the columns of kpi.cell as datums, for a reader that returns rows of it */
extern void kpi_store_cell_values(int64 kpi_id, KpiPeriod period, const KpiCell *cell,
								  Oid status_type, Datum *values, bool *nulls);
/* one of the figures that are numbers, by its column; raises for other columns */
extern Numeric kpi_store_cell_figure(const KpiCell *cell, int column);
/* the label of the enum kpi_status with that oid */
extern Datum kpi_store_status_datum(Oid status_type, KpiStatus status);
extern KpiStatus kpi_store_status_of_datum(Oid status_type, Datum label);
#define KPI_CELL_COLUMNS	19
#define KPI_CELL_STATUS_COLUMN	10

/* store_closes.c: closed periods, and the figures reported with them */
/* a close in force */
typedef struct KpiClose
{
	int64		period_close_id;
	KpiPeriod	period;
	DateADT		first_day;
	DateADT		last_day;
	int64		unit_id;		/* 0: the whole organisation */
} KpiClose;
extern void kpi_store_install_closes(void);
/* those in force, and how many; they may go whenever the server reads invalidations */
extern const KpiClose *kpi_store_closes(int *n);
/* sends every session, this one included, word that they have changed */
extern void kpi_store_touch_closes(Oid relation);
/* the figures of a cell as reported with a close; false where there are none */
extern bool kpi_store_reported(KpiStore *store, int64 period_close_id, int64 kpi_id,
							   KpiPeriod period, KpiCell *cell);
/* calls visit for all that was reported of a KPI, with whatever close */
typedef void (*KpiReportedVisitor) (void *context, int64 period_close_id, int64 kpi_id,
									KpiPeriod period, const KpiCell *cell);
extern void kpi_store_reported_of_kpi(KpiStore *store, int64 kpi_id, KpiReportedVisitor visit,
									  void *context);
/* the same for all that was reported */
extern void kpi_store_each_reported(KpiStore *store, KpiReportedVisitor visit, void *context);
/* the KPI of a reported cell in words, as kpi_store_describe_kpi has it, though it may be gone */
extern char *kpi_store_describe_reported(KpiStore *store, int64 period_close_id, int64 kpi_id,
										 KpiPeriod period);
/* has neither the unit nor, on whatever day, any beneath it a KPI? */
extern bool kpi_store_unit_is_bare(KpiStore *store, int64 unit_id);
/* does any unit have another place, or share, from one of these days on? */
extern bool kpi_store_unit_moves(KpiStore *store, DateADT from, DateADT until);
/* its path, NULL where there is no such unit */
extern char *kpi_store_unit_path(KpiStore *store, int64 unit_id);

/* counts a fold, before it writes: which generation it writes to */
extern void kpi_store_count_era(KpiStore *store, KpiFoldState *state);
/* after it has written: leaves the generation before, if that is another */
extern void kpi_store_leave_generation(KpiStore *store, const KpiFoldState *state);

/* store_status.c: changes of status, as one fold finds them */
#define KPI_STATUS_SEQUENCE	"status_change_status_change_id_seq"
typedef struct KpiStatusLog
{
	KpiStore   *store;
	int64		fold;			/* its number */
	int64		at;				/* TimestampTz */
	bool		all_cells;		/* are all cells computed anew? */
	bool		off;
	bool		looked;			/* is greatest known? */
	int64		greatest;		/* id in the table */
	int64		last_written;	/* id; 0: none */
	HeapTuple  *tuples;			/* waiting to be inserted */
	int			n;
} KpiStatusLog;
extern void kpi_store_begin_statuses(KpiStatusLog *log, KpiStore *store, int64 fold,
									 TimestampTz at, bool all_cells);
/* what a cell becomes (NULL or not existing: no row), before it is written; at most once each */
extern void kpi_store_note_status(KpiStatusLog *log, int64 kpi_id, KpiPeriod period,
								  const KpiCell *old, const KpiCell *now);
/* writes what was not written yet; returns the last id, or 0 where nothing has changed */
extern int64 kpi_store_end_statuses(KpiStatusLog *log);

/* shared by the files of the store */
/* the hot generation as the store's snapshot has it, and the one that cells are written to */
extern int	kpi_store_hot_generation(KpiStore *store);
extern int	kpi_store_written_generation(KpiStore *store);
extern void kpi_store_set_generations(KpiStore *store, int hot, int written);
/* the 64-bit form of a transaction id of the recent past */
extern uint64 kpi_store_full_xid(TransactionId xid);
extern Relation kpi_store_table(KpiStore *store, KpiTable table);
extern Relation kpi_store_table_for_writing(KpiStore *store, KpiTable table);
extern void *kpi_store_indexes(KpiStore *store, KpiTable table);
/* what CatalogOpenIndexes gives; refuses indexes that the store cannot fill */
extern void *kpi_store_open_indexes(Relation relation);
extern void kpi_store_insert(Relation relation, void *indexes, HeapTuple *tuples, int n);
extern void kpi_store_insert_one(Relation relation, HeapTuple tuple, const Datum *values,
								 const bool *nulls);
/* cells waiting to be inserted */
typedef struct KpiNewCells
{
	HeapTuple  *tuples;
	int			n;
	int			room;
} KpiNewCells;
extern KpiNewCells *kpi_store_new_cells(KpiStore *store);
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
extern struct TupleTableSlot *kpi_lookup_next(KpiLookup *lookup);
/* the last row, or NULL, found from the end of the index */
extern struct TupleTableSlot *kpi_lookup_last(KpiLookup *lookup);
/* goes on to the next entry of the index, whatever its row; false where there is none */
extern bool kpi_lookup_pass(KpiLookup *lookup);
/* that entry's column, where the lookup shows entries, and its row, or NULL where none is visible */
extern Datum kpi_lookup_entry(KpiLookup *lookup, int column);
extern struct TupleTableSlot *kpi_lookup_row(KpiLookup *lookup);
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
extern KpiGrain kpi_store_grain_of(struct TupleTableSlot *slot);
extern int	kpi_store_fiscal_start_of(struct TupleTableSlot *slot);
/* the state of a target, or the one from which a measure's targets count */
extern KpiTargetState kpi_store_target_state(struct TupleTableSlot *slot, int attribute);
/* a row of kpi.link */
extern void kpi_store_read_link(struct TupleTableSlot *slot, KpiLink *link);
/* calls each for every row of a table */
typedef void (*KpiRowVisitor) (void *context, struct TupleTableSlot *slot);
extern void kpi_store_scan(KpiStore *store, KpiTable table, KpiRowVisitor each, void *context);

#endif							/* KPI_STORE_H */
