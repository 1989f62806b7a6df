/*
 * path_sql.c
 *		The SQL face of kpi_path: input and output, operators, operator class
 *		support, the common ancestor aggregate and the planner support that
 *		turns containment into an index range.
 *
 * Order and layout are path.h's.  The binary form is the text form, in the
 * client's encoding: it needs no version, since the text form never changes,
 * and drivers can read it without knowing the type.
 *
 * The comparison functions and containment are declared leakproof: apart from
 * reading their arguments they do nothing that can fail.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "compat.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "path.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/sortsupport.h"
#include "utils/typcache.h"

#define PATH_HINT \
	errhint("A path is labels joined by dots, such as \"acme.sales.emea\"; a label is 1 to %d bytes of letters, digits, \"_\", \"-\" and non-ASCII characters.", \
			KPI_PATH_MAX_LABEL_BYTES)

/* ---------- input and output ---------- */

PG_FUNCTION_INFO_V1(kpi_path_in);
Datum
kpi_path_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	char	   *problem;
	KpiPath    *path = kpi_path_from_text(text, strlen(text), &problem);

	if (path == NULL)
		ereturn(fcinfo->context, (Datum) 0,
				errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				errmsg("invalid input syntax for type kpi_path: \"%s\"", text),
				errdetail_internal("%s", problem),
				PATH_HINT);
	PG_RETURN_KPI_PATH(path);
}

PG_FUNCTION_INFO_V1(kpi_path_out);
Datum
kpi_path_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(kpi_path_to_text(PG_GETARG_KPI_PATH(0)));
}

PG_FUNCTION_INFO_V1(kpi_path_recv);
Datum
kpi_path_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			length;
	char	   *text = pq_getmsgtext(message, message->len - message->cursor, &length);
	char	   *problem;
	KpiPath    *path = kpi_path_from_text(text, length, &problem);

	if (path == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				errmsg("invalid binary value for type kpi_path: \"%s\"", text),
				errdetail_internal("%s", problem),
				PATH_HINT);
	PG_RETURN_KPI_PATH(path);
}

PG_FUNCTION_INFO_V1(kpi_path_send);
Datum
kpi_path_send(PG_FUNCTION_ARGS)
{
	char	   *text = kpi_path_to_text(PG_GETARG_KPI_PATH(0));
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendtext(&message, text, strlen(text));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* ---------- comparison ---------- */

/* compares the arguments of a function, leaving nothing behind in memory */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
	KpiPath    *a = PG_GETARG_KPI_PATH(0);
	KpiPath    *b = PG_GETARG_KPI_PATH(1);
	int			order = kpi_path_compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

PG_FUNCTION_INFO_V1(kpi_path_eq);
Datum
kpi_path_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(kpi_path_ne);
Datum
kpi_path_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(kpi_path_lt);
Datum
kpi_path_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(kpi_path_le);
Datum
kpi_path_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(kpi_path_gt);
Datum
kpi_path_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(kpi_path_ge);
Datum
kpi_path_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(kpi_path_cmp);
Datum
kpi_path_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}

static int
compare_for_sort(Datum x, Datum y, SortSupport ssup)
{
	KpiPath    *a = DatumGetKpiPath(x);
	KpiPath    *b = DatumGetKpiPath(y);
	int			order = kpi_path_compare(a, b);

	if (PointerGetDatum(a) != x)
		pfree(a);
	if (PointerGetDatum(b) != y)
		pfree(b);
	return order;
}

