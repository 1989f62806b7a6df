/*
 * tally_agg.c
 *		The aggregates over tallies, and the expanded object they keep.
 *
 * The state type is kpi_tally itself, so that engines that spread a query over
 * nodes can move states around; but while it accumulates, a state is an
 * expanded object around an accumulator, which the executor hands from step to
 * step by reference.  It is packed once, when somebody wants the flat form.
 *
 * The states of one aggregation share a memory context.  Under a HashAggregate
 * there may be very many at a time, and at each new group the executor asks all
 * contexts beneath its own how much memory they have: with a context for each
 * state the time would grow with the square of the groups.  Sharing is safe
 * because the steps of an aggregate return the state they were given, so that
 * the executor never deletes one by itself; it resets them all.  The states of
 * window functions and of direct calls, which are deleted one by one, have
 * their own.
 *
 * The inverse steps of moving aggregates take sums off exactly.  A minimum or
 * maximum cannot be taken off: where the row that leaves touches one, or where
 * the last row leaves, they answer null, on which the executor computes the
 * frame afresh.  A forward step of a moving frame must never answer null, so
 * there a state may have taken in no row yet; the final function tells that
 * apart from a tally that is empty.
 */
#include "postgres.h"

#include "accumulator.h"
#include "fmgr.h"
#include "tally.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#define EXPANDED_TALLY_MAGIC	0x6b706974

typedef struct ExpandedTally
{
	ExpandedObjectHeader header;	/* must be first */
	int			magic;
	int64		inputs;			/* rows taken in; -1: not known */
	KpiAccumulator accumulator;
	struct varlena *packed;		/* the flat form, or NULL when out of date */
} ExpandedTally;

static Size flat_size_of_expanded(ExpandedObjectHeader *header);
static void flatten_expanded(ExpandedObjectHeader *header, void *result, Size size);

static const ExpandedObjectMethods expanded_tally_methods = {
	flat_size_of_expanded,
	flatten_expanded
};

static Size
flat_size_of_expanded(ExpandedObjectHeader *header)
{
	ExpandedTally *state = (ExpandedTally *) header;

	Assert(state->magic == EXPANDED_TALLY_MAGIC);
	if (state->packed == NULL)
	{
		KpiTally   *tally = kpi_accumulator_settle(&state->accumulator);
		MemoryContext old = MemoryContextSwitchTo(header->eoh_context);

		state->packed = kpi_tally_pack(tally);
		MemoryContextSwitchTo(old);
	}
	return VARSIZE(state->packed);
}

static void
flatten_expanded(ExpandedObjectHeader *header, void *result, Size size)
{
	ExpandedTally *state = (ExpandedTally *) header;

	Assert(state->packed != NULL && VARSIZE(state->packed) == size);
	memcpy(result, state->packed, size);
}

/*
 * The context that the states of an aggregation share, while there is one.
 * Grouping sets have several parents for one call site, hence the list.
 */
typedef struct SharedContext
{
	MemoryContext context;		/* NULL: none, or it has gone */
	MemoryContext parent;
	struct SharedContext *next;
} SharedContext;

static void
forget_shared_context(void *argument)
{
	((SharedContext *) argument)->context = NULL;
}

static MemoryContext
new_context(MemoryContext parent)
{
	return AllocSetContextCreate(parent, "expanded kpi_tally", ALLOCSET_START_SMALL_SIZES);
}

/* The executor's contexts, and so ours, go before the one of the call site does. */
static MemoryContext
shared_context(FmgrInfo *call_site, MemoryContext parent)
{
	SharedContext *shared = call_site->fn_extra;
	SharedContext *unused = NULL;
	MemoryContextCallback *callback;

	for (; shared != NULL; shared = shared->next)
	{
		if (shared->context == NULL)
			unused = shared;
		else if (shared->parent == parent)
			return shared->context;
	}
	if (unused == NULL)
	{
		unused = MemoryContextAllocZero(call_site->fn_mcxt, sizeof(SharedContext));
		unused->next = call_site->fn_extra;
		call_site->fn_extra = unused;
	}
	unused->context = new_context(parent);
	unused->parent = parent;
	callback = MemoryContextAlloc(unused->context, sizeof(MemoryContextCallback));
	callback->func = forget_shared_context;
	callback->arg = unused;
	MemoryContextRegisterResetCallback(unused->context, callback);
	return unused->context;
}

static MemoryContext
state_context(FunctionCallInfo fcinfo)
{
	MemoryContext parent = CurrentMemoryContext;

	if (AggCheckCallContext(fcinfo, &parent) == AGG_CONTEXT_AGGREGATE)
		return shared_context(fcinfo->flinfo, parent);
	return new_context(parent);
}

static ExpandedTally *
new_state(MemoryContext context)
{
	ExpandedTally *state = MemoryContextAlloc(context, sizeof(ExpandedTally));

	EOH_init_header(&state->header, &expanded_tally_methods, context);
	state->magic = EXPANDED_TALLY_MAGIC;
	state->inputs = 0;
	state->packed = NULL;
	kpi_accumulator_init(&state->accumulator, context);
	return state;
}

/* The state in argument 0, ready to be changed; a new one where it is null. */
static ExpandedTally *
state_argument(FunctionCallInfo fcinfo)
{
	ExpandedTally *state;
	KpiTally	tally;

	if (!PG_ARGISNULL(0) && VARATT_IS_EXTERNAL_EXPANDED_RW(PG_GETARG_POINTER(0)))
	{
		state = (ExpandedTally *) DatumGetEOHP(PG_GETARG_DATUM(0));
		Assert(state->magic == EXPANDED_TALLY_MAGIC);
		if (state->packed != NULL)
		{
			pfree(state->packed);
			state->packed = NULL;
		}
		return state;
	}

	state = new_state(state_context(fcinfo));
	if (!PG_ARGISNULL(0))
	{
		kpi_tally_unpack(PG_GETARG_VARLENA_PP(0), &tally);
		kpi_accumulator_merge(&state->accumulator, &tally);
		state->inputs = -1;
	}
	return state;
}

