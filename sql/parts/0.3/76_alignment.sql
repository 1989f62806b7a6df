-- Does the daily work tie to the goals?  One row per finding of where it does
-- not.  What concerns the structure is of today; targets are looked at in every
-- period for which there are some.
--
-- All is found by one function, set-wise: links once per stretch of time in
-- which they are the same, then walks over arrays of them.  It reads with the
-- owner's rights, so that what is found does not depend on who looks; the view,
-- which alone knows the key, shows a reader the findings about units that row
-- security lets him see.

CREATE TYPE kpi.alignment_link AS (
    structure_day date,
    child_kpi_id  bigint,
    parent_kpi_id bigint,
    contributes   text,
    weight        numeric
);
COMMENT ON TYPE kpi.alignment_link IS 'Internal to kpi.alignment: a link in force on a day';

CREATE TYPE kpi.alignment_figure AS (
    kpi_id        bigint,
    period        @extschema@.kpi_period,
    period_text   text,
    structure_day date,
    target        numeric,
    is_known      boolean
);
COMMENT ON TYPE kpi.alignment_figure IS 'Internal to kpi.alignment: the target of a KPI in a period, and whether it has a number there';

CREATE FUNCTION kpi.alignment_findings(
    view_key uuid,
    OUT severity text, OUT code text, OUT unit_id bigint, OUT kpi_id bigint, OUT objective_id bigint,
    OUT period @extschema@.kpi_period, OUT amount numeric, OUT sentence text, OUT other_unit_id bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER ROWS 1000 COST 100000
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    today     constant date := current_date;
    days      date[] := kpi.structure_days();
    structure date := days[width_bucket(today, days)];
    alive     bigint[];                -- KPIs that are alive today
    aimed     bigint[];                -- KPIs with a target that counts of a period of their own
    links     kpi.alignment_link[];    -- in force today
    past      kpi.alignment_link[];    -- value links in force at the ends of periods with targets
    running   @extschema@.kpi_period[];            -- periods of all grains around today
    due       @extschema@.kpi_period[];            -- the last periods whose figures are due, of all measures
    figures   kpi.alignment_figure[];  -- targets, and what is known in those
    sighted   bigint[];                -- KPIs from which links lead to a KPI of a top unit
    serving   bigint[];                -- KPIs from which links lead to one that serves an objective
BEGIN
    IF NOT EXISTS (SELECT FROM kpi.view_key v WHERE v.key = view_key) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'permission denied for function alignment_findings',
            HINT = 'Read the view kpi.alignment.';
    END IF;

    alive := ARRAY(SELECT k.kpi_id FROM kpi.kpi k JOIN kpi.unit u ON u.unit_id = k.unit_id
                    WHERE today >= coalesce(greatest(k.valid_from, u.valid_from), '-infinity')
                      AND today < coalesce(least(k.valid_to, u.valid_to), 'infinity'));
    links := ARRAY(SELECT ROW(structure, l.child_kpi_id, l.parent_kpi_id, l.contributes, l.weight)::kpi.alignment_link
                     FROM kpi.links_in_force(today) l);
    sighted := ARRAY(
        WITH RECURSIVE seen AS (
            SELECT a AS kpi_id
              FROM unnest(alive) a
              JOIN kpi.kpi k ON k.kpi_id = a
              JOIN kpi.unit_path p ON p.unit_id = k.unit_id AND p.valid_from <= today AND p.valid_to > today
             WHERE p.parent_unit_id IS NULL
            UNION
            SELECT l.child_kpi_id FROM seen s JOIN unnest(links) l ON l.parent_kpi_id = s.kpi_id
        )
        SELECT s.kpi_id FROM seen s);
    serving := ARRAY(
        WITH RECURSIVE serves AS (
            SELECT k.kpi_id FROM kpi.kpi k WHERE k.objective_id IS NOT NULL AND k.kpi_id = ANY (alive)
            UNION
            SELECT l.child_kpi_id FROM serves s JOIN unnest(links) l ON l.parent_kpi_id = s.kpi_id
        )
        SELECT s.kpi_id FROM serves s);

    -- ---- objectives
    RETURN QUERY
    WITH RECURSIVE reached AS (         -- objectives with a living KPI, and all above them
        SELECT k.objective_id FROM kpi.kpi k WHERE k.objective_id IS NOT NULL AND k.kpi_id = ANY (alive)
        UNION
        SELECT o.parent_objective_id FROM reached r JOIN kpi.objective o ON o.objective_id = r.objective_id
         WHERE o.parent_objective_id IS NOT NULL
    )
    SELECT 'warning', 'objective_without_kpi', o.unit_id, NULL::bigint, o.objective_id,
           NULL::@extschema@.kpi_period, NULL::numeric,
           format('No KPI serves the objective "%s" or any beneath it: nobody can say whether it is reached.', coalesce(o.name, o.code)),
           NULL::bigint
      FROM kpi.objective o
      LEFT JOIN kpi.unit u ON u.unit_id = o.unit_id
     WHERE today >= coalesce(greatest(o.valid_from, u.valid_from), '-infinity')
       AND today < coalesce(least(o.valid_to, u.valid_to), 'infinity')
       AND o.objective_id NOT IN (SELECT r.objective_id FROM reached r);

    RETURN QUERY
    SELECT 'info', 'kpi_without_objective', k.unit_id, k.kpi_id, NULL::bigint, NULL::@extschema@.kpi_period, NULL::numeric,
           'The KPI serves no objective, and neither does any KPI it contributes to.', NULL::bigint
      FROM kpi.kpi k
     WHERE k.kpi_id = ANY (alive) AND NOT k.kpi_id = ANY (serving);

    -- ---- line of sight, owner, KPIs of units
    RETURN QUERY
    SELECT 'warning', 'no_line_of_sight', k.unit_id, k.kpi_id, k.objective_id, NULL::@extschema@.kpi_period, NULL::numeric,
           'No way over links leads from the KPI to a KPI of a unit at the top.', NULL::bigint
      FROM kpi.kpi k
     WHERE k.kpi_id = ANY (alive) AND NOT k.kpi_id = ANY (sighted);

    RETURN QUERY
    SELECT CASE WHEN coalesce(u.owner, '') = '' THEN 'warning' ELSE 'info' END, 'no_owner', k.unit_id, k.kpi_id, k.objective_id,
           NULL::@extschema@.kpi_period, NULL::numeric,
           CASE WHEN coalesce(u.owner, '') = '' THEN 'Nobody answers for the KPI, and nobody for its unit.'
                ELSE format('Nobody answers for the KPI; %s answers for its unit.', u.owner) END,
           NULL::bigint
      FROM kpi.kpi k
      JOIN kpi.unit u ON u.unit_id = k.unit_id
     WHERE k.kpi_id = ANY (alive) AND coalesce(k.owner, '') = '';

    RETURN QUERY
    SELECT 'info', 'unit_without_kpi', u.unit_id, NULL::bigint, NULL::bigint, NULL::@extschema@.kpi_period, NULL::numeric,
           'The unit has no KPI: nothing says what it contributes.', NULL::bigint
      FROM kpi.unit u
     WHERE today >= coalesce(u.valid_from, '-infinity') AND today < coalesce(u.valid_to, 'infinity')
       AND NOT EXISTS (SELECT FROM kpi.kpi k WHERE k.unit_id = u.unit_id AND k.kpi_id = ANY (alive));

    -- ---- targets of the running period, data of the last that is due
    running := ARRAY(SELECT kpi.period(today, g.grain, f.fiscal_start::integer)
                       FROM unnest(enum_range(NULL::@extschema@.kpi_grain)) g (grain)
                      CROSS JOIN (SELECT DISTINCT m.fiscal_start FROM kpi.measure m) f);
    due := ARRAY(SELECT DISTINCT kpi.last_due_period(today, m.grain, m.fiscal_start, m.due_after) FROM kpi.measure m);
    -- read once: what is pending is computed at each read
    figures := ARRAY(
        SELECT ROW(a.kpi_id, a.period, a.period::text, days[width_bucket(a.period_end, days)], a.target,
                   a.actual IS NOT NULL OR a.score IS NOT NULL)::kpi.alignment_figure
          FROM kpi.attainment a
         WHERE a.target IS NOT NULL OR a.period OPERATOR(@extschema@.=) ANY (due));

    RETURN QUERY
    SELECT 'warning', 'no_target', k.unit_id, k.kpi_id, k.objective_id, r.period, NULL::numeric,
           format('The KPI has no target that counts in %s, nor in any longer period around it.', r.period), NULL::bigint
      FROM kpi.kpi k
      JOIN kpi.measure m ON m.measure_id = k.measure_id
     CROSS JOIN LATERAL (SELECT kpi.period(today, m.grain, m.fiscal_start)) r (period)
     WHERE k.kpi_id = ANY (alive)
       -- a score that the drivers make alone needs none
       AND m.result_weight <> 0
       AND k.kpi_id NOT IN (SELECT t.kpi_id FROM unnest(figures) t
                             WHERE t.target IS NOT NULL AND t.period OPERATOR(@extschema@.=) ANY (running))
       -- a range or a curve does without a value
       AND NOT EXISTS (SELECT FROM kpi.target t
                        WHERE t.kpi_id = k.kpi_id AND m.scoring IN ('range', 'curve') AND t.period OPERATOR(@extschema@.=) ANY (running)
                          AND (m.targets_count_from = 'proposed' OR t.state IN (m.targets_count_from, 'final')));

    RETURN QUERY
    WITH p AS MATERIALIZED (
        SELECT m.measure_id, m.due_after, kpi.last_due_period(today, m.grain, m.fiscal_start, m.due_after) AS period FROM kpi.measure m
    )
    SELECT 'warning', 'no_data', k.unit_id, k.kpi_id, k.objective_id, p.period, NULL::numeric,
           format('No number is known for %s, which is over%s.', p.period,
                  CASE WHEN p.due_after > interval '0 days' THEN to_char(kpi.due_on(p.period, p.due_after), '" and was due on "YYYY-MM-DD') END), NULL::bigint
      FROM kpi.kpi k
      JOIN kpi.unit u ON u.unit_id = k.unit_id
      JOIN p ON p.measure_id = k.measure_id
     WHERE kpi.last_day(p.period) >= coalesce(greatest(k.valid_from, u.valid_from), '-infinity')
       AND kpi.last_day(p.period) < coalesce(least(k.valid_to, u.valid_to), 'infinity')
       AND (k.kpi_id, p.period::text) NOT IN (SELECT f.kpi_id, f.period_text FROM unnest(figures) f WHERE f.is_known);

    -- ---- children's targets against the parent's
    aimed := ARRAY(
        SELECT DISTINCT t.kpi_id
          FROM kpi.target t
          JOIN kpi.kpi k ON k.kpi_id = t.kpi_id
          JOIN kpi.measure m ON m.measure_id = k.measure_id
         WHERE m.rollup IN ('sum', 'count') AND t.value IS NOT NULL);
    IF cardinality(aimed) > 0 THEN
        past := ARRAY(
            SELECT ROW(d.day, l.child_kpi_id, l.parent_kpi_id, l.contributes, l.weight)::kpi.alignment_link
              FROM (SELECT DISTINCT days[width_bucket(kpi.last_day(t.period), days)] AS day
                      FROM (SELECT DISTINCT t.period FROM kpi.target t) t) d
             CROSS JOIN LATERAL kpi.links_in_force(d.day, aimed) l
             WHERE l.contributes = 'value');
        RETURN QUERY
        WITH goal AS MATERIALIZED (
            SELECT f.kpi_id, f.period, f.period_text, f.target, f.structure_day AS day
              FROM unnest(figures) f
             WHERE f.target IS NOT NULL
        ), parent AS (
            -- where the parent has a target of its own; coarser ones follow from it
            SELECT g.kpi_id, g.period, g.period_text, g.target, g.day
              FROM goal g
              JOIN (SELECT t.kpi_id, t.period::text AS period_text FROM kpi.target t WHERE t.value IS NOT NULL) t
                ON t.kpi_id = g.kpi_id AND t.period_text = g.period_text
        ), beneath AS (
            SELECT p.kpi_id, p.period, p.target, l.weight, c.target AS part,
                   max(greatest(scale(trim_scale(p.target)), scale(trim_scale(c.target)))) OVER (PARTITION BY p.kpi_id, p.period) AS places
              FROM parent p
              JOIN unnest(past) l ON l.structure_day = p.day AND l.parent_kpi_id = p.kpi_id
              LEFT JOIN goal c ON c.kpi_id = l.child_kpi_id AND c.period_text = p.period_text
        ), compared AS (
            -- a target of a unit of which a share flows up is rounded itself
            SELECT b.kpi_id, b.period, b.target, count(*) AS children, count(b.part) AS with_target,
                   trim_scale(sum(b.weight * b.part)) AS added, sum(round(b.weight * b.part, b.places)) AS rounded
              FROM beneath b
             GROUP BY b.kpi_id, b.period, b.target
        )
        SELECT 'warning', 'targets_do_not_add_up', k.unit_id, k.kpi_id, k.objective_id, c.period, trim_scale(c.added - c.target),
               format('The targets beneath add up to %s, %s %s than the target of %s%s.', c.added, trim_scale(abs(c.added - c.target)),
                      CASE WHEN c.added > c.target THEN 'more' ELSE 'less' END, trim_scale(c.target),
                      CASE WHEN c.with_target < c.children THEN format('; %s of %s KPIs beneath have none', c.children - c.with_target, c.children) ELSE '' END),
               NULL::bigint
          FROM compared c
          JOIN kpi.kpi k ON k.kpi_id = c.kpi_id
         WHERE c.with_target > 0 AND c.added <> c.target AND c.rounded <> c.target;
    END IF;

    -- ---- counted twice: from where two ways part to where they first meet again
    RETURN QUERY
    WITH RECURSIVE flow AS MATERIALIZED (
        -- what is counted twice does not change a minimum or maximum
        SELECT l.child_kpi_id, l.parent_kpi_id, l.weight
          FROM unnest(links) l
          JOIN kpi.kpi k ON k.kpi_id = l.parent_kpi_id
          JOIN kpi.measure m ON m.measure_id = k.measure_id
         WHERE l.contributes = 'value' AND m.rollup NOT IN ('min', 'max')
    ), fork AS (
        SELECT f.child_kpi_id AS kpi_id FROM flow f GROUP BY f.child_kpi_id HAVING count(*) > 1
    ), way AS (
        -- by which of its links what is at the fork has come here; of two links to
        -- one place the second would be the same way, and cannot be
        SELECT o.kpi_id AS fork, f.parent_kpi_id AS over, f.child_kpi_id AS last, f.parent_kpi_id AS here
          FROM fork o JOIN flow f ON f.child_kpi_id = o.kpi_id
        UNION
        SELECT w.fork, w.over, w.here, f.parent_kpi_id FROM way w JOIN flow f ON f.child_kpi_id = w.here
    ), meeting AS (         -- two ways that had not met before
        SELECT DISTINCT v.fork, v.here
          FROM way v
          JOIN way w ON w.fork = v.fork AND w.here = v.here AND w.over > v.over AND w.last <> v.last
         WHERE NOT EXISTS (SELECT FROM way x WHERE x.fork = v.fork AND x.over = w.over AND x.here = v.last)
           AND NOT EXISTS (SELECT FROM way x WHERE x.fork = v.fork AND x.over = v.over AND x.here = w.last)
    ), amount AS (          -- with which weight in all
        SELECT m.fork, m.fork AS here, 1::numeric AS weight, m.here AS meets FROM meeting m
        UNION ALL
        SELECT a.fork, f.parent_kpi_id, a.weight * f.weight, a.meets
          FROM amount a
          JOIN flow f ON f.child_kpi_id = a.here
         WHERE a.here <> a.meets
           AND EXISTS (SELECT FROM way w WHERE w.fork = a.fork AND w.here = f.parent_kpi_id)
    )
    SELECT 'error', 'counted_twice', k.unit_id, k.kpi_id, k.objective_id, NULL::@extschema@.kpi_period, trim_scale(sum(a.weight)),
           format('What is in the KPI reaches measure "%s" of unit "%s" on %s ways and counts there with a weight of %s.',
                  m.code, u.path, count(*), trim_scale(sum(a.weight))),
           u.unit_id
      FROM amount a
      JOIN kpi.kpi k ON k.kpi_id = a.fork
      JOIN kpi.kpi p ON p.kpi_id = a.meets
      JOIN kpi.measure m ON m.measure_id = p.measure_id
      JOIN kpi.unit u ON u.unit_id = p.unit_id
     WHERE a.here = a.meets
     GROUP BY k.unit_id, k.kpi_id, k.objective_id, m.code, u.path, u.unit_id, p.kpi_id
     HAVING count(*) > 1;

    -- ---- weights
    RETURN QUERY
    SELECT 'error', 'weights_all_zero', k.unit_id, NULL::bigint, NULL::bigint, NULL::@extschema@.kpi_period, count(*)::numeric,
           format('All KPIs of the unit (%s) have weight 0: it has no score.', count(*)), NULL::bigint
      FROM kpi.kpi k
     WHERE k.kpi_id = ANY (alive)
     GROUP BY k.unit_id
    HAVING max(k.weight) = 0;

    RETURN QUERY
    SELECT 'error', 'weights_all_zero', k.unit_id, k.kpi_id, k.objective_id, NULL::@extschema@.kpi_period, count(*)::numeric,
           format('All %s links into the KPI (%s) have weight 0 and are not in force.', l.contributes, count(*)), NULL::bigint
      FROM kpi.link l
      JOIN kpi.kpi k ON k.kpi_id = l.parent_kpi_id
     WHERE l.parent_kpi_id = ANY (alive) AND l.child_kpi_id = ANY (alive) AND l.contributes <> 'aligned'
       AND today >= coalesce(l.valid_from, '-infinity') AND today < coalesce(l.valid_to, 'infinity')
     GROUP BY k.unit_id, k.kpi_id, k.objective_id, l.contributes
    HAVING max(abs(l.weight)) = 0;

    -- ---- units of measure
    RETURN QUERY
    SELECT 'error', 'unit_of_measure_differs', c.unit_id, c.kpi_id, c.objective_id, NULL::@extschema@.kpi_period, trim_scale(l.weight),
           format('The KPI, in %s, contributes by value to measure "%s" of unit "%s", in %s.', m.unit_of_measure, n.code, u.path, n.unit_of_measure),
           u.unit_id
      FROM unnest(links) l
      JOIN kpi.kpi c ON c.kpi_id = l.child_kpi_id
      JOIN kpi.measure m ON m.measure_id = c.measure_id
      JOIN kpi.kpi p ON p.kpi_id = l.parent_kpi_id
      JOIN kpi.measure n ON n.measure_id = p.measure_id
      JOIN kpi.unit u ON u.unit_id = p.unit_id
     WHERE l.contributes = 'value' AND m.unit_of_measure <> n.unit_of_measure;
END
$$;
COMMENT ON FUNCTION kpi.alignment_findings(uuid) IS 'Internal: what kpi.alignment shows, about all units. Error: 42501 without the key in kpi.view_key, which only the owner of the views can read';

CREATE VIEW kpi.alignment AS
SELECT f.severity,
       f.code,
       u.path AS unit,
       m.code AS measure,
       f.period,
       f.amount,
       f.sentence,
       o.code AS objective,
       coalesce(nullif(k.owner, ''), nullif(u.owner, ''), nullif(o.owner, '')) AS owner,
       f.unit_id,
       f.kpi_id
  FROM kpi.alignment_findings((SELECT v.key FROM kpi.view_key v)) f
  LEFT JOIN kpi.unit u ON u.unit_id = f.unit_id
  LEFT JOIN kpi.kpi k ON k.kpi_id = f.kpi_id
  LEFT JOIN kpi.measure m ON m.measure_id = k.measure_id
  LEFT JOIN kpi.objective o ON o.objective_id = f.objective_id
 WHERE CASE WHEN (SELECT kpi.row_security_applies())
            THEN (f.unit_id IS NULL OR f.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)))
                 AND (f.other_unit_id IS NULL OR f.other_unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)))
            ELSE true END;
