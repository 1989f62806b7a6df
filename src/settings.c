/*
 * settings.c
 *		The settings kpi_cascade.*
 */
#include "postgres.h"

#include <limits.h>

#include "settings.h"
#include "utils/guc.h"
#include "utils/rls.h"
#include "utils/varlena.h"

int			kpi_fold_mode = KPI_FOLD_COMMIT;
int			kpi_fold_after = 32;
int			kpi_max_pending = 100000;
char	   *kpi_databases = NULL;
int			kpi_naptime = 200;
bool		kpi_notify = false;

/* read by triggers in SQL: why somebody changes targets and facts */
static char *reason = NULL;

/* set by one function of the install script, read by the trigger it sets off */
bool		kpi_history_gives_way = false;

/* set by the functions that close and reopen periods, read by the triggers of what they write */
static bool closing = false;

static const struct config_enum_entry fold_modes[] = {
	{"commit", KPI_FOLD_COMMIT, false},
	{"background", KPI_FOLD_BACKGROUND, false},
	{"manual", KPI_FOLD_MANUAL, false},
	{NULL, 0, false}
};

static bool
check_databases(char **value, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*value);
	List	   *names;
	bool		result = SplitGUCList(copy, ',', &names);

	if (!result)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(names);
	pfree(copy);
	return result;
}

void
kpi_settings_define(void)
{
	DefineCustomEnumVariable("kpi_cascade.fold_mode",
							 "When pending changes are folded into the cells.",
							 "commit: at the end of a writing transaction, if nobody else is folding; "
							 "background: by a background worker; "
							 "manual: only by kpi.fold(). Readers see exact figures in every mode.",
							 &kpi_fold_mode, KPI_FOLD_COMMIT, fold_modes,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kpi_cascade.fold_after",
							"Number of pending changes from which on a commit folds.",
							"0 folds at every commit that changed something.",
							&kpi_fold_after, 32, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("kpi_cascade.max_pending",
							"Number of pending changes from which on a commit folds in every mode.",
							"0 means never.",
							&kpi_max_pending, 100000, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("kpi_cascade.notify",
							 "Whether folds that change a status notify those who listen to kpi_status.",
							 "The setting of the session that folds counts, when it commits. "
							 "The payload is the last status_change_id.",
							 &kpi_notify, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("kpi_cascade.reason",
							   "Why targets and facts are being changed.",
							   "Kept with every revision of a target or fact; empty for none. "
							   "Usually SET LOCAL, for one transaction.",
							   &reason, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("kpi_cascade.databases",
							   "Databases in which a background worker folds, separated by commas.",
							   "Needs kpi_cascade in shared_preload_libraries. "
							   "Each takes one of max_worker_processes.",
							   &kpi_databases, "",
							   PGC_SIGHUP, GUC_LIST_INPUT, check_databases, NULL, NULL);
	DefineCustomIntVariable("kpi_cascade.naptime",
							"How long a background worker waits between two folds.",
							"It waits longer, up to one second, while nothing is pending.",
							&kpi_naptime, 200, 1, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("kpi_cascade.history_gives_way",
							 "Internal: a history row is being replaced.",
							 NULL, &kpi_history_gives_way, false,
							 PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	DefineCustomBoolVariable("kpi_cascade.closing",
							 "Internal: a period is being closed or reopened.",
							 NULL, &closing, false,
							 PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	MarkGUCPrefixReserved("kpi_cascade");
}

bool
kpi_restoring(void)
{
	return !check_function_bodies && !row_security;
}
