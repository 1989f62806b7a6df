-- kpi_grain and kpi_period: the time that KPIs are measured in

CREATE TYPE @extschema@.kpi_grain AS ENUM ('day', 'week', 'month', 'quarter', 'half', 'year');
COMMENT ON TYPE @extschema@.kpi_grain IS
'How long a period is: day, week (ISO 8601), month, quarter, half or year, in this order. Days roll up to all others, months to quarters, halves and years, quarters to halves and years, halves to years; weeks to nothing.';

CREATE TYPE @extschema@.kpi_period;

CREATE FUNCTION kpi.period_in(cstring) RETURNS @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_in';
COMMENT ON FUNCTION kpi.period_in(cstring) IS
'Reads the text form of a period. Errors: 22P02 for any other form, 22008 for a period that does not exist or is out of range.';

CREATE FUNCTION kpi.period_out(@extschema@.kpi_period) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_out';
COMMENT ON FUNCTION kpi.period_out(@extschema@.kpi_period) IS
'Writes the text form of a period: 2026, 2026-H1, 2026-Q3, 2026-08, 2026-W34, 2026-08-14, FY2027/04, FY2027-H1/04 or FY2027-Q1/04.';

CREATE FUNCTION kpi.period_recv(internal) RETURNS @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_recv';
COMMENT ON FUNCTION kpi.period_recv(internal) IS
'Reads the binary form of a period, the four bytes of its layout. Error: 22P03 where they are no period.';

CREATE FUNCTION kpi.period_send(@extschema@.kpi_period) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_send';
COMMENT ON FUNCTION kpi.period_send(@extschema@.kpi_period) IS
'Writes the binary form of a period, the four bytes of its layout, highest byte first.';

CREATE TYPE @extschema@.kpi_period (
    INPUT = kpi.period_in,
    OUTPUT = kpi.period_out,
    RECEIVE = kpi.period_recv,
    SEND = kpi.period_send,
    INTERNALLENGTH = 4,
    PASSEDBYVALUE,
    ALIGNMENT = int4,
    STORAGE = plain
);
COMMENT ON TYPE @extschema@.kpi_period IS
'A day, ISO week, month, quarter, half or year within the years 0001 to 9999: 2026-08-14, 2026-W34, 2026-08, 2026-Q3, 2026-H1, 2026. A fiscal year is named by the calendar year in which it ends and carries the month in which it starts: FY2027/04, FY2027-H1/04, FY2027-Q1/04; with /01 it reads as the calendar form. Order: grain, then start, then fiscal start. Four bytes: grain (3 bits, 1 day to 6 year), days, weeks or months since 0001-01-01 of its first day (25 bits), fiscal start month (4 bits).';

CREATE CAST (text AS @extschema@.kpi_grain) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (text AS @extschema@.kpi_grain) IS
'Reads the text form, so that text parameters of drivers fit a kpi_grain column.';

CREATE CAST (varchar AS @extschema@.kpi_grain) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (varchar AS @extschema@.kpi_grain) IS
'Reads the text form, so that varchar parameters of drivers fit a kpi_grain column.';

CREATE CAST (text AS @extschema@.kpi_period) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (text AS @extschema@.kpi_period) IS
'Reads the text form, so that text parameters of drivers fit a kpi_period column.';

CREATE CAST (varchar AS @extschema@.kpi_period) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (varchar AS @extschema@.kpi_period) IS
'Reads the text form, so that varchar parameters of drivers fit a kpi_period column.';

-- ---- making periods and asking about them ----

CREATE FUNCTION kpi.period(day date, grain @extschema@.kpi_grain, fiscal_start integer DEFAULT 1) RETURNS @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period';
COMMENT ON FUNCTION kpi.period(date, @extschema@.kpi_grain, integer) IS
'The period of that grain that contains the day. fiscal_start is the month, 1 to 12, in which quarters, halves and years are counted from; it does not matter for day, week and month. Error: 22023 unless fiscal_start is 1 to 12, 22008 where the period would be out of range or the day is infinite.';

