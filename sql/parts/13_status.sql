-- kpi_status: how a KPI stands in a period, and the worst of many

CREATE TYPE @extschema@.kpi_status AS ENUM ('no_data', 'no_target', 'off_track', 'at_risk', 'on_track', 'exceeded');
COMMENT ON TYPE @extschema@.kpi_status IS
'How a KPI stands in a period. no_data: no actual and no score; no_target: an actual, but no score; then from worst to best off_track, at_risk, on_track, exceeded.';

CREATE CAST (text AS @extschema@.kpi_status) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (text AS @extschema@.kpi_status) IS
'Reads the text form, so that text parameters of drivers fit a kpi_status column.';

CREATE CAST (varchar AS @extschema@.kpi_status) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (varchar AS @extschema@.kpi_status) IS
'Reads the text form, so that varchar parameters of drivers fit a kpi_status column.';

-- of two that both say something, or both say nothing, the lesser; else the one that says something
CREATE FUNCTION kpi.worse(@extschema@.kpi_status, @extschema@.kpi_status) RETURNS @extschema@.kpi_status
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN ($1 OPERATOR(pg_catalog.>) 'no_target'::@extschema@.kpi_status)
                     OPERATOR(pg_catalog.=) ($2 OPERATOR(pg_catalog.>) 'no_target'::@extschema@.kpi_status)
                THEN LEAST($1, $2) ELSE GREATEST($1, $2) END;
COMMENT ON FUNCTION kpi.worse(@extschema@.kpi_status, @extschema@.kpi_status) IS
'The worse of two statuses. no_data and no_target give way to any other; of these two no_data is the worse. Null where one is null.';

CREATE AGGREGATE kpi.worst(@extschema@.kpi_status) (
    SFUNC = kpi.worse,
    STYPE = @extschema@.kpi_status,
    COMBINEFUNC = kpi.worse,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE kpi.worst(@extschema@.kpi_status) IS
'The worst status of a set. no_data and no_target count only where there is nothing else, and then no_data is the worse; nulls never count. Null for the empty set.';