COMMENT ON VIEW kpi.alignment IS 'Where the work does not tie to the goals: one row per finding, of today''s structure, and of every period that has targets. An empty view is an organisation in line. Computed when read, all of it: filter once, and keep the result where it is used often';
COMMENT ON COLUMN kpi.alignment.severity IS 'error (numbers mislead), warning (something is missing) or info';
COMMENT ON COLUMN kpi.alignment.code IS 'objective_without_kpi, kpi_without_objective, no_line_of_sight, no_target, no_owner, no_data, targets_do_not_add_up, counted_twice, unit_without_kpi, weights_all_zero or unit_of_measure_differs';
COMMENT ON COLUMN kpi.alignment.unit IS 'Path of the unit concerned, by the newest recorded parentage; null for an objective of everybody';
COMMENT ON COLUMN kpi.alignment.measure IS 'Code of the measure of the KPI concerned; null where a unit or an objective is';
COMMENT ON COLUMN kpi.alignment.period IS 'The period concerned: for no_target the running one, for no_data the last one whose figure is due, for targets_do_not_add_up that of the target; else null';
COMMENT ON COLUMN kpi.alignment.amount IS 'By how much: for targets_do_not_add_up the sum beneath less the target; for counted_twice and unit_of_measure_differs the weight with which it counts; for weights_all_zero how many weights; else null';
COMMENT ON COLUMN kpi.alignment.sentence IS 'The finding in words';
COMMENT ON COLUMN kpi.alignment.objective IS 'Code of the objective concerned, or of that which the KPI serves; null for none';
COMMENT ON COLUMN kpi.alignment.owner IS 'Who answers for the KPI, else for its unit, else for the objective; null where nobody does';
COMMENT ON COLUMN kpi.alignment.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.alignment.kpi_id IS 'The KPI';