CREATE FUNCTION kpi.grain(@extschema@.kpi_period) RETURNS @extschema@.kpi_grain
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_grain';
COMMENT ON FUNCTION kpi.grain(@extschema@.kpi_period) IS
'The grain of a period.';

CREATE FUNCTION kpi.fiscal_start(@extschema@.kpi_period) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_fiscal_start';
COMMENT ON FUNCTION kpi.fiscal_start(@extschema@.kpi_period) IS
'The month in which the fiscal year of a quarter, half or year starts, 1 to 12; 1 for day, week and month.';

CREATE FUNCTION kpi.first_day(@extschema@.kpi_period) RETURNS date
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_first_day';
COMMENT ON FUNCTION kpi.first_day(@extschema@.kpi_period) IS
'The first day of a period.';

CREATE FUNCTION kpi.last_day(@extschema@.kpi_period) RETURNS date
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_last_day';
COMMENT ON FUNCTION kpi.last_day(@extschema@.kpi_period) IS
'The last day of a period.';

CREATE FUNCTION kpi.days(@extschema@.kpi_period) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_days';
COMMENT ON FUNCTION kpi.days(@extschema@.kpi_period) IS
'How many days a period has.';

CREATE FUNCTION kpi.enclosing(period @extschema@.kpi_period, grain @extschema@.kpi_grain) RETURNS @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_enclosing';
COMMENT ON FUNCTION kpi.enclosing(@extschema@.kpi_period, @extschema@.kpi_grain) IS
'The one period of that grain, the same or a coarser one, that encloses the period; quarters, halves and years with the fiscal start of the period, which is 1 for day, week and month. Null where there is none: for a finer grain, from a week to anything coarser (some weeks straddle, so weeks belong to no month and no year), and where it would be out of range.';

CREATE FUNCTION kpi.enclosing(period @extschema@.kpi_period, grain @extschema@.kpi_grain, fiscal_start integer) RETURNS @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_enclosing';
COMMENT ON FUNCTION kpi.enclosing(@extschema@.kpi_period, @extschema@.kpi_grain, integer) IS
'The one period of that grain, the same or a coarser one, that encloses the period; quarters, halves and years with the given fiscal start. Null where there is none: for a finer grain, from a week to anything coarser (some weeks straddle, so weeks belong to no month and no year), where the period straddles two periods of that fiscal start, and where it would be out of range. Error: 22023 unless fiscal_start is 1 to 12.';

CREATE FUNCTION kpi.periods(period @extschema@.kpi_period, grain @extschema@.kpi_grain) RETURNS SETOF @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 12 AS 'MODULE_PATHNAME', 'kpi_periods';
COMMENT ON FUNCTION kpi.periods(@extschema@.kpi_period, @extschema@.kpi_grain) IS
'The periods of a finer grain, or the same, that the period consists of, in order; quarters and halves carry its fiscal start. They are those that have this period as their enclosing one, so there are none for a coarser grain, nor for weeks in anything but a week.';

CREATE FUNCTION kpi.generate_series(first @extschema@.kpi_period, last @extschema@.kpi_period) RETURNS SETOF @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 100 AS 'MODULE_PATHNAME', 'kpi_generate_series';
COMMENT ON FUNCTION kpi.generate_series(@extschema@.kpi_period, @extschema@.kpi_period) IS
'The periods from first to last, both included, in order; none where last is before first. Error: 22023 unless both have one grain and fiscal start.';

CREATE FUNCTION kpi.year_before(@extschema@.kpi_period) RETURNS @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_year_before';
COMMENT ON FUNCTION kpi.year_before(@extschema@.kpi_period) IS
'The same period a year earlier: month, quarter, half and year by the calendar, day by date. Null for weeks, for 29 February, and where it would be out of range.';

