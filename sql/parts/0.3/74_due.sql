-- Data collection: which figures are owed, by whom, since when.

-- When a figure is due does not depend on who looks; both of these read no table.
CREATE FUNCTION kpi.due_on(period @extschema@.kpi_period, due_after interval) RETURNS date
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN greatest((kpi.last_day($1) OPERATOR(pg_catalog.+) 1 OPERATOR(pg_catalog.+) $2)::date, kpi.last_day($1) OPERATOR(pg_catalog.+) 1);
COMMENT ON FUNCTION kpi.due_on(@extschema@.kpi_period, interval) IS
'The first day on which the figure of a period is due: the day after its last day, and due_after later.';

CREATE FUNCTION kpi.last_due_period(at date, grain @extschema@.kpi_grain, fiscal_start integer, due_after interval) RETURNS @extschema@.kpi_period
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    -- months are not equally long: what is added is not what is taken away again
    SELECT p
      FROM (SELECT kpi.period((at - due_after)::date, grain, fiscal_start) OPERATOR(@extschema@.+) n AS p FROM generate_series(3, -5, -1) n) c
     WHERE kpi.due_on(p, due_after) <= at
     ORDER BY kpi.last_day(p) DESC
     LIMIT 1
$$;
COMMENT ON FUNCTION kpi.last_due_period(date, @extschema@.kpi_grain, integer, interval) IS
'The last period of a grain whose figure is due on a day: as it would be entered by then, due_after after its end.';

-- Facts are looked up by key, one KPI and period at a time, whatever the
-- statistics: most of these are there.
CREATE FUNCTION kpi.owed_periods(at date, kpis bigint[] DEFAULT NULL, OUT kpi_id bigint, OUT period @extschema@.kpi_period, OUT due_since date)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 1000 COST 10000
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    days constant date[] := kpi.structure_days();
BEGIN
    RETURN QUERY
    WITH rule AS MATERIALIZED (
        SELECT m.measure_id, m.result_weight, m.due_after, kpi.last_due_period(owed_periods.at, m.grain, m.fiscal_start, m.due_after) AS last_due
          FROM kpi.measure m
    ), collected AS MATERIALIZED (
        SELECT k.kpi_id, r.result_weight, r.due_after, r.last_due,
               coalesce(greatest(k.valid_from, u.valid_from), '-infinity') AS alive_from,
               coalesce(least(k.valid_to, u.valid_to), 'infinity') AS alive_to,
               coalesce((SELECT kpi.first_day(f.period) FROM kpi.fact f WHERE f.kpi_id = k.kpi_id ORDER BY f.period LIMIT 1),
                        (SELECT min(kpi.first_day(t.period)) FROM kpi.target t WHERE t.kpi_id = k.kpi_id),
                        CASE WHEN isfinite(greatest(k.valid_from, u.valid_from)) THEN greatest(k.valid_from, u.valid_from) END,
                        kpi.first_day(r.last_due)) AS begins
          FROM kpi.kpi k
          JOIN kpi.unit u ON u.unit_id = k.unit_id
          JOIN rule r ON r.measure_id = k.measure_id
         WHERE owed_periods.kpis IS NULL OR k.kpi_id = ANY (owed_periods.kpis)
    ), lacking AS MATERIALIZED (
        SELECT c.kpi_id, c.result_weight, c.due_after, p.period, days[width_bucket(kpi.last_day(p.period), days)] AS day
          FROM collected c
         CROSS JOIN LATERAL (
            SELECT c.last_due OPERATOR(@extschema@.-) n AS period
              FROM generate_series(0, c.last_due OPERATOR(@extschema@.-)
                                      kpi.period(least(greatest(c.begins, c.alive_from), kpi.last_day(c.last_due)),
                                                 kpi.grain(c.last_due), kpi.fiscal_start(c.last_due))) AS n) p
         WHERE greatest(c.begins, c.alive_from) <= kpi.last_day(c.last_due)
           AND kpi.last_day(p.period) >= c.alive_from AND kpi.last_day(p.period) < c.alive_to
           AND NOT EXISTS (SELECT FROM kpi.fact f WHERE f.kpi_id = c.kpi_id AND f.period OPERATOR(@extschema@.=) p.period)
    ), fed AS MATERIALIZED (            -- computed KPIs, in each stretch of time in which links are the same
        SELECT d.day, l.parent_kpi_id,
               bool_or(l.contributes IN ('value', 'numerator', 'denominator', 'growth')) AS by_links, bool_or(l.contributes = 'score') AS by_scores
          FROM (SELECT l.day, array_agg(DISTINCT l.kpi_id) AS kpis FROM lacking l GROUP BY l.day) d
         CROSS JOIN LATERAL kpi.links_in_force(d.day, d.kpis) l
         GROUP BY d.day, l.parent_kpi_id
    )
    SELECT l.kpi_id, l.period, kpi.due_on(l.period, l.due_after)
      FROM lacking l
      LEFT JOIN fed f ON f.day = l.day AND f.parent_kpi_id = l.kpi_id
     WHERE (f.by_links OR l.result_weight = 0 AND f.by_scores) IS NOT TRUE;
