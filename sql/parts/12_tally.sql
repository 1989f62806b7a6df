-- kpi_tally: an exact, mergeable summary of observations

CREATE TYPE @extschema@.kpi_tally;

CREATE FUNCTION kpi.tally_in(cstring) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_in';
COMMENT ON FUNCTION kpi.tally_in(cstring) IS
'Reads the text form of a tally. Error: 22P02 for any other form, also for a minimum greater than the maximum.';

CREATE FUNCTION kpi.tally_out(@extschema@.kpi_tally) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_out';
COMMENT ON FUNCTION kpi.tally_out(@extschema@.kpi_tally) IS
'Writes the text form of a tally, such as {n=3,value=6,weight=3,product=12,min=1,max=3}.';

CREATE FUNCTION kpi.tally_recv(internal) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_recv';
COMMENT ON FUNCTION kpi.tally_recv(internal) IS
'Reads the binary form of a tally. Error: 22P03 for a version that is not supported, and for bytes that tally_send would not have written.';

CREATE FUNCTION kpi.tally_send(@extschema@.kpi_tally) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_send';
COMMENT ON FUNCTION kpi.tally_send(@extschema@.kpi_tally) IS
'Writes the binary form of a tally: a byte with the version, 1; a byte with flags; then n, sum of values, sum of weights, sum of products, minimum and maximum as numeric sends them, each unless a flag leaves it out: 1 extremes unknown (both left out), 2 extremes are there (else both left out), 4 the sum of weights equals n, 8 the sum of products equals the sum of values, 16 the maximum equals the minimum.';