CREATE FUNCTION kpi.year_after(@extschema@.kpi_period) RETURNS @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_year_after';
COMMENT ON FUNCTION kpi.year_after(@extschema@.kpi_period) IS
'The period of which this one is the year_before. Null for weeks, for 29 February, and where it would be out of range.';

CREATE FUNCTION kpi.daterange(@extschema@.kpi_period) RETURNS daterange
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_daterange';
COMMENT ON FUNCTION kpi.daterange(@extschema@.kpi_period) IS
'The days of a period as a range, from its first day to the day after its last.';

CREATE CAST (@extschema@.kpi_period AS daterange) WITH FUNCTION kpi.daterange(@extschema@.kpi_period) AS ASSIGNMENT;
COMMENT ON CAST (@extschema@.kpi_period AS daterange) IS
'The days of a period, as kpi.daterange(period).';

-- ---- operators ----

CREATE FUNCTION kpi.period_plus(@extschema@.kpi_period, integer) RETURNS @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_plus';
COMMENT ON FUNCTION kpi.period_plus(@extschema@.kpi_period, integer) IS
'So many periods of the same grain later. Error: 22008 where it would be out of range.';

CREATE OPERATOR @extschema@.+ (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = integer, FUNCTION = kpi.period_plus
);
COMMENT ON OPERATOR @extschema@.+ (@extschema@.kpi_period, integer) IS
'So many periods of the same grain later. Error: 22008 where it would be out of range.';

CREATE FUNCTION kpi.period_minus(@extschema@.kpi_period, integer) RETURNS @extschema@.kpi_period
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_minus';
COMMENT ON FUNCTION kpi.period_minus(@extschema@.kpi_period, integer) IS
'So many periods of the same grain earlier. Error: 22008 where it would be out of range.';

CREATE OPERATOR @extschema@.- (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = integer, FUNCTION = kpi.period_minus
);
COMMENT ON OPERATOR @extschema@.- (@extschema@.kpi_period, integer) IS
'So many periods of the same grain earlier. Error: 22008 where it would be out of range.';