END
$$;
COMMENT ON FUNCTION kpi.owed_periods(date, bigint[]) IS 'Internal to kpi.due(): the base periods for which KPIs owe a figure on a day, and since when. kpis limits it to these. Reads all units, whatever row security shows to the caller, and returns keys, periods and days only';

CREATE TYPE kpi.due_figure AS (
    unit         @extschema@.kpi_path,
    unit_name    text,
    measure      text,
    measure_name text,
    period       @extschema@.kpi_period,
    due_since    date,
    days_late    integer,
    owner        text,
    unit_id      bigint,
    kpi_id       bigint
);
COMMENT ON TYPE kpi.due_figure IS 'A row of kpi.due()';
COMMENT ON COLUMN kpi.due_figure.unit IS 'Path of the unit that owes the figure, by the newest recorded parentage';
COMMENT ON COLUMN kpi.due_figure.unit_name IS 'Its name';
COMMENT ON COLUMN kpi.due_figure.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.due_figure.measure_name IS 'Its name';
COMMENT ON COLUMN kpi.due_figure.period IS 'The period, of the measure''s grain, that has no facts';
COMMENT ON COLUMN kpi.due_figure.due_since IS 'First day on which its figure was due';
COMMENT ON COLUMN kpi.due_figure.days_late IS 'For how many days since; 0 on the first';
COMMENT ON COLUMN kpi.due_figure.owner IS 'Who answers for the KPI, else for its unit; null where nobody does';
COMMENT ON COLUMN kpi.due_figure.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.due_figure.kpi_id IS 'The KPI';

CREATE VIEW kpi.owing_kpi AS
SELECT k.kpi_id, k.unit_id, u.path AS unit, u.name AS unit_name, m.code AS measure, m.name AS measure_name, coalesce(k.owner, u.owner) AS owner
  FROM kpi.kpi k
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
 WHERE CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.owing_kpi IS 'Internal to kpi.due() and kpi.review_agenda(): each KPI with its names and who answers for it';
COMMENT ON COLUMN kpi.owing_kpi.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.owing_kpi.unit_id IS 'Its unit';
COMMENT ON COLUMN kpi.owing_kpi.unit IS 'Path of the unit by the newest recorded parentage';
COMMENT ON COLUMN kpi.owing_kpi.unit_name IS 'Name of the unit';
COMMENT ON COLUMN kpi.owing_kpi.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.owing_kpi.measure_name IS 'Name of the measure';
COMMENT ON COLUMN kpi.owing_kpi.owner IS 'Who answers for the KPI, else for its unit';

CREATE FUNCTION kpi.due(at date DEFAULT current_date) RETURNS SETOF kpi.due_figure
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 1000
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT k.unit, k.unit_name, k.measure, k.measure_name, o.period, o.due_since, due.at - o.due_since, k.owner, k.unit_id, k.kpi_id
      FROM kpi.owed_periods(due.at) o
      JOIN kpi.owing_kpi k ON k.kpi_id = o.kpi_id
     ORDER BY o.due_since, k.unit, k.measure, kpi.first_day(o.period);
END
$$;
COMMENT ON FUNCTION kpi.due(date) IS
'Who owes which figure for which period, since when: one row per KPI and base period that is over, whose figure is due by kpi.measure.due_after on that day, and that has no facts of the KPI''s own; the longest due first. KPIs owe figures while they are alive, but for those that others compute in the period (links of value, numerator, denominator or growth in force, implied ones included) and, with result_weight 0, those that live from the scores of others. A KPI owes figures from the period of its first fact on; one without any from its first target on, else from its validity on, else for the last period that is due. Facts are those of now, whatever the day';