CREATE TYPE @extschema@.kpi_tally (
    INPUT = kpi.tally_in,
    OUTPUT = kpi.tally_out,
    RECEIVE = kpi.tally_recv,
    SEND = kpi.tally_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE @extschema@.kpi_tally IS
'An exact, mergeable summary of observations of a value v with a weight w: their number n, the sums of v, w and v*w, the smallest and the largest v. Text form: {n=3,value=6,weight=3,product=12,min=1,max=3}, with min=?,max=? where the extremes are unknown (a difference of tallies cannot know them), and without min and max where nothing was observed. Numbers carry no trailing zeros, so that equal tallies are identical in text and in bytes. The order (n, then the sums, then the extremes) serves sorting and indexes and has no other meaning.';

CREATE CAST (text AS @extschema@.kpi_tally) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (text AS @extschema@.kpi_tally) IS
'Reads the text form, so that text parameters of drivers fit a kpi_tally column.';

CREATE CAST (varchar AS @extschema@.kpi_tally) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (varchar AS @extschema@.kpi_tally) IS
'Reads the text form, so that varchar parameters of drivers fit a kpi_tally column.';

-- ---- what a tally says ----

CREATE FUNCTION kpi.observations(@extschema@.kpi_tally) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_observations';
COMMENT ON FUNCTION kpi.observations(@extschema@.kpi_tally) IS
'How many observations the tally holds, n; a numeric, because scaling a tally scales it.';

CREATE FUNCTION kpi.total(@extschema@.kpi_tally) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_total';
COMMENT ON FUNCTION kpi.total(@extschema@.kpi_tally) IS
'The sum of the values, exact.';

CREATE FUNCTION kpi.total_weight(@extschema@.kpi_tally) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_total_weight';
COMMENT ON FUNCTION kpi.total_weight(@extschema@.kpi_tally) IS
'The sum of the weights, exact.';

CREATE FUNCTION kpi.mean(@extschema@.kpi_tally) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_mean';
COMMENT ON FUNCTION kpi.mean(@extschema@.kpi_tally) IS
'The sum of the values over n, rounded once, half away from zero, to 12 decimal places; null where n is 0.';

CREATE FUNCTION kpi.weighted_mean(@extschema@.kpi_tally) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_weighted_mean';
COMMENT ON FUNCTION kpi.weighted_mean(@extschema@.kpi_tally) IS
'The sum of value * weight over the sum of the weights, rounded once, half away from zero, to 12 decimal places; null where the weights sum to 0.';

CREATE FUNCTION kpi.ratio(tally @extschema@.kpi_tally, multiplier numeric DEFAULT 1) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_ratio';
COMMENT ON FUNCTION kpi.ratio(@extschema@.kpi_tally, numeric) IS
'multiplier * the sum of the values over the sum of the weights, rounded once, half away from zero, to 12 decimal places; null where the weights sum to 0. Error: 22003 where the multiplier is not finite.';

CREATE FUNCTION kpi.minimum(@extschema@.kpi_tally) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_minimum';
COMMENT ON FUNCTION kpi.minimum(@extschema@.kpi_tally) IS
'The smallest value; null where it is unknown (after a subtraction) and where nothing was observed. Scaling a tally does not scale it.';

CREATE FUNCTION kpi.maximum(@extschema@.kpi_tally) RETURNS numeric
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_maximum';
COMMENT ON FUNCTION kpi.maximum(@extschema@.kpi_tally) IS
'The largest value; null where it is unknown (after a subtraction) and where nothing was observed. Scaling a tally does not scale it.';

-- ---- arithmetic ----

CREATE FUNCTION kpi.tally_plus(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_plus';
COMMENT ON FUNCTION kpi.tally_plus(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Both tallies merged: n and sums added, the smaller minimum, the larger maximum; extremes are unknown where either tally does not know them.';

CREATE OPERATOR @extschema@.+ (
    LEFTARG = @extschema@.kpi_tally, RIGHTARG = @extschema@.kpi_tally, FUNCTION = kpi.tally_plus, COMMUTATOR = OPERATOR(@extschema@.+)
);
COMMENT ON OPERATOR @extschema@.+ (@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Both tallies merged: n and sums added, the smaller minimum, the larger maximum; extremes are unknown where either tally does not know them.';

CREATE FUNCTION kpi.tally_minus(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_minus';
COMMENT ON FUNCTION kpi.tally_minus(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'n and sums of the right tally taken off the left one; the extremes of the result are unknown.';

CREATE OPERATOR @extschema@.- (
    LEFTARG = @extschema@.kpi_tally, RIGHTARG = @extschema@.kpi_tally, FUNCTION = kpi.tally_minus
);
COMMENT ON OPERATOR @extschema@.- (@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'n and sums of the right tally taken off the left one; the extremes of the result are unknown.';

CREATE FUNCTION kpi.number_times_tally(numeric, @extschema@.kpi_tally) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_number_times_tally';
COMMENT ON FUNCTION kpi.number_times_tally(numeric, @extschema@.kpi_tally) IS
'The tally with n and all sums multiplied, exactly; minimum and maximum stay as they are. Error: 22003 where the factor is not finite or the product has more digits than numeric holds.';

CREATE OPERATOR @extschema@.* (
    LEFTARG = numeric, RIGHTARG = @extschema@.kpi_tally, FUNCTION = kpi.number_times_tally, COMMUTATOR = OPERATOR(@extschema@.*)
);
COMMENT ON OPERATOR @extschema@.* (numeric, @extschema@.kpi_tally) IS
'The tally with n and all sums multiplied, exactly; minimum and maximum stay as they are. Error: 22003 where the factor is not finite or the product has more digits than numeric holds.';

CREATE FUNCTION kpi.tally_times_number(@extschema@.kpi_tally, numeric) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_times_number';
COMMENT ON FUNCTION kpi.tally_times_number(@extschema@.kpi_tally, numeric) IS
'The tally with n and all sums multiplied, exactly; minimum and maximum stay as they are. Error: 22003 where the factor is not finite or the product has more digits than numeric holds.';

CREATE OPERATOR @extschema@.* (
    LEFTARG = @extschema@.kpi_tally, RIGHTARG = numeric, FUNCTION = kpi.tally_times_number, COMMUTATOR = OPERATOR(@extschema@.*)
);
COMMENT ON OPERATOR @extschema@.* (@extschema@.kpi_tally, numeric) IS
'The tally with n and all sums multiplied, exactly; minimum and maximum stay as they are. Error: 22003 where the factor is not finite or the product has more digits than numeric holds.';

-- ---- equality and order ----

CREATE FUNCTION kpi.tally_eq(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_eq';
COMMENT ON FUNCTION kpi.tally_eq(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Do both tallies hold the same figures, and know the same about extremes?';

CREATE FUNCTION kpi.tally_ne(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_ne';
COMMENT ON FUNCTION kpi.tally_ne(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Do the tallies differ in any figure or in what they know about extremes?';

CREATE FUNCTION kpi.tally_lt(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_lt';
COMMENT ON FUNCTION kpi.tally_lt(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Does the left tally sort before the right one?';

CREATE FUNCTION kpi.tally_le(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_le';
COMMENT ON FUNCTION kpi.tally_le(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Does the left tally sort before the right one, or are they equal?';

CREATE FUNCTION kpi.tally_gt(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_gt';
COMMENT ON FUNCTION kpi.tally_gt(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Does the left tally sort after the right one?';

CREATE FUNCTION kpi.tally_ge(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_ge';
COMMENT ON FUNCTION kpi.tally_ge(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Does the left tally sort after the right one, or are they equal?';

CREATE FUNCTION kpi.tally_cmp(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_cmp';
COMMENT ON FUNCTION kpi.tally_cmp(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Less than, equal to or greater than 0 as the left tally sorts before, with or after the right one.';

CREATE FUNCTION kpi.tally_hash(@extschema@.kpi_tally) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_hash';
COMMENT ON FUNCTION kpi.tally_hash(@extschema@.kpi_tally) IS
'Hash of a tally, for hash joins, grouping and hash indexes.';

CREATE FUNCTION kpi.tally_hash_extended(@extschema@.kpi_tally, bigint) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_hash_extended';
COMMENT ON FUNCTION kpi.tally_hash_extended(@extschema@.kpi_tally, bigint) IS
'Hash of a tally with a seed, for hash partitioning.';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.kpi_tally, RIGHTARG = @extschema@.kpi_tally, FUNCTION = kpi.tally_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Do both tallies hold the same figures, and know the same about extremes?';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.kpi_tally, RIGHTARG = @extschema@.kpi_tally, FUNCTION = kpi.tally_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Do the tallies differ in any figure or in what they know about extremes?';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.kpi_tally, RIGHTARG = @extschema@.kpi_tally, FUNCTION = kpi.tally_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Does the left tally sort before the right one?';

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.kpi_tally, RIGHTARG = @extschema@.kpi_tally, FUNCTION = kpi.tally_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Does the left tally sort before the right one, or are they equal?';

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.kpi_tally, RIGHTARG = @extschema@.kpi_tally, FUNCTION = kpi.tally_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Does the left tally sort after the right one?';

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.kpi_tally, RIGHTARG = @extschema@.kpi_tally, FUNCTION = kpi.tally_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Does the left tally sort after the right one, or are they equal?';

CREATE OPERATOR FAMILY @extschema@.kpi_tally_ops USING btree;
COMMENT ON OPERATOR FAMILY @extschema@.kpi_tally_ops USING btree IS 'Order of tallies, for sorting only.';
CREATE OPERATOR CLASS @extschema@.kpi_tally_ops DEFAULT FOR TYPE @extschema@.kpi_tally USING btree FAMILY @extschema@.kpi_tally_ops AS
    OPERATOR 1 @extschema@.<,
    OPERATOR 2 @extschema@.<=,
    OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=,
    OPERATOR 5 @extschema@.>,
    FUNCTION 1 kpi.tally_cmp(@extschema@.kpi_tally, @extschema@.kpi_tally),
    FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS @extschema@.kpi_tally_ops USING btree IS 'Order of tallies, for sorting only: n, then the sums, then the extremes.';

CREATE OPERATOR FAMILY @extschema@.kpi_tally_ops USING hash;
COMMENT ON OPERATOR FAMILY @extschema@.kpi_tally_ops USING hash IS 'Equality of tallies.';
CREATE OPERATOR CLASS @extschema@.kpi_tally_ops DEFAULT FOR TYPE @extschema@.kpi_tally USING hash FAMILY @extschema@.kpi_tally_ops AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 kpi.tally_hash(@extschema@.kpi_tally),
    FUNCTION 2 kpi.tally_hash_extended(@extschema@.kpi_tally, bigint);
COMMENT ON OPERATOR CLASS @extschema@.kpi_tally_ops USING hash IS 'Equality of tallies.';

-- ---- aggregates ----

CREATE FUNCTION kpi.tally_observe_step(@extschema@.kpi_tally, numeric) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_observe_step';
COMMENT ON FUNCTION kpi.tally_observe_step(@extschema@.kpi_tally, numeric) IS
'Step of the aggregates over observations: the state with one observation more, which it may have changed in place. A row without value or weight leaves the state alone. Error: 22003 for a number that is not finite, or beyond 30 digits before and 20 after the decimal point.';

CREATE FUNCTION kpi.tally_observe_step(@extschema@.kpi_tally, numeric, numeric) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_observe_step';
COMMENT ON FUNCTION kpi.tally_observe_step(@extschema@.kpi_tally, numeric, numeric) IS
'Step of the aggregates over observations: the state with one observation more, which it may have changed in place. A row without value or weight leaves the state alone. Error: 22003 for a number that is not finite, or beyond 30 digits before and 20 after the decimal point.';

CREATE FUNCTION kpi.tally_observe_moving(@extschema@.kpi_tally, numeric) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_observe_moving';
COMMENT ON FUNCTION kpi.tally_observe_moving(@extschema@.kpi_tally, numeric) IS
'Step of the aggregates over observations in moving frames: as kpi.tally_observe_step, but never null; a state that has taken in no row yet reads as an empty tally.';

CREATE FUNCTION kpi.tally_observe_moving(@extschema@.kpi_tally, numeric, numeric) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_observe_moving';
COMMENT ON FUNCTION kpi.tally_observe_moving(@extschema@.kpi_tally, numeric, numeric) IS
'Step of the aggregates over observations in moving frames: as kpi.tally_observe_step, but never null; a state that has taken in no row yet reads as an empty tally.';

CREATE FUNCTION kpi.tally_observe_inverse(@extschema@.kpi_tally, numeric) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_observe_inverse';
COMMENT ON FUNCTION kpi.tally_observe_inverse(@extschema@.kpi_tally, numeric) IS
'Inverse step of the aggregates over observations, for moving frames: the state without that observation. Null, so that the frame is computed afresh, where the observation touches an extreme or is the last.';

CREATE FUNCTION kpi.tally_observe_inverse(@extschema@.kpi_tally, numeric, numeric) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_observe_inverse';
COMMENT ON FUNCTION kpi.tally_observe_inverse(@extschema@.kpi_tally, numeric, numeric) IS
'Inverse step of the aggregates over observations, for moving frames: the state without that observation. Null, so that the frame is computed afresh, where the observation touches an extreme or is the last.';

CREATE FUNCTION kpi.tally_merge_step(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_merge_step';
COMMENT ON FUNCTION kpi.tally_merge_step(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Step of kpi.merge_agg and combining step of all aggregates over tallies: the state, which it may have changed in place, with the tally merged. A null tally leaves the state alone.';

CREATE FUNCTION kpi.tally_merge_moving(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_merge_moving';
COMMENT ON FUNCTION kpi.tally_merge_moving(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Step of kpi.merge_agg in moving frames: as kpi.tally_merge_step, but never null; a state that has taken in no tally yet reads as an empty one.';

CREATE FUNCTION kpi.tally_merge_inverse(@extschema@.kpi_tally, @extschema@.kpi_tally) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_merge_inverse';
COMMENT ON FUNCTION kpi.tally_merge_inverse(@extschema@.kpi_tally, @extschema@.kpi_tally) IS
'Inverse step of kpi.merge_agg, for moving frames: the state without that tally. Null, so that the frame is computed afresh, where the tally touches an extreme, where extremes are unknown, or where it is the last.';

CREATE FUNCTION kpi.tally_moving_final(@extschema@.kpi_tally) RETURNS @extschema@.kpi_tally
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_tally_moving_final';
COMMENT ON FUNCTION kpi.tally_moving_final(@extschema@.kpi_tally) IS
'What aggregates over tallies show for a moving frame: the state; null where it has taken in no row.';

CREATE AGGREGATE kpi.tally_agg(value numeric) (
    SFUNC = kpi.tally_observe_step,
    STYPE = @extschema@.kpi_tally,
    COMBINEFUNC = kpi.tally_merge_step,
    MSFUNC = kpi.tally_observe_moving,
    MINVFUNC = kpi.tally_observe_inverse,
    MSTYPE = @extschema@.kpi_tally,
    MFINALFUNC = kpi.tally_moving_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE kpi.tally_agg(numeric) IS
'The tally of the values, each with weight 1. Rows without a value are left out; null where none is left. Error: 22003 for a value that is not finite, or beyond 30 digits before and 20 after the decimal point.';

CREATE AGGREGATE kpi.tally_agg(value numeric, weight numeric) (
    SFUNC = kpi.tally_observe_step,
    STYPE = @extschema@.kpi_tally,
    COMBINEFUNC = kpi.tally_merge_step,
    MSFUNC = kpi.tally_observe_moving,
    MINVFUNC = kpi.tally_observe_inverse,
    MSTYPE = @extschema@.kpi_tally,
    MFINALFUNC = kpi.tally_moving_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE kpi.tally_agg(numeric, numeric) IS
'The tally of the values with their weights; for a ratio, value is the numerator and weight the denominator. Rows without a value or without a weight are left out; null where none is left. Error: 22003 for a value or weight that is not finite, or beyond 30 digits before and 20 after the decimal point.';

CREATE AGGREGATE kpi.merge_agg(tally @extschema@.kpi_tally) (
    SFUNC = kpi.tally_merge_step,
    STYPE = @extschema@.kpi_tally,
    COMBINEFUNC = kpi.tally_merge_step,
    MSFUNC = kpi.tally_merge_moving,
    MINVFUNC = kpi.tally_merge_inverse,
    MSTYPE = @extschema@.kpi_tally,
    MFINALFUNC = kpi.tally_moving_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE kpi.merge_agg(@extschema@.kpi_tally) IS
'All tallies merged, as by tally + tally. Nulls are left out; null where none is left. Extremes are unknown where any of the tallies does not know them.';

CREATE AGGREGATE kpi.weighted_mean(value numeric, weight numeric) (
    SFUNC = kpi.tally_observe_step,
    STYPE = @extschema@.kpi_tally,
    FINALFUNC = kpi.weighted_mean,
    COMBINEFUNC = kpi.tally_merge_step,
    MSFUNC = kpi.tally_observe_moving,
    MINVFUNC = kpi.tally_observe_inverse,
    MSTYPE = @extschema@.kpi_tally,
    MFINALFUNC = kpi.weighted_mean,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE kpi.weighted_mean(numeric, numeric) IS
'The sum of value * weight over the sum of the weights, rounded once, half away from zero, to 12 decimal places; null where the weights sum to 0. Rows without a value or without a weight are left out. Error: 22003 for a value or weight that is not finite, or beyond 30 digits before and 20 after the decimal point.';
