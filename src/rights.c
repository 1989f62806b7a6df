/*
 * rights.c
 *		Whose rights count: the caller's, or those of the extension's owner.
 *
 * Views read tables with their owner's rights, so whoever may read a view
 * needs nothing else.  But row security on kpi.unit is meant for the reader,
 * and the server asks for SELECT on a table before it applies its policies.
 * So kpi.visible_units() parses and starts its query as the owner, which is
 * when privileges are checked, and rewrites and runs it as the reader, which is
 * when policies are chosen and evaluated.
 *
 * The owner is whoever owns the tables, a superuser.  Nothing runs with his
 * rights but statements written in this library, with all names qualified.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "rights.h"
#include "store.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(kpi_row_security_applies);
PG_FUNCTION_INFO_V1(kpi_visible_units);

#define VISIBLE_UNITS	"SELECT unit_id FROM kpi.unit"

bool
kpi_row_security_is_on(const char *table)
{
	return check_enable_rls(kpi_store_relation(table), InvalidOid, true) == RLS_ENABLED;
}

void
kpi_rights_of_owner(KpiCaller *caller)
{
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(kpi_store_relation("pending")));
	Oid			owner;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "table kpi.pending has gone away");
	owner = ((Form_pg_class) GETSTRUCT(row))->relowner;
	ReleaseSysCache(row);
	GetUserIdAndSecContext(&caller->user, &caller->context);
	SetUserIdAndSecContext(owner, caller->context | SECURITY_LOCAL_USERID_CHANGE);
}

void
kpi_rights_of_caller(const KpiCaller *caller)
{
	SetUserIdAndSecContext(caller->user, caller->context);
}

/*
 * kpi.row_security_applies(): do row security policies on kpi.unit apply to
 * the current user?  The views then show only rows of units the user may see.
 */
Datum
kpi_row_security_applies(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kpi_row_security_is_on("unit"));
}

/* kpi.visible_units(): the units that row security lets the current user see */
Datum
kpi_visible_units(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RawStmt    *parsed = linitial_node(RawStmt, pg_parse_query(VISIBLE_UNITS));
	Query	   *query;
	PlannedStmt *plan;
	DestReceiver *receiver = CreateDestReceiver(DestTuplestore);
	QueryDesc  *run;
	KpiCaller	caller;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	SetTuplestoreDestReceiverParams(receiver, result->setResult,
									result->econtext->ecxt_per_query_memory, false, NULL, NULL);
	kpi_rights_of_owner(&caller);
	query = parse_analyze_fixedparams(parsed, VISIBLE_UNITS, NULL, 0, NULL);
	kpi_rights_of_caller(&caller);
	plan = pg_plan_query(linitial_node(Query, pg_rewrite_query(query)), VISIBLE_UNITS, 0, NULL);

	PushActiveSnapshot(GetActiveSnapshot());
	run = CreateQueryDesc(plan, VISIBLE_UNITS, GetActiveSnapshot(), InvalidSnapshot, receiver,
						  NULL, NULL, 0);
	kpi_rights_of_owner(&caller);
	ExecutorStart(run, 0);
	kpi_rights_of_caller(&caller);
	kpi_executor_run(run);
	ExecutorFinish(run);
	ExecutorEnd(run);
	FreeQueryDesc(run);
	PopActiveSnapshot();
	return (Datum) 0;
}
