-- kpi.briefing(): a page of Markdown for everybody in a unit, that reads well as
-- it is and rendered.
--
-- All of it runs with the caller's rights and reads views, which row security
-- on kpi.unit limits.  What the page draws with is beyond ASCII only where the
-- database is UTF8.

-- ---------------------------------------------------------------- text

CREATE FUNCTION kpi.briefing_sign(name text) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF getdatabaseencoding() <> 'UTF8' THEN
        RETURN CASE name
            WHEN 'exceeded' THEN '+' WHEN 'on_track' THEN 'o' WHEN 'at_risk' THEN '!' WHEN 'off_track' THEN 'x' WHEN 'no_target' THEN '?' WHEN 'no_data' THEN '-'
            WHEN 'better' THEN '^' WHEN 'worse' THEN 'v' WHEN 'same' THEN '=' WHEN 'to' THEN '->'
            WHEN 'full' THEN '#' WHEN 'rest' THEN '.' WHEN 'steps' THEN '12345678' WHEN 'gap' THEN '.' WHEN 'seam' THEN ':' WHEN 'dot' THEN '/' ELSE '' END;
    END IF;
    RETURN convert_from(CASE name
        WHEN 'exceeded'  THEN '\xe29885'::bytea     -- star
        WHEN 'on_track'  THEN '\xe2978f'            -- circle
        WHEN 'at_risk'   THEN '\xe296b2'            -- triangle
        WHEN 'off_track' THEN '\xe29786'            -- diamond
        WHEN 'no_target' THEN '\xe2978b'            -- ring
        WHEN 'no_data'   THEN '\xe28093'            -- dash
        WHEN 'better'    THEN '\xe28697'            -- arrow up
        WHEN 'worse'     THEN '\xe28698'            -- arrow down
        WHEN 'same'      THEN '\xe28692'            -- arrow ahead
        WHEN 'to'        THEN '\xe28692'
        WHEN 'full'      THEN '\xe29688'            -- block
        WHEN 'rest'      THEN '\xe29691'            -- light shade
        WHEN 'steps'     THEN '\xe29681e29682e29683e29684e29685e29686e29687e29688'   -- an eighth to all of a block
        WHEN 'gap'       THEN '\xc2b7'              -- middle dot
        WHEN 'seam'      THEN '\xe29482'            -- line down
        WHEN 'dot'       THEN '\xc2b7'
        WHEN 'isolate'   THEN '\xe281a8'            -- what follows has its own direction of writing
        WHEN 'isolated'  THEN '\xe281a9'            -- until here
        ELSE '' END, 'UTF8');
END
$$;
COMMENT ON FUNCTION kpi.briefing_sign(text) IS 'Internal to kpi.briefing(): a shape, arrow or block; ASCII where the database has no other characters';

-- Entities and backslashes, and both only where they are needed: names shall be
-- readable in a terminal, too.  No caller begins a line with one, so that what
-- means something there only does not matter.
CREATE FUNCTION kpi.markdown_text(words text) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_utf8 constant boolean := getdatabaseencoding() = 'UTF8';
    result text := words;
BEGIN
    IF is_utf8 THEN
        -- marks that would turn what follows around
        result := regexp_replace(result, '[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]', '', 'g');
        result := regexp_replace(result, '[\u0080-\u00a0\u2028\u2029]', ' ', 'g');
    END IF;
    result := btrim(regexp_replace(result, '[\x01-\x20\x7f]+', ' ', 'g'));
    result := regexp_replace(result, '([\\*`|~]|\[|\])', '\\\1', 'g');
    -- within a word it means nothing
    result := regexp_replace(result, '(?<![[:alnum:]])_|_(?![[:alnum:]])', '\\_', 'g');
    result := regexp_replace(result, '&(?=#|[[:alpha:]][[:alnum:]]*;)', '&amp;', 'g');
    result := replace(replace(result, '<', '&lt;'), '>', '&gt;');
    IF is_utf8 AND result ~ '[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]' THEN
        result := kpi.briefing_sign('isolate') || result || kpi.briefing_sign('isolated');
    END IF;
    RETURN result;
END
$$;
COMMENT ON FUNCTION kpi.markdown_text(text) IS 'Internal to kpi.briefing(): words as they stand within a line of Markdown, in a cell of a table, too: no markup, one line, and writing from right to left kept apart';

CREATE FUNCTION kpi.display_width(words text) RETURNS integer
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shown text := words;
BEGIN
    IF getdatabaseencoding() <> 'UTF8' OR octet_length(words) = length(words) THEN
        RETURN length(words);
    END IF;
    -- joined emoji are one; marks are drawn on what is before them
    shown := regexp_replace(shown, '\u200d.', '', 'g');
    shown := regexp_replace(shown, '[\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]', '', 'g');
    RETURN length(shown) + length(shown) - length(regexp_replace(shown,
        '[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001f9ff\U0001fa70-\U0001faff\U00020000-\U0003fffd]', '', 'g'));
END
$$;
COMMENT ON FUNCTION kpi.display_width(text) IS 'Internal to kpi.briefing(): how many columns of a terminal words take: two for East Asian letters and emoji, none for marks';

