/*
 * settings.h
 *		The settings kpi_cascade.*
 */
#ifndef KPI_SETTINGS_H
#define KPI_SETTINGS_H

typedef enum KpiFoldMode
{
	KPI_FOLD_COMMIT,
	KPI_FOLD_BACKGROUND,
	KPI_FOLD_MANUAL
} KpiFoldMode;

extern int	kpi_fold_mode;		/* KpiFoldMode */
extern int	kpi_fold_after;		/* rows */
extern int	kpi_max_pending;	/* rows; 0: no limit */
extern char *kpi_databases;		/* that have a worker: names, separated by commas */
extern int	kpi_naptime;		/* milliseconds */
extern bool kpi_notify;			/* that statuses have changed */

extern bool kpi_history_gives_way;	/* a row of unit_history is being replaced */

/* defines them; called once, when the library is loaded */
extern void kpi_settings_define(void);
/* kpi.restoring() in C: scripts of pg_dump and pg_restore turn both settings off */
extern bool kpi_restoring(void);

#endif							/* KPI_SETTINGS_H */