PG_FUNCTION_INFO_V1(kpi_path_sortsupport);
Datum
kpi_path_sortsupport(PG_FUNCTION_ARGS)
{
	((SortSupport) PG_GETARG_POINTER(0))->comparator = compare_for_sort;
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(kpi_path_hash);
Datum
kpi_path_hash(PG_FUNCTION_ARGS)
{
	KpiPath    *path = PG_GETARG_KPI_PATH(0);
	Datum		hash = hash_any((const unsigned char *) KPI_PATH_BYTES(path), KPI_PATH_SIZE(path));

	PG_FREE_IF_COPY(path, 0);
	return hash;
}

PG_FUNCTION_INFO_V1(kpi_path_hash_extended);
Datum
kpi_path_hash_extended(PG_FUNCTION_ARGS)
{
	KpiPath    *path = PG_GETARG_KPI_PATH(0);
	Datum		hash = hash_any_extended((const unsigned char *) KPI_PATH_BYTES(path),
										 KPI_PATH_SIZE(path), PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(path, 0);
	return hash;
}

/* ---------- containment ---------- */

PG_FUNCTION_INFO_V1(kpi_path_contains_path);
Datum
kpi_path_contains_path(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kpi_path_contains(PG_GETARG_KPI_PATH(0), PG_GETARG_KPI_PATH(1)));
}

PG_FUNCTION_INFO_V1(kpi_path_contained_by_path);
Datum
kpi_path_contained_by_path(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(kpi_path_contains(PG_GETARG_KPI_PATH(1), PG_GETARG_KPI_PATH(0)));
}

PG_FUNCTION_INFO_V1(kpi_subtree_end);
Datum
kpi_subtree_end(PG_FUNCTION_ARGS)
{
	PG_RETURN_KPI_PATH(kpi_path_subtree_end(PG_GETARG_KPI_PATH(0)));
}

/*
 * kpi.subtree_end(root) as an expression, computed now where root is a
 * constant; null where the function cannot be found.
 */
static Expr *
subtree_end_expression(Expr *root, Oid path_type)
{
	Oid			function;

	if (IsA(root, Const))
	{
		KpiPath    *path = DatumGetKpiPath(((Const *) root)->constvalue);

		return (Expr *) makeConst(path_type, -1, InvalidOid, -1,
								  KpiPathGetDatum(kpi_path_subtree_end(path)), false, false);
	}
	function = LookupFuncName(list_make2(makeString("kpi"), makeString("subtree_end")),
							  1, &path_type, true);
	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, path_type, list_make1(root),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/*
 * member <@ root as two conditions on a btree index over member, which
 * together are exactly the same: member >= root AND member < subtree_end(root).
 * root may be anything that does not depend on the indexed table: a constant,
 * a parameter, a stable function, a column of a table joined before.
 */
static List *
subtree_range(SupportRequestIndexCondition *request, Expr *member, Expr *root)
{
	Oid			path_type = exprType((Node *) member);
	Oid			at_least;
	Oid			below;
	Expr	   *bound;

	/* strategy numbers mean what we think in the default btree family only */
	if (request->index->relam != BTREE_AM_OID ||
		lookup_type_cache(path_type, TYPECACHE_BTREE_OPFAMILY)->btree_opf != request->opfamily)
		return NIL;
	at_least = get_opfamily_member(request->opfamily, path_type, path_type,
								   BTGreaterEqualStrategyNumber);
	below = get_opfamily_member(request->opfamily, path_type, path_type,
								BTLessStrategyNumber);
	if (!OidIsValid(at_least) || !OidIsValid(below))
		return NIL;

	if (IsA(root, Const) && ((Const *) root)->constisnull)
		return NIL;
	if (bms_is_member(request->index->rel->relid, pull_varnos(request->root, (Node *) root)) ||
		contain_volatile_functions((Node *) root))
		return NIL;
	bound = subtree_end_expression(root, path_type);
	if (bound == NULL)
		return NIL;

	request->lossy = false;
	return list_make2(make_opclause(at_least, BOOLOID, false, member, root,
									InvalidOid, InvalidOid),
					  make_opclause(below, BOOLOID, false, member, bound,
									InvalidOid, InvalidOid));
}

/* planner support of both containment functions; member is the argument that lies inside */
static Node *
containment_support(Node *request, int member)
{
	SupportRequestIndexCondition *index_request;
	List	   *arguments;

	if (!IsA(request, SupportRequestIndexCondition))
		return NULL;
	index_request = (SupportRequestIndexCondition *) request;
	/* the ancestors of a path are no range */
	if (index_request->indexarg != member)
		return NULL;

	if (is_opclause(index_request->node))
		arguments = ((OpExpr *) index_request->node)->args;
	else if (is_funcclause(index_request->node))
		arguments = ((FuncExpr *) index_request->node)->args;
	else
		return NULL;
	return (Node *) subtree_range(index_request,
								  (Expr *) list_nth(arguments, member),
								  (Expr *) list_nth(arguments, 1 - member));
}

PG_FUNCTION_INFO_V1(kpi_path_contains_support);
Datum
kpi_path_contains_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(containment_support((Node *) PG_GETARG_POINTER(0), 1));
}

PG_FUNCTION_INFO_V1(kpi_path_contained_by_support);
Datum
kpi_path_contained_by_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(containment_support((Node *) PG_GETARG_POINTER(0), 0));
}

/* ---------- taking apart and putting together ---------- */

PG_FUNCTION_INFO_V1(kpi_depth);
Datum
kpi_depth(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(kpi_path_depth(PG_GETARG_KPI_PATH(0)));
}

PG_FUNCTION_INFO_V1(kpi_parent);
Datum
kpi_parent(PG_FUNCTION_ARGS)
{
	KpiPath    *parent = kpi_path_parent(PG_GETARG_KPI_PATH(0));

	if (parent == NULL)
		PG_RETURN_NULL();
	PG_RETURN_KPI_PATH(parent);
}

PG_FUNCTION_INFO_V1(kpi_label);
Datum
kpi_label(PG_FUNCTION_ARGS)
{
	int			n = PG_GETARG_INT32(1);
	/* a path of one label has the bytes of the text */
	KpiPath    *label = kpi_path_subpath(PG_GETARG_KPI_PATH(0), n, n);

	if (label == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P((text *) label);
}

PG_FUNCTION_INFO_V1(kpi_subpath);
Datum
kpi_subpath(PG_FUNCTION_ARGS)
{
	KpiPath    *part = kpi_path_subpath(PG_GETARG_KPI_PATH(0),
										PG_GETARG_INT32(1), PG_GETARG_INT32(2));

	if (part == NULL)
		PG_RETURN_NULL();
	PG_RETURN_KPI_PATH(part);
}

static KpiPath *
join_or_raise(const KpiPath *a, const KpiPath *b)
{
	KpiPath    *path = kpi_path_join(a, b);

	if (path == NULL)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("cannot append \"%s\" to path \"%s\"",
					   kpi_path_to_text(b), kpi_path_to_text(a)),
				errdetail("The result would have %d labels.",
						  kpi_path_depth(a) + kpi_path_depth(b)),
				errhint("A path has at most %d labels.", KPI_PATH_MAX_DEPTH));
	return path;
}

