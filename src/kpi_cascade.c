/*
 * kpi_cascade.c
 *		The library's identity and its start.
 */
#include "postgres.h"

#include "close.h"
#include "dirty_map.h"
#include "fmgr.h"
#include "fold.h"
#include "miscadmin.h"
#include "notify.h"
#include "settings.h"
#include "store.h"
#include "utils/builtins.h"
#include "worker.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(kpi_version);

void		_PG_init(void);

void
_PG_init(void)
{
	kpi_settings_define();
	kpi_store_install();
	kpi_notify_install();
	kpi_fold_install();
	kpi_close_install();
	kpi_dirty_map_install();
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		kpi_launcher_install();
}

/* the version of the library; calling it loads the library and with it the settings */
Datum
kpi_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(KPI_CASCADE_VERSION));
}
