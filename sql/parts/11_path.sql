-- kpi_path: the place of a unit in its organisation, acme.sales.emea.
-- Layout and order: src/path.h; C faces: src/path_sql.c.

CREATE TYPE @extschema@.kpi_path;

CREATE FUNCTION kpi.path_in(cstring) RETURNS @extschema@.kpi_path
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_in';
COMMENT ON FUNCTION kpi.path_in(cstring) IS
    'input of kpi_path; malformed text is error 22P02';
CREATE FUNCTION kpi.path_out(@extschema@.kpi_path) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_out';
COMMENT ON FUNCTION kpi.path_out(@extschema@.kpi_path) IS
    'output of kpi_path: its labels joined by dots';
CREATE FUNCTION kpi.path_recv(internal) RETURNS @extschema@.kpi_path
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_recv';
COMMENT ON FUNCTION kpi.path_recv(internal) IS
    'binary input of kpi_path: the text form in the client encoding; malformed text is error 22P03';
CREATE FUNCTION kpi.path_send(@extschema@.kpi_path) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_send';
COMMENT ON FUNCTION kpi.path_send(@extschema@.kpi_path) IS
    'binary output of kpi_path: the text form in the client encoding';

CREATE TYPE @extschema@.kpi_path (
    INPUT = kpi.path_in,
    OUTPUT = kpi.path_out,
    RECEIVE = kpi.path_recv,
    SEND = kpi.path_send,
    INTERNALLENGTH = VARIABLE,
    STORAGE = extended
);
COMMENT ON TYPE @extschema@.kpi_path IS
    'place in the organisation: 1 to 64 labels joined by dots, as acme.sales.emea; a label is 1 to 63 bytes of ASCII letters, digits, _, - and non-ASCII characters; case matters; sorts depth-first in every locale';

-- Assignment only: parameters of drivers fit into columns, and no text turns into a path unasked.
CREATE CAST (text AS @extschema@.kpi_path) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (text AS @extschema@.kpi_path) IS 'reads a path; malformed text is error 22P02';
CREATE CAST (varchar AS @extschema@.kpi_path) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (varchar AS @extschema@.kpi_path) IS 'reads a path; malformed text is error 22P02';

-- comparison

