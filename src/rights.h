/*
 * rights.h
 *		Whose rights count: the caller's, or those of the extension's owner.
 */
#ifndef KPI_RIGHTS_H
#define KPI_RIGHTS_H

#include "postgres.h"

typedef struct KpiCaller
{
	Oid			user;
	int			context;
} KpiCaller;

/* do row security policies on that table of schema kpi apply to the current user? */
extern bool kpi_row_security_is_on(const char *table);

/*
 * From here on, until kpi_rights_of_caller(), the extension's owner is the
 * current user.  An error in between restores the caller by itself.
 */
extern void kpi_rights_of_owner(KpiCaller *caller);
extern void kpi_rights_of_caller(const KpiCaller *caller);

#endif							/* KPI_RIGHTS_H */