CREATE FUNCTION kpi.markdown_table(header text[], alignment text, cells text[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    columns constant integer := cardinality(header);
    widths integer[] := '{}';
    line text[];
    result text := '';
    cell text;
    gap text;
BEGIN
    IF cardinality(cells) = 0 THEN
        RETURN NULL;
    END IF;
    FOR c IN 1 .. columns LOOP
        -- columns with nothing in them are left out; one long name does not widen the others
        widths := widths || (SELECT CASE WHEN max(t) <> '' THEN least(greatest(max(kpi.display_width(t)), kpi.display_width(header[c]), 3), 60) END
                               FROM unnest(cells[:][c:c]) AS t);
    END LOOP;
    FOREACH line SLICE 1 IN ARRAY ARRAY[header, array_fill(NULL::text, ARRAY[columns])] || cells LOOP
        FOR c IN 1 .. columns LOOP
            CONTINUE WHEN widths[c] IS NULL;
            cell := coalesce(line[c], CASE substr(alignment, c, 1) WHEN 'r' THEN repeat('-', widths[c] - 1) || ':' ELSE repeat('-', widths[c]) END);
            gap := repeat(' ', widths[c] - kpi.display_width(cell));
            result := result || '| ' || CASE substr(alignment, c, 1) WHEN 'r' THEN gap || cell ELSE cell || gap END || ' ';
        END LOOP;
        result := result || E'|\n';
    END LOOP;
    RETURN result;
END
$$;
COMMENT ON FUNCTION kpi.markdown_table(text[], text, text[]) IS 'Internal to kpi.briefing(): a table of cells that are Markdown already, rows by columns, with one letter of alignment a column, l or r; padded, so that it is a table in a terminal, too. Null without rows';

-- ---------------------------------------------------------------- figures

CREATE FUNCTION kpi.briefing_number(number numeric, signed boolean DEFAULT false) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN number IS NULL THEN ''
                WHEN abs(number) >= 1e15 THEN btrim(to_char(number, '9.999EEEE'))
                ELSE concat(CASE WHEN signed AND n.rounded > 0 THEN '+' END,
                            regexp_replace(split_part(n.rounded::text, '.', 1), '(\d)(?=(\d{3})+$)', '\1,', 'g'),
                            substring(n.rounded::text FROM '\..*')) END
      FROM (SELECT trim_scale(round(number, CASE WHEN abs(number) >= 1000 OR number IS NULL THEN 0 WHEN abs(number) >= 100 THEN 1 WHEN abs(number) >= 1 THEN 2 ELSE 4 END)) AS rounded) n
$$;
COMMENT ON FUNCTION kpi.briefing_number(numeric, boolean) IS 'Internal to kpi.briefing(): a number for people, with as many places as its size calls for; with a plus where signed. Nothing for null';

-- cut off, so that no 100% is at risk
CREATE FUNCTION kpi.briefing_percent(part numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN part IS NULL THEN '' ELSE kpi.briefing_number(floor(100 * part)) || '%' END $$;
COMMENT ON FUNCTION kpi.briefing_percent(numeric) IS 'Internal to kpi.briefing(): an attainment, score or share in per cent, cut off. Nothing for null';

CREATE FUNCTION kpi.briefing_bar(attained numeric) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN attained IS NULL THEN ''
                ELSE concat(repeat(kpi.briefing_sign('full'), n), repeat(kpi.briefing_sign('rest'), 10 - n), lpad(kpi.briefing_percent(attained), 5)) END
      FROM (SELECT floor(10 * least(greatest(attained, 0), 1))::integer AS n) t
$$;
COMMENT ON FUNCTION kpi.briefing_bar(numeric) IS 'Internal to kpi.briefing(): an attainment as a bar of ten blocks and in per cent. Nothing for null';

-- Each measure has a scale of its own, and a line between it and the next.
CREATE FUNCTION kpi.briefing_sparkline(points kpi.series_point[]) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH numbered AS (
        SELECT p.actual, p.kpi_id, p.place, count(p.kpi_id) OVER (ORDER BY p.place) AS nth
          FROM unnest(points) WITH ORDINALITY AS p (measure, period, actual, target, attainment, attainment_to_date, score, status, coverage, kpi_id, place)
    ), point AS (
        -- a gap is in the measure before it
        SELECT n.actual, n.place, max(n.kpi_id) OVER (PARTITION BY n.nth) AS of_kpi FROM numbered n
    ), scaled AS (
        SELECT p.*, min(p.actual) OVER (PARTITION BY p.of_kpi) AS low, max(p.actual) OVER (PARTITION BY p.of_kpi) AS high,
               lag(p.of_kpi) OVER (ORDER BY p.place) AS kpi_before, min(p.place) FILTER (WHERE p.actual IS NOT NULL) OVER () AS first
          FROM point p
    )
    SELECT coalesce(string_agg(concat(CASE WHEN s.kpi_before <> s.of_kpi AND s.place > s.first THEN kpi.briefing_sign('seam') END,
                                      CASE WHEN s.actual IS NULL THEN kpi.briefing_sign('gap')
                                           WHEN s.high = s.low THEN substr(kpi.briefing_sign('steps'), 4, 1)
                                           ELSE substr(kpi.briefing_sign('steps'), 1 + round(7 * (s.actual - s.low) / (s.high - s.low))::integer, 1) END),
                               '' ORDER BY s.place), '')
      FROM scaled s
     WHERE s.place >= s.first
$$;
COMMENT ON FUNCTION kpi.briefing_sparkline(kpi.series_point[]) IS 'Internal to kpi.briefing(): actuals as blocks from the lowest to the highest, from the first that is known on, with dots where none is';

-- ---------------------------------------------------------------- what is read

-- As a word, or at the beginning of one where it is not but a letter or two: "h" is not in "ship", "order" is in "Orders".
CREATE FUNCTION kpi.names_unit(name text, unit_of_measure text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT lower(name) ~ concat(CASE WHEN u ~ '^\w' THEN '(^|\W)' END, regexp_replace(u, '(\W)', '\\\1', 'g'), CASE WHEN length(u) < 3 AND u ~ '\w$' THEN '($|\W)' END)
      FROM lower(unit_of_measure) AS u
$$;
COMMENT ON FUNCTION kpi.names_unit(text, text) IS 'Internal to kpi.briefing(): does the name of a measure say already in what it counts?';

CREATE TYPE kpi.briefed_kpi AS (
    kpi_id      bigint,
    measure     text,
    name        text,
    period      @extschema@.kpi_period,
    actual      numeric,
    target      text,
    attained    numeric,
    status      @extschema@.kpi_status,
    old_status  @extschema@.kpi_status,
    coverage    numeric,
    travel      text,
    predecessor text,
    points      kpi.series_point[]
);
COMMENT ON TYPE kpi.briefed_kpi IS 'Internal to kpi.briefing(): a KPI of the unit and how it stands';
COMMENT ON COLUMN kpi.briefed_kpi.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.briefed_kpi.measure IS 'Code of its measure';
COMMENT ON COLUMN kpi.briefed_kpi.name IS 'Its name for people, with the unit of measure, in Markdown';
COMMENT ON COLUMN kpi.briefed_kpi.period IS 'The period of the figures: the one briefed, or one around it where the measure''s grain is coarser; null where it has none';
COMMENT ON COLUMN kpi.briefed_kpi.actual IS 'Its actual';
COMMENT ON COLUMN kpi.briefed_kpi.target IS 'Its target to date, or the range it is to stay in, for people';
COMMENT ON COLUMN kpi.briefed_kpi.attained IS 'Attainment of the target to date, or the score of a KPI that has no number of its own';
COMMENT ON COLUMN kpi.briefed_kpi.status IS 'Its status; no_data where it has no row';
COMMENT ON COLUMN kpi.briefed_kpi.old_status IS 'Its status in the period before';
COMMENT ON COLUMN kpi.briefed_kpi.coverage IS 'How much of the actual is known';
COMMENT ON COLUMN kpi.briefed_kpi.travel IS 'better, worse or same than the period before';
COMMENT ON COLUMN kpi.briefed_kpi.predecessor IS 'Code of the measure that it replaced, while that is among the points';
COMMENT ON COLUMN kpi.briefed_kpi.points IS 'Twelve periods up to this one';

CREATE VIEW kpi.unit_reach AS
SELECT u.unit_id,
       o.objective_id,
       cardinality(b.members) AS members,
       (SELECT count(*) FROM kpi.acknowledgement a WHERE a.objective_id = o.objective_id AND a.member_id = ANY (b.members)) AS seen
  FROM kpi.unit u
 CROSS JOIN kpi.objective o
 CROSS JOIN LATERAL (
    SELECT ARRAY(SELECT DISTINCT s.member_id
                   FROM kpi.unit_path t
                   JOIN kpi.unit_path p ON p.path OPERATOR(@extschema@.<@) t.path AND p.valid_from <= current_date AND p.valid_to > current_date
                   JOIN kpi.membership s ON s.unit_id = p.unit_id
                   JOIN kpi.member m ON m.member_id = s.member_id
                  WHERE t.unit_id = u.unit_id AND t.valid_from <= current_date AND t.valid_to > current_date
                    AND coalesce(greatest(s.valid_from, m.valid_from), '-infinity') <= current_date
                    AND coalesce(least(s.valid_to, m.valid_to), 'infinity') > current_date) AS members) b
 WHERE CASE WHEN (SELECT kpi.row_security_applies()) THEN u.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.unit_reach IS 'Internal to kpi.briefing(): how many of the members of a unit and all beneath it have seen an objective, as of today: one row per unit and objective. Ask for one unit at a time';
COMMENT ON COLUMN kpi.unit_reach.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.unit_reach.objective_id IS 'The objective';
COMMENT ON COLUMN kpi.unit_reach.members IS 'How many members the unit and all beneath it have today';
COMMENT ON COLUMN kpi.unit_reach.seen IS 'How many of these have seen the objective';

CREATE FUNCTION kpi.briefed_kpis(unit_id bigint, of_period @extschema@.kpi_period) RETURNS SETOF kpi.briefed_kpi
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    day constant date := kpi.last_day(of_period);
    own bigint[];
    periods @extschema@.kpi_period[];
    before @extschema@.kpi_period[];
BEGIN
    own := ARRAY(SELECT DISTINCT d.kpi_id
                   FROM kpi.described_kpi d
                   JOIN kpi.steered_kpi s ON s.kpi_id = d.kpi_id
                  WHERE d.unit_id = briefed_kpis.unit_id AND s.alive_from <= day AND s.alive_to > day);
    periods := ARRAY(SELECT DISTINCT p.period
                       FROM kpi.steered_kpi s
                      CROSS JOIN LATERAL (SELECT CASE WHEN kpi.is_target_period(of_period, s.grain, s.fiscal_start) THEN of_period
                                                      ELSE kpi.enclosing(of_period, s.grain, s.fiscal_start) END) AS p (period)
                      WHERE s.kpi_id = ANY (own) AND p.period IS NOT NULL);
    before := ARRAY(SELECT p OPERATOR(@extschema@.-) 1 FROM unnest(periods) AS p WHERE kpi.first_day(p) >= '0004-01-01');
    RETURN QUERY
    WITH series AS MATERIALIZED (
        SELECT p.period, s.kpi_id, s.points
          FROM unnest(periods) AS p (period)
         CROSS JOIN LATERAL kpi.series_points(own, p.period, 12) s
         -- before there are not twelve
         WHERE kpi.first_day(p.period) >= '0013-01-01'
    ), figure AS MATERIALIZED (
        SELECT t.kpi_id, t.period, t.actual, t.target, t.target_to_date, t.attainment_to_date, t.score, t.status, t.coverage, t.travel, t.predecessor
          FROM kpi.trend t WHERE t.kpi_id = ANY (own) AND t.period OPERATOR(@extschema@.=) ANY (periods || before)
    )
    SELECT d.kpi_id, d.measure,
           kpi.markdown_text(n.name || CASE WHEN d.unit_of_measure <> '' AND NOT kpi.names_unit(n.name, d.unit_of_measure) THEN ' (' || d.unit_of_measure || ')' ELSE '' END),
           p.period, a.actual,
           CASE WHEN s.scoring = 'range' THEN
                    (SELECT concat_ws(' ', CASE WHEN (g.aim).high IS NULL THEN 'from' WHEN (g.aim).low IS NULL THEN 'up to' END,
                                           nullif(kpi.briefing_number((g.aim).low), ''), CASE WHEN num_nonnulls((g.aim).low, (g.aim).high) = 2 THEN 'to' END,
                                           nullif(kpi.briefing_number((g.aim).high), ''))
                       FROM (SELECT kpi.target_of(d.kpi_id, p.period, s.grain, s.alive_from, s.alive_to,
                                                  CASE WHEN s.time_rollup = 'last' THEN 'last' WHEN s.rollup IN ('min', 'max') THEN s.rollup
                                                       WHEN s.rollup IN ('sum', 'count', 'none') AND s.time_rollup = 'pool' THEN 'sum' ELSE 'mean' END) AS aim) g
                      WHERE num_nonnulls((g.aim).low, (g.aim).high) > 0)
                ELSE nullif(kpi.briefing_number(coalesce(a.target_to_date, a.target)), '') END,
           CASE WHEN a.actual IS NULL THEN a.score ELSE a.attainment_to_date END,
           coalesce(a.status, 'no_data'), b.status, a.coverage, a.travel,
           CASE WHEN EXISTS (SELECT FROM unnest(x.points) AS y WHERE y.measure = a.predecessor) THEN a.predecessor END, x.points
      FROM kpi.described_kpi d
     CROSS JOIN LATERAL (SELECT coalesce(nullif(d.measure_name, ''), d.measure) AS name) n
      JOIN kpi.steered_kpi s ON s.kpi_id = d.kpi_id
     CROSS JOIN LATERAL (SELECT CASE WHEN kpi.is_target_period(of_period, s.grain, s.fiscal_start) THEN of_period
                                     ELSE kpi.enclosing(of_period, s.grain, s.fiscal_start) END) AS p (period)
      LEFT JOIN figure a ON a.kpi_id = d.kpi_id AND a.period OPERATOR(@extschema@.=) p.period
      LEFT JOIN figure b ON b.kpi_id = d.kpi_id AND b.period OPERATOR(@extschema@.=) CASE WHEN kpi.first_day(p.period) >= '0004-01-01' THEN p.period OPERATOR(@extschema@.-) 1 END
      LEFT JOIN series x ON x.kpi_id = d.kpi_id AND x.period OPERATOR(@extschema@.=) p.period
     WHERE d.kpi_id = ANY (own) AND d.path_from <= day AND d.path_to > day;
END
$$;
COMMENT ON FUNCTION kpi.briefed_kpis(bigint, @extschema@.kpi_period) IS 'Internal to kpi.briefing(): the KPIs of a unit that are alive at the end of a period';

-- What lies right beneath numbers, added up over the base periods of a coarser
-- one: one step of kpi.explain() for all of them, and one more where the first
-- gave base periods.
CREATE FUNCTION kpi.briefed_parts(kpis kpi.briefed_kpi[], OUT kpi_id bigint, OUT child_kpi_id bigint, OUT contribution numeric, OUT shortfall numeric)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    days  constant date[] := kpi.structure_days();
    tops  kpi.explained[];
    first kpi.explained[];
    next  kpi.explained[];
BEGIN
    tops := ARRAY(
        SELECT ROW(ARRAY[k.place], CASE WHEN c.actual IS NULL AND c.score IS NOT NULL THEN 'score' ELSE 'actual' END,
                   c.kpi_id, d.unit_id, d.path, d.measure, c.period, NULL, NULL, c.actual, c.target, c.attainment_to_date, c.driver_score, c.score, c.status,
                   c.tally, c.own, NULL, kpi.tally_denominator(c.tally, d.rollup), NULL, NULL)::kpi.explained
          FROM unnest(kpis) WITH ORDINALITY AS k (kpi_id, measure, name, period, actual, target, attained, status, old_status, coverage, travel, predecessor, points, place)
          JOIN kpi.current_cell c ON c.kpi_id = k.kpi_id AND c.period OPERATOR(@extschema@.=) k.period
          JOIN kpi.described_kpi d ON d.kpi_id = k.kpi_id AND d.path_from <= kpi.last_day(k.period) AND d.path_to > kpi.last_day(k.period));
    IF cardinality(tops) = 0 THEN
        RETURN;
    END IF;
    first := ARRAY(SELECT b FROM kpi.explain_beneath(tops, days) b);
    next := ARRAY(SELECT f FROM unnest(first) f WHERE f.contributes = 'period');
    IF cardinality(next) > 0 THEN
        next := ARRAY(SELECT b FROM kpi.explain_beneath(next, days) b);
    END IF;
    RETURN QUERY
    SELECT t.kpi_id, b.kpi_id, sum(b.contribution * b.part), sum(b.shortfall * b.part)
      FROM unnest(tops) t
      JOIN (SELECT f.place[1] AS place, f.kpi_id, f.contributes, f.contribution, f.shortfall, 1::numeric AS part
              FROM unnest(first) f
            UNION ALL
            -- the part that the base period has in the whole
            SELECT n.place[1], n.kpi_id, n.contributes, n.contribution, n.shortfall,
                   coalesce(kpi.exact_quotient(f.contribution, f.actual), kpi.exact_quotient(f.denominator, t.denominator), 1)
              FROM unnest(next) n
              JOIN unnest(first) f ON f.place = n.place[:2] AND f.contributes = 'period'
              JOIN unnest(tops) t ON t.place = n.place[:1]) b ON b.place = t.place[1]
     WHERE b.kpi_id IS DISTINCT FROM t.kpi_id AND b.contributes IN ('value', 'numerator', 'denominator', 'growth', 'score', 'not shown')
     GROUP BY t.kpi_id, b.kpi_id;
END
$$;
COMMENT ON FUNCTION kpi.briefed_parts(kpi.briefed_kpi[]) IS 'Internal to kpi.briefing(): the KPIs right beneath each number (null for all that row security hides), what each brings to it and what it lacks because of each';

-- ---------------------------------------------------------------- sections

CREATE FUNCTION kpi.briefing_word(status @extschema@.kpi_status) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT kpi.briefing_sign(coalesce(status, 'no_data')::text) || ' ' || replace(coalesce(status, 'no_data')::text, '_', ' ') $$;
COMMENT ON FUNCTION kpi.briefing_word(@extschema@.kpi_status) IS 'Internal to kpi.briefing(): a status as a shape and a word';

CREATE FUNCTION kpi.briefing_day(day date) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT to_char(day, 'FMDD Mon YYYY') $$;
COMMENT ON FUNCTION kpi.briefing_day(date) IS 'Internal to kpi.briefing(): a day for people';

CREATE FUNCTION kpi.briefing_grain(grain @extschema@.kpi_grain) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE grain::text WHEN 'half' THEN 'half-year' ELSE grain::text END $$;
COMMENT ON FUNCTION kpi.briefing_grain(@extschema@.kpi_grain) IS 'Internal to kpi.briefing(): a grain as a word that takes an s';

CREATE FUNCTION kpi.briefing_head(unit_id bigint, of_period @extschema@.kpi_period, kpis kpi.briefed_kpi[]) RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH score AS (
        SELECT s.score, s.coverage, s.scored_kpis FROM kpi.unit_score s WHERE s.unit_id = $1 AND s.period OPERATOR(@extschema@.=) $2
    )
    SELECT concat('# ', coalesce(kpi.markdown_text(nullif(u.name, '')), kpi.markdown_text(u.path::text)), ', ', $2::text, E'\n\n',
                  concat_ws(' ' || kpi.briefing_sign('dot') || ' ', kpi.markdown_text(u.path::text), kpi.markdown_text(replace(kpi.level_name(u.level_no), '_', ' ')), kpi.markdown_text(u.owner),
                            CASE WHEN kpi.days($2) = 1 THEN kpi.briefing_day(kpi.first_day($2))
                                 ELSE kpi.briefing_day(kpi.first_day($2)) || ' to ' || kpi.briefing_day(kpi.last_day($2)) END
                            || CASE WHEN kpi.first_day($2) > current_date THEN ', not begun yet'
                                    WHEN kpi.last_day($2) >= current_date AND kpi.days($2) > 1 THEN format(', today is day %s of %s', current_date - kpi.first_day($2) + 1, kpi.days($2)) ELSE '' END),
                  E'\n\n',
                  CASE WHEN NOT EXISTS (SELECT FROM unnest($3) AS k WHERE k.period IS NOT NULL) THEN 'The unit has no KPIs in this period.'
                       ELSE concat((SELECT '**Score ' || kpi.briefing_percent(s.score) || '**' || CASE WHEN s.coverage < 1 THEN format(' (%s of it known)', kpi.briefing_percent(s.coverage)) ELSE '' END || ': '
                                      FROM score s WHERE s.score IS NOT NULL),
                                   (SELECT string_agg(format('%s %s', n.number, n.word), ', ' ORDER BY n.status < 'off_track', n.status)
                                      FROM (SELECT k.status, count(*) AS number, replace(k.status::text, '_', ' ') AS word FROM unnest($3) AS k WHERE k.period IS NOT NULL GROUP BY k.status) n), '.') END,
                  E'\n')
      FROM kpi.unit u WHERE u.unit_id = $1
$$;
COMMENT ON FUNCTION kpi.briefing_head(bigint, @extschema@.kpi_period, kpi.briefed_kpi[]) IS 'Internal to kpi.briefing(): who, when, and how it stands in one line';

CREATE FUNCTION kpi.briefing_strategy(unit_id bigint, of_period @extschema@.kpi_period, kpis bigint[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    the_unit constant bigint := briefing_strategy.unit_id;
    day constant date := kpi.last_day(of_period);
    above constant @extschema@.kpi_path := (SELECT u.path FROM kpi.unit u WHERE u.unit_id = the_unit);
    own bigint[];
    creed text;
    cells text[];
BEGIN
    SELECT string_agg(format('> **%s** %s%s', CASE o.kind WHEN 'mission' THEN 'Mission' ELSE 'Vision' END,
                             kpi.markdown_text(coalesce(nullif(o.name, ''), o.code)), coalesce('. ' || kpi.markdown_text(nullif(d.description, '')), '')),
                      E'\n>\n' ORDER BY o.kind, o.code) || E'\n'
      INTO creed
      FROM kpi.described_objective o
      JOIN kpi.objective d ON d.objective_id = o.objective_id
     WHERE o.kind IN ('mission', 'vision') AND o.alive_from <= day AND o.alive_to > day
       AND (o.unit_id IS NULL OR o.unit_now OPERATOR(@extschema@.@>) above);

    -- those our KPIs serve, and those of the unit that none serves yet
    own := ARRAY(SELECT s.objective_id FROM kpi.objective_step s
                  WHERE s.from_kind = 'kpi' AND s.from_id = ANY (kpis) AND s.alive_from <= day AND s.alive_to > day
                 UNION
                 SELECT o.objective_id FROM kpi.described_objective o
                  WHERE o.unit_id = the_unit AND o.kind NOT IN ('mission', 'vision') AND o.alive_from <= day AND o.alive_to > day);
    cells := ARRAY(
        SELECT ARRAY[kpi.briefing_word(s.status), kpi.markdown_text(coalesce(nullif(o.name, ''), o.code)), kpi.briefing_percent(s.score),
                     coalesce(n.number, 0)::text, coalesce(l.way, ''),
                     CASE WHEN r.members > 0 THEN format('%s of %s', r.seen, r.members) ELSE '' END]
          FROM kpi.described_objective o
          LEFT JOIN (SELECT s.objective_id, s.score, s.status FROM kpi.objective_score s
                      WHERE s.period OPERATOR(@extschema@.=) of_period AND s.objective_id = ANY (own)) s ON s.objective_id = o.objective_id
          LEFT JOIN (SELECT s.objective_id, count(*) AS number FROM kpi.objective_step s
                      WHERE s.from_kind = 'kpi' AND s.from_id = ANY (kpis) GROUP BY s.objective_id) n ON n.objective_id = o.objective_id
          LEFT JOIN (SELECT r.objective_id, r.members, r.seen FROM kpi.unit_reach r
                      WHERE r.unit_id = the_unit AND r.objective_id = ANY (own)) r ON r.objective_id = o.objective_id
          LEFT JOIN LATERAL (
            -- up to the vision; what is hidden or over ends it
            WITH RECURSIVE up AS (
                SELECT o.parent_objective_id AS objective_id, 1 AS step, ARRAY[o.objective_id] AS seen
                UNION ALL
                SELECT p.parent_objective_id, u.step + 1, u.seen || p.objective_id
                  FROM up u JOIN kpi.described_objective p ON p.objective_id = u.objective_id
                 WHERE p.alive_from <= day AND p.alive_to > day AND NOT p.objective_id = ANY (u.seen) AND p.kind NOT IN ('mission', 'vision')
            )
            SELECT string_agg(CASE WHEN p.kind IN ('mission', 'vision') THEN p.kind ELSE kpi.markdown_text(coalesce(nullif(p.name, ''), p.code)) END,
                              ' ' || kpi.briefing_sign('to') || ' ' ORDER BY u.step) AS way
              FROM up u JOIN kpi.described_objective p ON p.objective_id = u.objective_id
             WHERE p.alive_from <= day AND p.alive_to > day) l ON true
         WHERE o.objective_id = ANY (own)
         ORDER BY kpi.perspective_no(o.perspective), o.perspective, cardinality(string_to_array(l.way, ' ')), o.code);
    RETURN nullif(concat_ws(E'\n', creed,
                     E'## What we are here for\n\n' || kpi.markdown_table(ARRAY['Worst status', 'Objective', 'Score', 'Our KPIs', 'Leads to', 'Seen by us'], 'llrrlr', cells)), '');
END
$$;
COMMENT ON FUNCTION kpi.briefing_strategy(bigint, @extschema@.kpi_period, bigint[]) IS 'Internal to kpi.briefing(): mission, vision, and the objectives of the unit with what they lead to; null where there are none';

CREATE FUNCTION kpi.briefing_scorecard(of_period @extschema@.kpi_period, kpis kpi.briefed_kpi[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cells text[];
    outside text;
    is_running constant boolean := kpi.last_day(of_period) >= current_date;
BEGIN
    -- what needs attention first
    cells := ARRAY(
        SELECT ARRAY[kpi.briefing_word(k.status), k.name, kpi.briefing_number(k.actual), coalesce(k.target, ''), kpi.briefing_bar(k.attained),
                     lpad(kpi.briefing_sparkline(k.points), max(length(kpi.briefing_sparkline(k.points))) OVER ()::integer),
                     coalesce(kpi.briefing_sign(k.travel) || ' ' || k.travel, ''),
                     concat_ws(', ', CASE WHEN k.period OPERATOR(@extschema@.<>) of_period THEN 'of ' || k.period::text END,
                                     CASE WHEN k.coverage < 1 AND k.actual IS NOT NULL THEN kpi.briefing_percent(k.coverage) || ' known' END,
                                     'replaces ' || kpi.markdown_text(k.predecessor))]
          FROM unnest(kpis) AS k
         WHERE k.period IS NOT NULL
         ORDER BY k.status < 'off_track', k.status, k.attained, k.measure);
    SELECT string_agg(k.name, ', ' ORDER BY k.measure) INTO outside FROM unnest(kpis) AS k WHERE k.period IS NULL;
    RETURN E'## How we stand\n\n'
        || nullif(concat_ws(E'\n',
                     kpi.markdown_table(ARRAY['Status', 'KPI', 'Actual', CASE WHEN is_running THEN 'Target so far' ELSE 'Target' END, 'Attained', '12 ' || kpi.briefing_grain(kpi.grain(of_period)) || 's', 'Travel', 'Note'],
                                        'llrrllll', cells),
                     'Kept in periods that do not fit this one: ' || outside || E'.\n'), '');
END
$$;
COMMENT ON FUNCTION kpi.briefing_scorecard(@extschema@.kpi_period, kpi.briefed_kpi[]) IS 'Internal to kpi.briefing(): the table of KPIs; null where there are none';

CREATE FUNCTION kpi.briefing_changes(of_period @extschema@.kpi_period, kpis kpi.briefed_kpi[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    most constant integer := 10;
    own constant bigint[] := ARRAY(SELECT k.kpi_id FROM unnest(kpis) AS k);
    since text;
    within text[];
BEGIN
    SELECT string_agg(format(E'- %s **%s** %s from %s to %s%s.\n', kpi.briefing_sign(k.status::text), k.name,
                             CASE WHEN k.status < k.old_status THEN 'fell' ELSE 'rose' END, replace(k.old_status::text, '_', ' '), replace(k.status::text, '_', ' '),
                             coalesce(CASE WHEN k.actual IS NOT NULL THEN ': ' || kpi.briefing_number(k.actual) || ' after ' || nullif(kpi.briefing_number(p.actual), '')
                                           ELSE ': ' || nullif(kpi.briefing_percent(k.attained), '') || ' after ' || nullif(kpi.briefing_percent(p.score), '') END, '')),
                      '' ORDER BY k.status > k.old_status, k.status, k.measure)
      INTO since
      FROM unnest(kpis) AS k
      LEFT JOIN LATERAL (SELECT y.actual, y.score FROM unnest(k.points[11:11]) AS y WHERE y.kpi_id = k.kpi_id) p ON true
     WHERE k.status > 'no_target' AND k.old_status > 'no_target' AND k.status <> k.old_status;
    -- in the period itself, as it was counted, corrected and planned anew
    within := ARRAY(
        SELECT format('- %s **%s** %s from %s to %s on %s%s.', kpi.briefing_sign(l.new_status::text), k.name,
                      CASE WHEN l.new_status < l.old_status THEN 'fell' ELSE 'rose' END, replace(l.old_status::text, '_', ' '), replace(l.new_status::text, '_', ' '),
                      kpi.briefing_day(l.changed_at::date), CASE WHEN k.period OPERATOR(@extschema@.<>) of_period THEN ' (' || k.period::text || ')' ELSE '' END)
          FROM kpi.status_log l
          JOIN unnest(kpis) AS k ON k.kpi_id = l.kpi_id AND k.period OPERATOR(@extschema@.=) l.period
         WHERE l.kpi_id = ANY (own) AND l.old_status > 'no_target' AND l.new_status > 'no_target'
         ORDER BY l.status_change_id DESC);
    RETURN nullif(concat_ws(E'\n',
        E'## What changed since the ' || kpi.briefing_grain(kpi.grain(of_period)) || E' before\n\n' || since,
        E'## What changed within the ' || kpi.briefing_grain(kpi.grain(of_period)) || E'\n\n' || nullif(array_to_string(within[:most], E'\n'), '') || E'\n'
            || CASE WHEN cardinality(within) > most THEN format(E'\nAnd %s changes before, in kpi.status_log.\n', cardinality(within) - most) ELSE '' END), '');
END
$$;
COMMENT ON FUNCTION kpi.briefing_changes(@extschema@.kpi_period, kpi.briefed_kpi[]) IS 'Internal to kpi.briefing(): whose status is another than in the period before, and the changes of status within the period, the last first; null where none is';

CREATE FUNCTION kpi.briefing_parts(unit_id bigint, kpis kpi.briefed_kpi[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    the_unit constant bigint := briefing_parts.unit_id;
    cells text[];
BEGIN
    cells := ARRAY(
        WITH part AS MATERIALIZED (
            SELECT p.kpi_id, p.contribution, p.shortfall, d.path, d.unit_id = the_unit AS is_ours,
                   CASE WHEN d.kpi_id IS NULL THEN 'units that you cannot see'
                        WHEN d.unit_id = the_unit THEN kpi.markdown_text(coalesce(nullif(d.measure_name, ''), d.measure))
                        ELSE kpi.markdown_text(coalesce(nullif(d.unit_name, ''), d.unit_now::text)) END AS name
              FROM kpi.briefed_parts(kpis) p
              JOIN unnest(kpis) k ON k.kpi_id = p.kpi_id
              LEFT JOIN kpi.described_kpi d ON d.kpi_id = p.child_kpi_id AND d.path_from <= kpi.last_day(k.period) AND d.path_to > kpi.last_day(k.period)
        ), largest AS (
            SELECT DISTINCT ON (p.kpi_id) p.kpi_id, format('%s: %s', p.name, kpi.briefing_number(p.contribution)) AS text
              FROM part p WHERE p.is_ours IS NOT TRUE AND p.contribution <> 0
             ORDER BY p.kpi_id, abs(p.contribution) DESC, p.path
        ), miss AS (
            SELECT DISTINCT ON (p.kpi_id) p.kpi_id, format('%s: %s', p.name, kpi.briefing_number(p.shortfall)) AS text
              FROM part p WHERE p.shortfall > 0
             ORDER BY p.kpi_id, p.shortfall DESC, p.path
        )
        SELECT ARRAY[k.name, kpi.briefing_number(k.actual), coalesce(l.text, ''), CASE WHEN k.status IN ('off_track', 'at_risk') THEN coalesce(m.text, '') ELSE '' END]
          FROM unnest(kpis) AS k
          LEFT JOIN largest l ON l.kpi_id = k.kpi_id
          LEFT JOIN miss m ON m.kpi_id = k.kpi_id
         WHERE l.text IS NOT NULL OR m.text IS NOT NULL AND k.status IN ('off_track', 'at_risk')
         ORDER BY k.status < 'off_track', k.status, k.attained, k.measure);
    RETURN E'## Who makes the difference\n\n' || kpi.markdown_table(ARRAY['KPI', 'Actual', 'Largest part', 'Largest miss'], 'lrll', cells);
END
$$;
COMMENT ON FUNCTION kpi.briefing_parts(bigint, kpi.briefed_kpi[]) IS 'Internal to kpi.briefing(): who right beneath brings most to each number, and takes most from one that misses its target; null where nothing lies beneath';

CREATE FUNCTION kpi.briefing_outlook(of_period @extschema@.kpi_period, kpis kpi.briefed_kpi[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    rows record;
BEGIN
    -- the period while it runs, then the year it is in; as was known at its end
    WITH outlook AS (
        SELECT k.name, s.direction, s.grain, s.time_rollup, f.*
          FROM unnest(kpis) AS k
          JOIN kpi.steered_kpi s ON s.kpi_id = k.kpi_id
         CROSS JOIN LATERAL (
            SELECT f.*
              FROM unnest(ARRAY[k.period, kpi.enclosing(k.period, 'year', s.fiscal_start)]) WITH ORDINALITY AS p (period, place)
             -- not asked where the last base period was known by then, or no target is near
             CROSS JOIN LATERAL (
                SELECT p.period
                 WHERE kpi.is_target_period(p.period, s.grain, s.fiscal_start)
                   AND NOT EXISTS (SELECT FROM kpi.current_cell c
                                    WHERE c.kpi_id = k.kpi_id AND c.actual IS NOT NULL AND kpi.last_day(p.period) <= kpi.last_day(k.period)
                                      AND c.period OPERATOR(@extschema@.=) kpi.period(kpi.last_day(p.period), s.grain, s.fiscal_start))
                   AND EXISTS (SELECT FROM kpi.current_target t WHERE t.kpi_id = k.kpi_id AND t.period OPERATOR(@extschema@.&&) p.period)) w
             CROSS JOIN LATERAL kpi.forecast_of(k.kpi_id, w.period, 'run_rate', kpi.last_day(k.period), false) f
             WHERE f.remaining > 0 AND f.target IS NOT NULL AND f.needed IS NOT NULL
             ORDER BY p.place LIMIT 1) f
         WHERE k.period IS NOT NULL AND k.actual IS NOT NULL AND s.grain <> 'week'
    )
    SELECT count(*) FILTER (WHERE o.expected_attainment >= 1) AS reaching,
           coalesce(array_agg(ARRAY[o.name, o.period::text, kpi.briefing_number(o.actual), kpi.briefing_number(o.target),
                                    kpi.briefing_number(o.expected), kpi.briefing_percent(o.expected_attainment),
                                    format('%s %s %s', CASE o.direction WHEN 'lower' THEN 'at most' ELSE 'at least' END, kpi.briefing_number(o.needed),
                                           CASE o.time_rollup WHEN 'last' THEN 'at its end'
                                                              ELSE format('a %1$s for %2$s %1$s%3$s', kpi.briefing_grain(o.grain), o.remaining, CASE WHEN o.remaining > 1 THEN 's' ELSE '' END) END)]
                              ORDER BY o.expected_attainment, o.measure) FILTER (WHERE (o.expected_attainment >= 1) IS NOT TRUE), '{}') AS cells
      INTO rows
      FROM outlook o;
    RETURN E'## What it still takes\n\n'
        || nullif(concat_ws(E'\n',
                     kpi.markdown_table(ARRAY['KPI', 'In', 'So far', 'Target', 'At this rate', 'That is', 'Needed'], 'llrrrrl', rows.cells),
                     CASE WHEN rows.reaching > 0 THEN format(E'At the rate so far %s.\n',
                         CASE WHEN cardinality(rows.cells) > 0 AND rows.reaching > 1 THEN format('the other %s for which this can be told reach their targets', rows.reaching)
                              WHEN cardinality(rows.cells) > 0 THEN 'the other one for which this can be told reaches its target'
                              WHEN rows.reaching > 1 THEN format('the %s for which this can be told reach their targets', rows.reaching)
                              ELSE 'the one for which this can be told reaches its target' END) END), '');
END
$$;
COMMENT ON FUNCTION kpi.briefing_outlook(@extschema@.kpi_period, kpi.briefed_kpi[]) IS 'Internal to kpi.briefing(): what the period, or the year it is in, still takes; null where nothing is left';

CREATE FUNCTION kpi.briefing_voices(of_period @extschema@.kpi_period, kpis kpi.briefed_kpi[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    most constant integer := 10;
    lines text[];
BEGIN
    lines := ARRAY(
        SELECT format('- **%s** %s on %s%s%s', k.name, coalesce(kpi.markdown_text(c.author), 'Somebody'), kpi.briefing_day(c.at::date),
                      coalesce(' (' || nullif(concat_ws(', ', CASE WHEN c.period OPERATOR(@extschema@.<>) of_period THEN 'of ' || c.period::text END,
                                                              nullif(kpi.briefing_percent(c.confidence), '') || ' sure', 'expects ' || nullif(kpi.briefing_number(c.forecast), '')), '') || ')', ''),
                      coalesce(': ' || nullif(kpi.markdown_text(c.comment), ''), ''))
          FROM unnest(kpis) AS k
          JOIN LATERAL (SELECT c.* FROM kpi.latest_check_in c
                         WHERE c.kpi_id = k.kpi_id AND c.period OPERATOR(@extschema@.&&) of_period
                         ORDER BY c.at DESC, c.check_in_id DESC LIMIT 1) c ON true
         ORDER BY c.at DESC, c.check_in_id DESC);
    RETURN E'## What we say of it\n\n' || nullif(array_to_string(lines[:most], E'\n'), '') || E'\n'
        || CASE WHEN cardinality(lines) > most THEN format(E'\nAnd of %s more KPIs, in kpi.latest_check_in.\n', cardinality(lines) - most) ELSE '' END;
END
$$;
COMMENT ON FUNCTION kpi.briefing_voices(@extschema@.kpi_period, kpi.briefed_kpi[]) IS 'Internal to kpi.briefing(): the last check-in of each KPI on the period; null where there are none';

CREATE FUNCTION kpi.briefing_actions(unit_id bigint) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    the_unit constant bigint := briefing_actions.unit_id;
    most constant integer := 15;
    cells text[];
BEGIN
    cells := ARRAY(
        SELECT ARRAY[coalesce(kpi.briefing_day(a.due_on), ''),
                     CASE WHEN a.is_overdue THEN format('**%s**', CASE a.days_overdue WHEN 1 THEN 'a day late' ELSE a.days_overdue || ' days late' END) ELSE replace(a.state, '_', ' ') END,
                     kpi.markdown_text(a.description), coalesce(kpi.markdown_text(a.owner), 'nobody yet'),
                     concat_ws(', ', kpi.markdown_text(coalesce(nullif(d.measure_name, ''), a.measure, nullif(o.name, ''), a.objective)),
                               CASE WHEN a.unit_id <> the_unit THEN kpi.markdown_text(coalesce(nullif(u.unit_name, ''), a.unit::text)) END)]
          FROM kpi.open_actions a
          LEFT JOIN kpi.held_review r ON r.review_id = a.review_id
          LEFT JOIN LATERAL (SELECT d.measure_name FROM kpi.described_kpi d WHERE d.kpi_id = a.kpi_id LIMIT 1) d ON true
          LEFT JOIN LATERAL (SELECT u.unit_name FROM kpi.described_kpi u WHERE u.unit_id = a.unit_id LIMIT 1) u ON true
          LEFT JOIN kpi.described_objective o ON o.objective_id = a.objective_id
         WHERE a.unit_id = the_unit OR r.unit_id = the_unit
         ORDER BY a.is_overdue DESC NULLS LAST, a.due_on, a.action_item_id);
    RETURN E'## What we have agreed to do\n\n' || kpi.markdown_table(ARRAY['Due', 'State', 'What', 'Who', 'For'], 'lllll', cells[:most])
        || CASE WHEN array_length(cells, 1) > most THEN format(E'\nAnd %s more, in kpi.open_actions.\n', array_length(cells, 1) - most) ELSE '' END;
END
$$;
COMMENT ON FUNCTION kpi.briefing_actions(bigint) IS 'Internal to kpi.briefing(): open actions about KPIs and objectives of the unit, and those that its reviews decided, overdue first; null where there are none';

-- ---------------------------------------------------------------- the page

CREATE FUNCTION kpi.briefing_text(unit text, by_path boolean, period text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_unit bigint;
    of_period @extschema@.kpi_period;
    kpis kpi.briefed_kpi[];
BEGIN
    SELECT a.unit_id, a.of_period INTO the_unit, of_period FROM kpi.asked_unit(briefing_text.unit, briefing_text.by_path, briefing_text.period, false) a;
    kpis := ARRAY(SELECT k FROM kpi.briefed_kpis(the_unit, of_period) k);
    RETURN rtrim(concat_ws(E'\n',
        kpi.briefing_head(the_unit, of_period, kpis),
        kpi.briefing_strategy(the_unit, of_period, ARRAY(SELECT k.kpi_id FROM unnest(kpis) k)),
        kpi.briefing_scorecard(of_period, kpis),
        kpi.briefing_changes(of_period, kpis),
        kpi.briefing_parts(the_unit, kpis),
        kpi.briefing_outlook(of_period, kpis),
        kpi.briefing_voices(of_period, kpis),
        kpi.briefing_actions(the_unit)), E'\n');
END
$$;
COMMENT ON FUNCTION kpi.briefing_text(text, boolean, text) IS 'Internal: what kpi.briefing() does';

DO $overloads$
DECLARE
    v record;
BEGIN
    FOR v IN
        SELECT u.unit_type, p.period_type, u.by_path, p.fallback, u.unit_type = 'text' AND p.period_type = 'text' AS is_first
          FROM (VALUES (1, 'text', false), (2, '@extschema@.kpi_path', true)) u (no, unit_type, by_path),
               (VALUES (1, 'text', ' DEFAULT NULL'), (2, '@extschema@.kpi_period', '')) p (no, period_type, fallback)
         ORDER BY u.no, p.no
    LOOP
        EXECUTE format($create$
CREATE FUNCTION kpi.briefing(unit %s, period %s%s)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN kpi.briefing_text(briefing.unit::text, %L, briefing.period::text);
END
$$$create$, v.unit_type, v.period_type, v.fallback, v.by_path);
        EXECUTE format('COMMENT ON FUNCTION kpi.briefing(%s, %s) IS %L', v.unit_type, v.period_type,
            CASE WHEN v.is_first THEN 'A page of Markdown for everybody in a unit on a period, for the eye in a terminal, too: mission and vision; the objectives that the unit''s KPIs serve and its own, with what they lead to and how many of its members have seen each; its KPIs, what needs attention first, with the status as shape and word, attainment as a bar, twelve periods as blocks (those of a measure that was replaced on a scale of their own) and the way they go; whose status is another than in the period before; who right beneath brings most to each number and takes most from one that misses its target; what the period, or once it is over its year, still takes; the last check-ins; open actions. Markup in names shows as it is. unit is a path or a unit code, period any period; without one it is the running month, and a KPI of a coarser grain is shown for the period around. What row security hides is not shown. Errors: 42704 for an unknown unit'
                 ELSE 'As kpi.briefing(text, text)' || CASE WHEN v.by_path THEN ', with the unit by path only' ELSE '' END END);
    END LOOP;
END
$overloads$;