CREATE FUNCTION kpi.period_difference(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_difference';
COMMENT ON FUNCTION kpi.period_difference(@extschema@.kpi_period, @extschema@.kpi_period) IS
'How many periods the left one is later than the right one. Error: 22023 unless both have one grain and fiscal start.';

CREATE OPERATOR @extschema@.- (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_difference
);
COMMENT ON OPERATOR @extschema@.- (@extschema@.kpi_period, @extschema@.kpi_period) IS
'How many periods the left one is later than the right one. Error: 22023 unless both have one grain and fiscal start.';

CREATE FUNCTION kpi.period_contains_day(@extschema@.kpi_period, date) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_contains_day';
COMMENT ON FUNCTION kpi.period_contains_day(@extschema@.kpi_period, date) IS
'Does the period contain the day?';

CREATE OPERATOR @extschema@.@> (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = date, FUNCTION = kpi.period_contains_day,
    COMMUTATOR = OPERATOR(@extschema@.<@),
    RESTRICT = contsel,
    JOIN = contjoinsel
);
COMMENT ON OPERATOR @extschema@.@> (@extschema@.kpi_period, date) IS
'Does the period contain the day?';

CREATE FUNCTION kpi.day_in_period(date, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_day_in_period';
COMMENT ON FUNCTION kpi.day_in_period(date, @extschema@.kpi_period) IS
'Is the day in the period?';

CREATE OPERATOR @extschema@.<@ (
    LEFTARG = date, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.day_in_period,
    COMMUTATOR = OPERATOR(@extschema@.@>),
    RESTRICT = contsel,
    JOIN = contjoinsel
);
COMMENT ON OPERATOR @extschema@.<@ (date, @extschema@.kpi_period) IS
'Is the day in the period?';

CREATE FUNCTION kpi.period_contains(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_contains';
COMMENT ON FUNCTION kpi.period_contains(@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the period contain all days of the other?';

CREATE OPERATOR @extschema@.@> (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_contains,
    COMMUTATOR = OPERATOR(@extschema@.<@),
    RESTRICT = contsel,
    JOIN = contjoinsel
);
COMMENT ON OPERATOR @extschema@.@> (@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the period contain all days of the other?';

CREATE FUNCTION kpi.period_contained(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_contained';
COMMENT ON FUNCTION kpi.period_contained(@extschema@.kpi_period, @extschema@.kpi_period) IS
'Are all days of the period in the other?';

CREATE OPERATOR @extschema@.<@ (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_contained,
    COMMUTATOR = OPERATOR(@extschema@.@>),
    RESTRICT = contsel,
    JOIN = contjoinsel
);
COMMENT ON OPERATOR @extschema@.<@ (@extschema@.kpi_period, @extschema@.kpi_period) IS
'Are all days of the period in the other?';

CREATE FUNCTION kpi.period_overlaps(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_overlaps';
COMMENT ON FUNCTION kpi.period_overlaps(@extschema@.kpi_period, @extschema@.kpi_period) IS
'Have the two periods a day in common?';

CREATE OPERATOR @extschema@.&& (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_overlaps,
    COMMUTATOR = OPERATOR(@extschema@.&&),
    RESTRICT = contsel,
    JOIN = contjoinsel
);
COMMENT ON OPERATOR @extschema@.&& (@extschema@.kpi_period, @extschema@.kpi_period) IS
'Have the two periods a day in common?';

CREATE FUNCTION kpi.period_eq(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_eq';
COMMENT ON FUNCTION kpi.period_eq(@extschema@.kpi_period, @extschema@.kpi_period) IS
'The same grain, start and fiscal start? 2026-Q2 and FY2027-Q1/04 have the same days and are not equal.';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_eq,
    COMMUTATOR = OPERATOR(@extschema@.=),
    NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = eqsel,
    JOIN = eqjoinsel,
    HASHES,
    MERGES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.kpi_period, @extschema@.kpi_period) IS
'The same grain, start and fiscal start? 2026-Q2 and FY2027-Q1/04 have the same days and are not equal.';

CREATE FUNCTION kpi.period_ne(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_ne';
COMMENT ON FUNCTION kpi.period_ne(@extschema@.kpi_period, @extschema@.kpi_period) IS
'Another grain, start or fiscal start?';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>),
    NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = neqsel,
    JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.kpi_period, @extschema@.kpi_period) IS
'Another grain, start or fiscal start?';

CREATE FUNCTION kpi.period_lt(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_lt';
COMMENT ON FUNCTION kpi.period_lt(@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the left period sort before the right one: by grain, then start, then fiscal start?';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_lt,
    COMMUTATOR = OPERATOR(@extschema@.>),
    NEGATOR = OPERATOR(@extschema@.>=),
    RESTRICT = scalarltsel,
    JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR @extschema@.< (@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the left period sort before the right one: by grain, then start, then fiscal start?';

CREATE FUNCTION kpi.period_le(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_le';
COMMENT ON FUNCTION kpi.period_le(@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the left period sort before the right one, or is it equal: by grain, then start, then fiscal start?';

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_le,
    COMMUTATOR = OPERATOR(@extschema@.>=),
    NEGATOR = OPERATOR(@extschema@.>),
    RESTRICT = scalarlesel,
    JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR @extschema@.<= (@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the left period sort before the right one, or is it equal: by grain, then start, then fiscal start?';

CREATE FUNCTION kpi.period_gt(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_gt';
COMMENT ON FUNCTION kpi.period_gt(@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the left period sort after the right one: by grain, then start, then fiscal start?';

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_gt,
    COMMUTATOR = OPERATOR(@extschema@.<),
    NEGATOR = OPERATOR(@extschema@.<=),
    RESTRICT = scalargtsel,
    JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR @extschema@.> (@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the left period sort after the right one: by grain, then start, then fiscal start?';

CREATE FUNCTION kpi.period_ge(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_ge';
COMMENT ON FUNCTION kpi.period_ge(@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the left period sort after the right one, or is it equal: by grain, then start, then fiscal start?';

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.kpi_period, RIGHTARG = @extschema@.kpi_period, FUNCTION = kpi.period_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=),
    NEGATOR = OPERATOR(@extschema@.<),
    RESTRICT = scalargesel,
    JOIN = scalargejoinsel
);
COMMENT ON OPERATOR @extschema@.>= (@extschema@.kpi_period, @extschema@.kpi_period) IS
'Does the left period sort after the right one, or is it equal: by grain, then start, then fiscal start?';

-- ---- operator classes ----

CREATE FUNCTION kpi.period_cmp(@extschema@.kpi_period, @extschema@.kpi_period) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_cmp';
COMMENT ON FUNCTION kpi.period_cmp(@extschema@.kpi_period, @extschema@.kpi_period) IS
'Less than, equal to or greater than 0, as the left period sorts before, with or after the right one.';

CREATE FUNCTION kpi.period_sortsupport(internal) RETURNS void
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_sortsupport';
COMMENT ON FUNCTION kpi.period_sortsupport(internal) IS
'Support of sorting for the btree class of periods.';

CREATE FUNCTION kpi.period_in_range(@extschema@.kpi_period, @extschema@.kpi_period, integer, boolean, boolean) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_in_range';
COMMENT ON FUNCTION kpi.period_in_range(@extschema@.kpi_period, @extschema@.kpi_period, integer, boolean, boolean) IS
'Support of window frames RANGE BETWEEN n PRECEDING AND m FOLLOWING, in periods of the row''s own grain and fiscal start. Error: 22013 for a negative number.';

CREATE FUNCTION kpi.period_hash(@extschema@.kpi_period) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_hash';
COMMENT ON FUNCTION kpi.period_hash(@extschema@.kpi_period) IS
'Hash of a period.';

CREATE FUNCTION kpi.period_hash_extended(@extschema@.kpi_period, bigint) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'kpi_period_hash_extended';
COMMENT ON FUNCTION kpi.period_hash_extended(@extschema@.kpi_period, bigint) IS
'Hash of a period, with a salt.';

CREATE OPERATOR FAMILY @extschema@.kpi_period_ops USING btree;
COMMENT ON OPERATOR FAMILY @extschema@.kpi_period_ops USING btree IS 'Order of periods: grain, then start, then fiscal start.';
CREATE OPERATOR CLASS @extschema@.kpi_period_ops DEFAULT FOR TYPE @extschema@.kpi_period USING btree FAMILY @extschema@.kpi_period_ops AS
    OPERATOR 1 @extschema@.<,
    OPERATOR 2 @extschema@.<=,
    OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=,
    OPERATOR 5 @extschema@.>,
    FUNCTION 1 kpi.period_cmp(@extschema@.kpi_period, @extschema@.kpi_period),
    FUNCTION 2 kpi.period_sortsupport(internal),
    FUNCTION 3 (@extschema@.kpi_period, integer) kpi.period_in_range(@extschema@.kpi_period, @extschema@.kpi_period, integer, boolean, boolean),
    FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS @extschema@.kpi_period_ops USING btree IS 'Order of periods: grain, then start, then fiscal start.';

CREATE OPERATOR FAMILY @extschema@.kpi_period_ops USING hash;
COMMENT ON OPERATOR FAMILY @extschema@.kpi_period_ops USING hash IS 'Equality of periods.';
CREATE OPERATOR CLASS @extschema@.kpi_period_ops DEFAULT FOR TYPE @extschema@.kpi_period USING hash FAMILY @extschema@.kpi_period_ops AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 kpi.period_hash(@extschema@.kpi_period),
    FUNCTION 2 kpi.period_hash_extended(@extschema@.kpi_period, bigint);
COMMENT ON OPERATOR CLASS @extschema@.kpi_period_ops USING hash IS 'Equality of periods.';
