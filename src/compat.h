/*
 * compat.h
 *		What differs between the server versions; nothing else may look at
 *		PG_VERSION_NUM.
 */
#ifndef KPI_COMPAT_H
#define KPI_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/nodes.h"

/* 16 moved the macros for varlenas out of postgres.h (commit d952373a9) */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#else
/*
 * 16 brought soft errors (commit d9f7f5d32).  Before it every error is raised,
 * whatever the context; the return only quiets the compiler.
 */
#define ereturn(context, dummy_value, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy_value; \
	} while (0)
#define SOFT_ERROR_OCCURRED(context)	((void) (context), false)
#endif

/* 16 added a context for soft errors to make_range() */
#if PG_VERSION_NUM >= 160000
#define kpi_make_range(typcache, lower, upper)	make_range(typcache, lower, upper, false, NULL)
#else
#define kpi_make_range(typcache, lower, upper)	make_range(typcache, lower, upper, false)
#endif

/* 18 added an argument for instrumentation (commit 0fbceae84) */
#if PG_VERSION_NUM >= 180000
#define kpi_index_beginscan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, norderbys)
#else
#define kpi_index_beginscan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, nkeys, norderbys)
#endif

/* 18 dropped the argument "execute once" (commit 3eea7a0c9) */
#if PG_VERSION_NUM >= 180000
#define kpi_executor_run(query)	ExecutorRun(query, ForwardScanDirection, 0)
#else
#define kpi_executor_run(query)	ExecutorRun(query, ForwardScanDirection, 0, true)
#endif

/* 17 added the question for a stronger lock as well */
#if PG_VERSION_NUM >= 170000
#define kpi_lock_held(tag, mode)	LockHeldByMe(tag, mode, false)
#else
#define kpi_lock_held(tag, mode)	LockHeldByMe(tag, mode)
#endif

/* 18 tells sessions from all others, where before workers were told from all others */
#if PG_VERSION_NUM >= 180000
#define kpi_is_background_process(proc)	(!(proc)->isRegularBackend)
#else
#define kpi_is_background_process(proc)	((proc)->isBackgroundWorker)
#endif

#endif							/* KPI_COMPAT_H */