#define PG_RETURN_STATE(state)	PG_RETURN_DATUM(EOHPGetRWDatum(&(state)->header))

static Datum
unchanged(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

static void
count_input(ExpandedTally *state)
{
	if (state->inputs >= 0)
		state->inputs++;
}

/*
 * Takes off what was merged before.  False where the state that stays behind
 * is not known: nothing of it has changed then.
 */
static bool
take_off(ExpandedTally *state, const KpiTally *leaving)
{
	KpiTally   *tally = kpi_accumulator_settle(&state->accumulator);
	Numeric		minimum = tally->minimum;
	Numeric		maximum = tally->maximum;
	MemoryContext old;

	if (state->inputs <= 1 || tally->extremes_unknown || leaving->extremes_unknown)
		return false;
	if (leaving->minimum != NULL &&
		(minimum == NULL ||
		 kpi_number_compare(leaving->minimum, minimum) <= 0 ||
		 kpi_number_compare(leaving->maximum, maximum) >= 0))
		return false;
	state->inputs--;
	old = MemoryContextSwitchTo(state->header.eoh_context);
	tally->minimum = NULL;
	tally->maximum = NULL;
	kpi_tally_subtract(tally, leaving);
	tally->minimum = minimum;
	tally->maximum = maximum;
	tally->extremes_unknown = false;
	MemoryContextSwitchTo(old);
	return true;
}

/* ---- one observation: (state, value [, weight]) ---- */

static bool
has_null_observation(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(1) || (PG_NARGS() > 2 && PG_ARGISNULL(2));
}

PG_FUNCTION_INFO_V1(kpi_tally_observe_step);
Datum
kpi_tally_observe_step(PG_FUNCTION_ARGS)
{
	ExpandedTally *state;
	struct varlena *value;
	struct varlena *weight = NULL;

	if (has_null_observation(fcinfo))
		return unchanged(fcinfo);
	state = state_argument(fcinfo);
	value = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1));
	if (PG_NARGS() > 2)
		weight = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(2));
	kpi_accumulator_observe(&state->accumulator, value, weight);
	count_input(state);
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(kpi_tally_observe_moving);
Datum
kpi_tally_observe_moving(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) && has_null_observation(fcinfo))
		PG_RETURN_STATE(state_argument(fcinfo));
	return kpi_tally_observe_step(fcinfo);
}

PG_FUNCTION_INFO_V1(kpi_tally_observe_inverse);
Datum
kpi_tally_observe_inverse(PG_FUNCTION_ARGS)
{
	ExpandedTally *state;
	KpiTally	leaving;
	Numeric		weight;

	if (has_null_observation(fcinfo))
		return unchanged(fcinfo);
	state = state_argument(fcinfo);
	weight = PG_NARGS() > 2 ? PG_GETARG_NUMERIC(2) : kpi_number_from_int(1);
	kpi_tally_init(&leaving);
	kpi_tally_observe(&leaving, PG_GETARG_NUMERIC(1), weight);
	if (!take_off(state, &leaving))
		PG_RETURN_NULL();
	PG_RETURN_STATE(state);
}

/* ---- a tally: (state, tally), also the combine step of all ---- */

PG_FUNCTION_INFO_V1(kpi_tally_merge_step);
Datum
kpi_tally_merge_step(PG_FUNCTION_ARGS)
{
	ExpandedTally *state;
	KpiTally	tally;

	if (PG_ARGISNULL(1))
		return unchanged(fcinfo);
	state = state_argument(fcinfo);
	kpi_tally_unpack(PG_GETARG_VARLENA_PP(1), &tally);
	kpi_accumulator_merge(&state->accumulator, &tally);
	count_input(state);
	PG_RETURN_STATE(state);
}

PG_FUNCTION_INFO_V1(kpi_tally_merge_moving);
Datum
kpi_tally_merge_moving(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_STATE(state_argument(fcinfo));
	return kpi_tally_merge_step(fcinfo);
}

PG_FUNCTION_INFO_V1(kpi_tally_merge_inverse);
Datum
kpi_tally_merge_inverse(PG_FUNCTION_ARGS)
{
	ExpandedTally *state;
	KpiTally	leaving;

	if (PG_ARGISNULL(1))
		return unchanged(fcinfo);
	state = state_argument(fcinfo);
	kpi_tally_unpack(PG_GETARG_VARLENA_PP(1), &leaving);
	if (!take_off(state, &leaving))
		PG_RETURN_NULL();
	PG_RETURN_STATE(state);
}

/* what a moving frame shows: a flat copy, because the state moves on */
PG_FUNCTION_INFO_V1(kpi_tally_moving_final);
Datum
kpi_tally_moving_final(PG_FUNCTION_ARGS)
{
	if (VARATT_IS_EXTERNAL_EXPANDED(PG_GETARG_POINTER(0)))
	{
		ExpandedTally *state = (ExpandedTally *) DatumGetEOHP(PG_GETARG_DATUM(0));

		Assert(state->magic == EXPANDED_TALLY_MAGIC);
		if (state->inputs == 0)
			PG_RETURN_NULL();
	}
	PG_RETURN_POINTER(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0)));
}