PG_FUNCTION_INFO_V1(kpi_path_append_path);
Datum
kpi_path_append_path(PG_FUNCTION_ARGS)
{
	PG_RETURN_KPI_PATH(join_or_raise(PG_GETARG_KPI_PATH(0), PG_GETARG_KPI_PATH(1)));
}

PG_FUNCTION_INFO_V1(kpi_path_append_label);
Datum
kpi_path_append_label(PG_FUNCTION_ARGS)
{
	text	   *label = PG_GETARG_TEXT_PP(1);
	char	   *problem = kpi_path_label_problem(VARDATA_ANY(label), VARSIZE_ANY_EXHDR(label));

	if (problem != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid path label \"%s\"", text_to_cstring(label)),
				errdetail_internal("The label %s.", problem),
				errhint("A label is 1 to %d bytes of letters, digits, \"_\", \"-\" and non-ASCII characters; to append more than one label, append a kpi_path.",
						KPI_PATH_MAX_LABEL_BYTES));
	PG_RETURN_KPI_PATH(join_or_raise(PG_GETARG_KPI_PATH(0), (KpiPath *) label));
}

/* ---------- common ancestor ---------- */

PG_FUNCTION_INFO_V1(kpi_common_ancestor);
Datum
kpi_common_ancestor(PG_FUNCTION_ARGS)
{
	KpiPath    *a = PG_GETARG_KPI_PATH(0);
	KpiPath    *b = PG_GETARG_KPI_PATH(1);
	int			size = kpi_path_common_size(KPI_PATH_BYTES(a), KPI_PATH_SIZE(a),
											KPI_PATH_BYTES(b), KPI_PATH_SIZE(b));

	if (size == 0)
		PG_RETURN_NULL();
	PG_RETURN_KPI_PATH(kpi_path_from_bytes(KPI_PATH_BYTES(a), size));
}

/*
 * The aggregate's state is a bytea with the bytes of the ancestor so far:
 * null before the first path, empty once it is known that there is none.  A
 * path cannot say the latter, and a null would be taken for the former when
 * parallel workers' states are combined.
 */
static Datum
narrow_state(FunctionCallInfo fcinfo, const char *bytes, int bytes_size)
{
	bytea	   *state = PG_GETARG_BYTEA_PP(0);
	int			size = kpi_path_common_size(VARDATA_ANY(state), VARSIZE_ANY_EXHDR(state),
											bytes, bytes_size);

	/* unchanged, as nearly always: the executor need not copy it */
	if (size == VARSIZE_ANY_EXHDR(state))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	PG_RETURN_BYTEA_P((bytea *) kpi_path_from_bytes(VARDATA_ANY(state), size));
}

PG_FUNCTION_INFO_V1(kpi_common_ancestor_transition);
Datum
kpi_common_ancestor_transition(PG_FUNCTION_ARGS)
{
	KpiPath    *path;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	path = PG_GETARG_KPI_PATH(1);
	if (PG_ARGISNULL(0))
		PG_RETURN_BYTEA_P((bytea *) kpi_path_from_bytes(KPI_PATH_BYTES(path), KPI_PATH_SIZE(path)));
	return narrow_state(fcinfo, KPI_PATH_BYTES(path), KPI_PATH_SIZE(path));
}

PG_FUNCTION_INFO_V1(kpi_common_ancestor_combine);
Datum
kpi_common_ancestor_combine(PG_FUNCTION_ARGS)
{
	bytea	   *other = PG_GETARG_BYTEA_PP(1);

	return narrow_state(fcinfo, VARDATA_ANY(other), VARSIZE_ANY_EXHDR(other));
}

PG_FUNCTION_INFO_V1(kpi_common_ancestor_final);
Datum
kpi_common_ancestor_final(PG_FUNCTION_ARGS)
{
	/* the state has the layout of a path, or is empty */
	KpiPath    *path = (KpiPath *) PG_GETARG_BYTEA_PP(0);
	char	   *text = kpi_path_to_text(path);

	if (KPI_PATH_SIZE(path) == 0)
		PG_RETURN_NULL();
	/* anybody may call this with bytes of his own */
	if (!kpi_path_is_valid(KPI_PATH_BYTES(path), KPI_PATH_SIZE(path)) ||
		!pg_verifymbstr(text, KPI_PATH_SIZE(path), true))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				errmsg("invalid state of aggregate common_ancestor"),
				errhint("Call the aggregate, not its final function."));
	/* a copy: the state belongs to the executor */
	PG_RETURN_KPI_PATH(kpi_path_from_bytes(KPI_PATH_BYTES(path), KPI_PATH_SIZE(path)));
}