CREATE FUNCTION kpi.path_eq(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_eq';
COMMENT ON FUNCTION kpi.path_eq(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'are the paths equal';
CREATE FUNCTION kpi.path_ne(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_ne';
COMMENT ON FUNCTION kpi.path_ne(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'do the paths differ';
CREATE FUNCTION kpi.path_lt(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_lt';
COMMENT ON FUNCTION kpi.path_lt(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'does the first path come before the second, depth-first';
CREATE FUNCTION kpi.path_le(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_le';
COMMENT ON FUNCTION kpi.path_le(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'does the first path come before the second, depth-first, or equal it';
CREATE FUNCTION kpi.path_gt(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_gt';
COMMENT ON FUNCTION kpi.path_gt(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'does the first path come after the second, depth-first';
CREATE FUNCTION kpi.path_ge(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_ge';
COMMENT ON FUNCTION kpi.path_ge(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'does the first path come after the second, depth-first, or equal it';
CREATE FUNCTION kpi.path_cmp(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_cmp';
COMMENT ON FUNCTION kpi.path_cmp(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'below 0, 0 or above 0 as the first path comes before, equals or comes after the second, depth-first';
CREATE FUNCTION kpi.path_sortsupport(internal) RETURNS void
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_sortsupport';
COMMENT ON FUNCTION kpi.path_sortsupport(internal) IS
    'sort support of kpi_path';
CREATE FUNCTION kpi.path_hash(@extschema@.kpi_path) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_hash';
COMMENT ON FUNCTION kpi.path_hash(@extschema@.kpi_path) IS
    'hash of a path';
CREATE FUNCTION kpi.path_hash_extended(@extschema@.kpi_path, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_hash_extended';
COMMENT ON FUNCTION kpi.path_hash_extended(@extschema@.kpi_path, bigint) IS
    '64-bit hash of a path with a seed';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = @extschema@.kpi_path, FUNCTION = kpi.path_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.kpi_path, @extschema@.kpi_path) IS 'equal';
CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = @extschema@.kpi_path, FUNCTION = kpi.path_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.kpi_path, @extschema@.kpi_path) IS 'not equal';
CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = @extschema@.kpi_path, FUNCTION = kpi.path_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.kpi_path, @extschema@.kpi_path) IS 'comes before, depth-first';
CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = @extschema@.kpi_path, FUNCTION = kpi.path_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.kpi_path, @extschema@.kpi_path) IS 'comes before, depth-first, or is equal';
CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = @extschema@.kpi_path, FUNCTION = kpi.path_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.kpi_path, @extschema@.kpi_path) IS 'comes after, depth-first';
CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = @extschema@.kpi_path, FUNCTION = kpi.path_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<), RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.kpi_path, @extschema@.kpi_path) IS 'comes after, depth-first, or is equal';

CREATE OPERATOR CLASS @extschema@.kpi_path_ops DEFAULT FOR TYPE @extschema@.kpi_path USING btree AS
    OPERATOR 1 @extschema@.<, OPERATOR 2 @extschema@.<=, OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=, OPERATOR 5 @extschema@.>,
    FUNCTION 1 kpi.path_cmp(@extschema@.kpi_path, @extschema@.kpi_path),
    FUNCTION 2 kpi.path_sortsupport(internal),
    -- equal paths have equal bytes, so an index may keep one of them
    FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS @extschema@.kpi_path_ops USING btree IS 'depth-first order of paths; serves <@ as a range, too';
COMMENT ON OPERATOR FAMILY @extschema@.kpi_path_ops USING btree IS 'depth-first order of paths';
CREATE OPERATOR CLASS @extschema@.kpi_path_ops DEFAULT FOR TYPE @extschema@.kpi_path USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 kpi.path_hash(@extschema@.kpi_path),
    FUNCTION 2 kpi.path_hash_extended(@extschema@.kpi_path, bigint);
COMMENT ON OPERATOR CLASS @extschema@.kpi_path_ops USING hash IS 'equality of paths';
COMMENT ON OPERATOR FAMILY @extschema@.kpi_path_ops USING hash IS 'equality of paths';

-- containment, with a btree range where the upper path is known before the scan

CREATE FUNCTION kpi.subtree_end(@extschema@.kpi_path) RETURNS @extschema@.kpi_path
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_subtree_end';
COMMENT ON FUNCTION kpi.subtree_end(@extschema@.kpi_path) IS
    'the lowest value above a path and its whole subtree: path <@ p is path >= p AND path < subtree_end(p). A bound to compare with, not a value to keep: it may be one byte longer than a path can be';
CREATE FUNCTION kpi.path_contains_support(internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_contains_support';
COMMENT ON FUNCTION kpi.path_contains_support(internal) IS
    'planner support of @> on paths: an index range';
CREATE FUNCTION kpi.path_contained_by_support(internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_contained_by_support';
COMMENT ON FUNCTION kpi.path_contained_by_support(internal) IS
    'planner support of <@ on paths: an index range';
CREATE FUNCTION kpi.path_contains_path(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    SUPPORT kpi.path_contains_support AS 'MODULE_PATHNAME', 'kpi_path_contains_path';
COMMENT ON FUNCTION kpi.path_contains_path(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'is the first path an ancestor of the second, or equal to it';
CREATE FUNCTION kpi.path_contained_by_path(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
    SUPPORT kpi.path_contained_by_support AS 'MODULE_PATHNAME', 'kpi_path_contained_by_path';
COMMENT ON FUNCTION kpi.path_contained_by_path(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'does the first path lie in the subtree of the second, or equal it';
CREATE OPERATOR @extschema@.@> (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = @extschema@.kpi_path, FUNCTION = kpi.path_contains_path,
    COMMUTATOR = OPERATOR(@extschema@.<@), RESTRICT = matchingsel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR @extschema@.@> (@extschema@.kpi_path, @extschema@.kpi_path) IS 'is an ancestor of, or equal';
CREATE OPERATOR @extschema@.<@ (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = @extschema@.kpi_path, FUNCTION = kpi.path_contained_by_path,
    COMMUTATOR = OPERATOR(@extschema@.@>), RESTRICT = matchingsel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR @extschema@.<@ (@extschema@.kpi_path, @extschema@.kpi_path) IS 'lies in the subtree of, or equal';

-- Drivers send string parameters as varchar or text: column = $1 must find an
-- operator.  These are inlined, so that they use indexes as the ones above do.

CREATE FUNCTION kpi.path_eq_text(@extschema@.kpi_path, text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN $1 OPERATOR(@extschema@.=) $2::@extschema@.kpi_path;
COMMENT ON FUNCTION kpi.path_eq_text(@extschema@.kpi_path, text) IS
    'the operator = with a path in text form; malformed text is error 22P02';
CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = text, FUNCTION = kpi.path_eq_text, RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.kpi_path, text) IS 'equal; the text is read as a path';
CREATE FUNCTION kpi.path_ne_text(@extschema@.kpi_path, text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN $1 OPERATOR(@extschema@.<>) $2::@extschema@.kpi_path;
COMMENT ON FUNCTION kpi.path_ne_text(@extschema@.kpi_path, text) IS
    'the operator <> with a path in text form; malformed text is error 22P02';
CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = text, FUNCTION = kpi.path_ne_text, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.kpi_path, text) IS 'not equal; the text is read as a path';
CREATE FUNCTION kpi.path_lt_text(@extschema@.kpi_path, text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN $1 OPERATOR(@extschema@.<) $2::@extschema@.kpi_path;
COMMENT ON FUNCTION kpi.path_lt_text(@extschema@.kpi_path, text) IS
    'the operator < with a path in text form; malformed text is error 22P02';
CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = text, FUNCTION = kpi.path_lt_text, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.kpi_path, text) IS 'comes before, depth-first; the text is read as a path';
CREATE FUNCTION kpi.path_le_text(@extschema@.kpi_path, text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN $1 OPERATOR(@extschema@.<=) $2::@extschema@.kpi_path;
COMMENT ON FUNCTION kpi.path_le_text(@extschema@.kpi_path, text) IS
    'the operator <= with a path in text form; malformed text is error 22P02';
CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = text, FUNCTION = kpi.path_le_text, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.kpi_path, text) IS 'comes before, depth-first, or is equal; the text is read as a path';
CREATE FUNCTION kpi.path_gt_text(@extschema@.kpi_path, text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN $1 OPERATOR(@extschema@.>) $2::@extschema@.kpi_path;
COMMENT ON FUNCTION kpi.path_gt_text(@extschema@.kpi_path, text) IS
    'the operator > with a path in text form; malformed text is error 22P02';
CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = text, FUNCTION = kpi.path_gt_text, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.kpi_path, text) IS 'comes after, depth-first; the text is read as a path';
CREATE FUNCTION kpi.path_ge_text(@extschema@.kpi_path, text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN $1 OPERATOR(@extschema@.>=) $2::@extschema@.kpi_path;
COMMENT ON FUNCTION kpi.path_ge_text(@extschema@.kpi_path, text) IS
    'the operator >= with a path in text form; malformed text is error 22P02';
CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = text, FUNCTION = kpi.path_ge_text, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.kpi_path, text) IS 'comes after, depth-first, or is equal; the text is read as a path';
CREATE FUNCTION kpi.path_contains_text(@extschema@.kpi_path, text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN $1 OPERATOR(@extschema@.@>) $2::@extschema@.kpi_path;
COMMENT ON FUNCTION kpi.path_contains_text(@extschema@.kpi_path, text) IS
    'the operator @> with a path in text form; malformed text is error 22P02';
CREATE OPERATOR @extschema@.@> (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = text, FUNCTION = kpi.path_contains_text, RESTRICT = matchingsel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR @extschema@.@> (@extschema@.kpi_path, text) IS 'is an ancestor of, or equal; the text is read as a path';
CREATE FUNCTION kpi.path_contained_by_text(@extschema@.kpi_path, text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN $1 OPERATOR(@extschema@.<@) $2::@extschema@.kpi_path;
COMMENT ON FUNCTION kpi.path_contained_by_text(@extschema@.kpi_path, text) IS
    'the operator <@ with a path in text form; malformed text is error 22P02';
CREATE OPERATOR @extschema@.<@ (
    LEFTARG = @extschema@.kpi_path, RIGHTARG = text, FUNCTION = kpi.path_contained_by_text, RESTRICT = matchingsel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR @extschema@.<@ (@extschema@.kpi_path, text) IS 'lies in the subtree of, or equal; the text is read as a path';

-- taking apart and putting together

CREATE FUNCTION kpi.depth(@extschema@.kpi_path) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_depth';
COMMENT ON FUNCTION kpi.depth(@extschema@.kpi_path) IS
    'number of labels, 1 for a root';
CREATE FUNCTION kpi.parent(@extschema@.kpi_path) RETURNS @extschema@.kpi_path
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_parent';
COMMENT ON FUNCTION kpi.parent(@extschema@.kpi_path) IS
    'the path without its last label; null for a root';
CREATE FUNCTION kpi.label(@extschema@.kpi_path, n integer) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_label';
COMMENT ON FUNCTION kpi.label(@extschema@.kpi_path, integer) IS
    'label n, counted from 1, or from the end where n is negative; null where there is no such label';
CREATE FUNCTION kpi.subpath(@extschema@.kpi_path, first integer, last integer) RETURNS @extschema@.kpi_path
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_subpath';
COMMENT ON FUNCTION kpi.subpath(@extschema@.kpi_path, integer, integer) IS
    'labels first to last, counted from 1, or from the end where negative; null unless both exist and first does not come after last';
CREATE FUNCTION kpi.common_ancestor(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS @extschema@.kpi_path
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_common_ancestor';
COMMENT ON FUNCTION kpi.common_ancestor(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'the deepest path that is an ancestor of both, or equal to them; null where they have no first label in common';
CREATE FUNCTION kpi.path_append_path(@extschema@.kpi_path, @extschema@.kpi_path) RETURNS @extschema@.kpi_path
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_append_path';
COMMENT ON FUNCTION kpi.path_append_path(@extschema@.kpi_path, @extschema@.kpi_path) IS
    'the labels of the first path, then those of the second; more than 64 are error 54000';
CREATE FUNCTION kpi.path_append_label(@extschema@.kpi_path, text) RETURNS @extschema@.kpi_path
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_path_append_label';
COMMENT ON FUNCTION kpi.path_append_label(@extschema@.kpi_path, text) IS
    'the path with one more label; a malformed label is error 22023, a path of more than 64 labels 54000';
CREATE OPERATOR @extschema@.|| (LEFTARG = @extschema@.kpi_path, RIGHTARG = @extschema@.kpi_path, FUNCTION = kpi.path_append_path);
COMMENT ON OPERATOR @extschema@.|| (@extschema@.kpi_path, @extschema@.kpi_path) IS 'append a path';
CREATE OPERATOR @extschema@.|| (LEFTARG = @extschema@.kpi_path, RIGHTARG = text, FUNCTION = kpi.path_append_label);
COMMENT ON OPERATOR @extschema@.|| (@extschema@.kpi_path, text) IS 'append one label';

-- the common ancestor of many

CREATE FUNCTION kpi.common_ancestor_transition(bytea, @extschema@.kpi_path) RETURNS bytea
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_common_ancestor_transition';
COMMENT ON FUNCTION kpi.common_ancestor_transition(bytea, @extschema@.kpi_path) IS
    'transition function of the aggregate common_ancestor; not strict, because the state is null before the first path';
CREATE FUNCTION kpi.common_ancestor_combine(bytea, bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_common_ancestor_combine';
COMMENT ON FUNCTION kpi.common_ancestor_combine(bytea, bytea) IS
    'combine function of the aggregate common_ancestor';
CREATE FUNCTION kpi.common_ancestor_final(bytea) RETURNS @extschema@.kpi_path
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_common_ancestor_final';
COMMENT ON FUNCTION kpi.common_ancestor_final(bytea) IS
    'final function of the aggregate common_ancestor; bytes that are no path are error 22P03';
CREATE AGGREGATE kpi.common_ancestor(@extschema@.kpi_path) (
    SFUNC = kpi.common_ancestor_transition,
    STYPE = bytea,
    COMBINEFUNC = kpi.common_ancestor_combine,
    FINALFUNC = kpi.common_ancestor_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE kpi.common_ancestor(@extschema@.kpi_path) IS
    'the deepest path that is an ancestor of all of them, or equal to them; null where they have no first label in common, or there are none; nulls are left out';
