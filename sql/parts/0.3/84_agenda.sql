-- What a unit should talk about: kpi.review_agenda proposes it, in the order in
-- which it matters, with the reason for each.
--
-- It runs with the caller's rights and reads views, which row security on
-- kpi.unit limits.

CREATE VIEW kpi.held_review AS
SELECT r.review_id, r.unit_id, r.held_on, r.period
  FROM kpi.review r
 WHERE CASE WHEN (SELECT kpi.row_security_applies()) THEN r.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.held_review IS 'Internal to kpi.review_agenda(): which reviews there were';
COMMENT ON COLUMN kpi.held_review.review_id IS 'The review';
COMMENT ON COLUMN kpi.held_review.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.held_review.held_on IS 'The day';
COMMENT ON COLUMN kpi.held_review.period IS 'The period that was looked at';

CREATE VIEW kpi.proposed_target AS
SELECT t.kpi_id, t.period, t.value, t.proposed_by
  FROM kpi.target t
  JOIN kpi.kpi k ON k.kpi_id = t.kpi_id
 WHERE t.state = 'proposed'
   AND CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.proposed_target IS 'Internal to kpi.review_agenda(): targets that nobody has agreed to';
COMMENT ON COLUMN kpi.proposed_target.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.proposed_target.period IS 'The period';
COMMENT ON COLUMN kpi.proposed_target.value IS 'What is proposed';
COMMENT ON COLUMN kpi.proposed_target.proposed_by IS 'By whom';

CREATE FUNCTION kpi.status_seen(kpi_id bigint, period @extschema@.kpi_period, held_on date) RETURNS @extschema@.kpi_status
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.status
      FROM ((SELECT c.new_status AS status, 1 AS choice
               FROM kpi.status_log c
              WHERE c.kpi_id = $1 AND c.period OPERATOR(@extschema@.=) $2 AND c.changed_at < ($3 + 1)::timestamptz
              ORDER BY c.status_change_id DESC LIMIT 1)
            UNION ALL
            -- nothing had changed by then: what was before the first change since
            (SELECT c.old_status, 2
               FROM kpi.status_log c
              WHERE c.kpi_id = $1 AND c.period OPERATOR(@extschema@.=) $2 AND c.changed_at >= ($3 + 1)::timestamptz
              ORDER BY c.status_change_id LIMIT 1)
            UNION ALL
            (SELECT c.status, 3 FROM kpi.current_cell c WHERE c.kpi_id = $1 AND c.period OPERATOR(@extschema@.=) $2)) s
     ORDER BY s.choice LIMIT 1
$$;
COMMENT ON FUNCTION kpi.status_seen(bigint, @extschema@.kpi_period, date) IS
'Internal to kpi.review_agenda(): the status of a KPI in a period as it was at the end of the day of a review, by kpi.status_change.';

CREATE TYPE kpi.agenda_item AS (
    item_no        integer,
    reason         text,
    unit           @extschema@.kpi_path,
    measure        text,
    objective      text,
    sentence       text,
    period         @extschema@.kpi_period,
    actual         numeric,
    target         numeric,
    status         @extschema@.kpi_status,
    old_status     @extschema@.kpi_status,
    amount         numeric,
    owner          text,
    unit_id        bigint,
    kpi_id         bigint,
    objective_id   bigint,
    action_item_id bigint
);
COMMENT ON TYPE kpi.agenda_item IS 'A row of kpi.review_agenda()';
COMMENT ON COLUMN kpi.agenda_item.item_no IS 'Its place in the agenda, from 1';
COMMENT ON COLUMN kpi.agenda_item.reason IS 'Why it should be talked about, in this order: status_fallen, largest_contribution, stale_data, overdue_action, low_confidence or target_not_agreed';
COMMENT ON COLUMN kpi.agenda_item.unit IS 'Path of the unit of the KPI or objective, by the newest recorded parentage';
COMMENT ON COLUMN kpi.agenda_item.measure IS 'Code of the measure; null where it is about an objective';
COMMENT ON COLUMN kpi.agenda_item.objective IS 'Code of the objective that an action is about; null where it is about a KPI';
COMMENT ON COLUMN kpi.agenda_item.sentence IS 'The reason in words';
COMMENT ON COLUMN kpi.agenda_item.period IS 'The period concerned';
COMMENT ON COLUMN kpi.agenda_item.actual IS 'Actual of the KPI in that period';
COMMENT ON COLUMN kpi.agenda_item.target IS 'Its target there';
COMMENT ON COLUMN kpi.agenda_item.status IS 'Its status there';
COMMENT ON COLUMN kpi.agenda_item.old_status IS 'For status_fallen the status before';
COMMENT ON COLUMN kpi.agenda_item.amount IS 'For largest_contribution what it takes from the number above, in that number''s unit; for stale_data how many periods lack a figure; for overdue_action for how many days; for low_confidence the confidence; for target_not_agreed how many targets; else null';
COMMENT ON COLUMN kpi.agenda_item.owner IS 'Who does the action; else who answers for the KPI, else for its unit; null for nobody';
COMMENT ON COLUMN kpi.agenda_item.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.agenda_item.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.agenda_item.objective_id IS 'The objective';
COMMENT ON COLUMN kpi.agenda_item.action_item_id IS 'The action';

-- Who takes how much from a number that misses its target, right beneath it.
-- Where a coarser period is made of base periods, children are beneath those:
-- theirs are added up, with the part that each base period has in the whole.
CREATE FUNCTION kpi.largest_shortfall(kpi_id bigint, period @extschema@.kpi_period, OUT child_kpi_id bigint, OUT amount numeric, OUT lacking numeric)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH line AS MATERIALIZED (
        SELECT r.place, cardinality(r.place) AS depth, r.contributes, r.kpi_id, r.actual, r.contribution, r.denominator, r.shortfall
          FROM kpi.explain_rows($1, NULL, $2, 2) r
    ), part AS (
        SELECT b.kpi_id,
               -- of a minimum or maximum, who decides it takes all
               CASE WHEN s.rollup IN ('min', 'max') AND bool_and(b.contributes = 'value')
                    THEN max(t.shortfall) FILTER (WHERE b.actual = t.actual AND b.contribution = b.actual AND (b.depth = 1 OR p.contribution = t.actual))
                    ELSE trim_scale(round(sum(b.shortfall * CASE WHEN b.depth = 1 THEN 1
                                                                 ELSE coalesce(kpi.exact_quotient(p.contribution, p.actual),
                                                                               kpi.exact_quotient(p.denominator, t.denominator), 1) END), 12)) END AS amount
          FROM line b
         CROSS JOIN (SELECT r.actual, r.denominator, r.shortfall FROM line r WHERE r.depth = 0) t
          JOIN kpi.steered_kpi s ON s.kpi_id = $1
          LEFT JOIN line p ON p.place = b.place[:1] AND b.depth = 2 AND p.contributes = 'period'
         WHERE b.kpi_id <> $1 AND b.contributes IN ('value', 'numerator', 'denominator', 'growth', 'score')
           AND (b.depth = 1 OR p.place IS NOT NULL)
         GROUP BY b.kpi_id, s.rollup
    )
    SELECT p.kpi_id, p.amount, t.shortfall
      FROM line t
      LEFT JOIN (SELECT p.kpi_id, p.amount FROM part p WHERE p.amount > 0 ORDER BY p.amount DESC, p.kpi_id LIMIT 1) p ON true
     WHERE t.depth = 0
$$;
COMMENT ON FUNCTION kpi.largest_shortfall(bigint, @extschema@.kpi_period) IS
'Internal to kpi.review_agenda(): which KPI right beneath takes most from a number, how much, and how much that lacks in all.';

CREATE FUNCTION kpi.agenda_rows(unit_id bigint, period @extschema@.kpi_period, min_confidence numeric) RETURNS SETOF kpi.agenda_item
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    the_unit   constant bigint := agenda_rows.unit_id;
    the_period constant @extschema@.kpi_period := agenda_rows.period;
    day        constant date := kpi.last_day(the_period);
    own_kpis   bigint[];        -- the unit's KPIs
    beneath    bigint[];        -- those and what contributes to them
    last_review record;
BEGIN
    own_kpis := ARRAY(SELECT s.kpi_id FROM kpi.steered_kpi s JOIN kpi.owing_kpi k ON k.kpi_id = s.kpi_id
                  WHERE k.unit_id = the_unit AND s.alive_from <= day AND s.alive_to > day);
    beneath := own_kpis || ARRAY(SELECT l.child_kpi_id FROM kpi.links_in_force(day, own_kpis) l
                             WHERE l.contributes <> 'aligned' AND NOT l.child_kpi_id = ANY (own_kpis));
    SELECT r.held_on, r.period INTO last_review
      FROM kpi.held_review r
     WHERE r.unit_id = the_unit AND r.held_on < current_date
       AND kpi.grain(r.period) = kpi.grain(the_period) AND kpi.last_day(r.period) <= day
     ORDER BY r.held_on DESC, r.review_id DESC LIMIT 1;

    RETURN QUERY
    WITH figure AS MATERIALIZED (
        -- a KPI of a coarser grain stands in the period around
        SELECT s.kpi_id, s.grain, s.fiscal_start, s.direction, c.period, c.actual, c.target, c.score, c.status
          FROM kpi.steered_kpi s
          JOIN kpi.current_cell c ON c.kpi_id = s.kpi_id
           AND c.period OPERATOR(@extschema@.=) CASE WHEN kpi.is_target_period(the_period, s.grain, s.fiscal_start) THEN the_period
                                                     ELSE kpi.enclosing(the_period, s.grain, s.fiscal_start) END
         WHERE s.kpi_id = ANY (own_kpis) AND c.kpi_id = ANY (own_kpis)
    ), was AS (
        -- what the last review saw; where it saw nothing, the period before
        SELECT f.kpi_id, f.status, o.period AS old_period, o.status AS old_status, o.held_on
          FROM figure f
         CROSS JOIN LATERAL (
            SELECT o.period, o.held_on, o.status
              FROM (SELECT r.period, last_review.held_on AS held_on, kpi.status_seen(f.kpi_id, r.period, last_review.held_on) AS status
                      FROM (SELECT CASE WHEN kpi.is_target_period(last_review.period, f.grain, f.fiscal_start) THEN last_review.period
                                        ELSE kpi.enclosing(last_review.period, f.grain, f.fiscal_start) END) r (period)
                    UNION ALL
                    SELECT c.period, NULL, c.status
                      FROM kpi.current_cell c
                     WHERE c.kpi_id = f.kpi_id AND c.period OPERATOR(@extschema@.=) (f.period OPERATOR(@extschema@.-) 1)) o
             WHERE o.status > 'no_target'
             ORDER BY o.held_on LIMIT 1) o
         WHERE f.status > 'no_target'
    ), item AS (
        SELECT 1 AS part, ARRAY[array_position(enum_range(NULL::@extschema@.kpi_status), w.status) - array_position(enum_range(NULL::@extschema@.kpi_status), w.old_status)]::numeric[] AS urgency,
               'status_fallen' AS reason, w.kpi_id, NULL::bigint AS objective_id, NULL::bigint AS action_item_id,
               format('It fell from %s in %s%s to %s in %s.', w.old_status, w.old_period,
                      CASE WHEN w.held_on IS NOT NULL THEN to_char(w.held_on, '", at the review of "YYYY-MM-DD,') END, w.status, f.period) AS sentence,
               f.period, w.old_status, NULL::numeric AS amount, NULL AS owner
          FROM was w
          JOIN figure f ON f.kpi_id = w.kpi_id
         WHERE w.old_status > w.status
        UNION ALL
        -- what takes most from the unit's score first
        SELECT 2, ARRAY[k.weight * (f.score - 1)], 'largest_contribution', coalesce(x.child_kpi_id, f.kpi_id), NULL, NULL,
               CASE WHEN x.child_kpi_id IS NULL THEN format('It is %s in %s%s, and nothing right beneath it says why.', f.status, f.period,
                                                            CASE WHEN x.lacking > 0 THEN format(o.distance, kpi.readable_number(x.lacking)) END)
                    ELSE format(o.part || ' measure "%s" of unit "%s", which is %s in %s%s.', kpi.readable_number(x.amount), k.measure, k.path, f.status, f.period,
                                CASE WHEN x.lacking > 0 THEN format(o.distance, kpi.readable_number(x.lacking)) END) END,
               f.period, NULL, coalesce(x.amount, x.lacking), NULL
          FROM figure f
          JOIN kpi.described_kpi k ON k.kpi_id = f.kpi_id AND k.path_from <= day AND k.path_to > day
         CROSS JOIN LATERAL kpi.largest_shortfall(f.kpi_id, f.period) x
          -- a number of which less is better has too much; a score never has
         CROSS JOIN LATERAL (SELECT CASE WHEN too_much THEN 'It adds %s too much to' ELSE 'It takes %s from' END AS part,
                                    CASE WHEN too_much THEN ' and %s above its target' ELSE ' and lacks %s to its target' END AS distance
                               FROM (SELECT f.direction = 'lower' AND f.actual IS NOT NULL) d (too_much)) o
         WHERE f.status IN ('off_track', 'at_risk')
        UNION ALL
        SELECT 3, ARRAY[min(o.due_since) - current_date]::numeric[], 'stale_data', o.kpi_id, NULL, NULL,
               CASE WHEN count(*) = 1 THEN format('It has no figure for %s, due since %s.', (array_agg(o.period))[1], to_char(min(o.due_since), 'YYYY-MM-DD'))
                    ELSE format('It has no figures for %s periods, the oldest %s, due since %s.', count(*),
                                (array_agg(o.period ORDER BY kpi.first_day(o.period)))[1], to_char(min(o.due_since), 'YYYY-MM-DD')) END,
               (array_agg(o.period ORDER BY kpi.first_day(o.period)))[1], NULL, count(*), NULL
          FROM kpi.owed_periods(current_date, beneath) o
         WHERE kpi.last_day(o.period) <= day
         GROUP BY o.kpi_id
        UNION ALL
        SELECT 4, ARRAY[-a.days_overdue, a.action_item_id]::numeric[], 'overdue_action', a.kpi_id, a.objective_id, a.action_item_id,
               format('%s It was due on %s, %s ago.', CASE WHEN a.description ~ '[.!?]$' THEN a.description ELSE a.description || '.' END, to_char(a.due_on, 'YYYY-MM-DD'),
                      CASE a.days_overdue WHEN 1 THEN 'a day' ELSE a.days_overdue || ' days' END),
               a.period, NULL, a.days_overdue, a.owner
          FROM kpi.open_actions a
          LEFT JOIN kpi.held_review r ON r.review_id = a.review_id
         WHERE a.is_overdue AND (a.unit_id = the_unit OR r.unit_id = the_unit)
        UNION ALL
        SELECT 5, ARRAY[c.confidence], 'low_confidence', c.kpi_id, NULL, NULL,
               format('%s has a confidence of %s in %s%s', coalesce(c.author, 'Somebody'), trim_scale(c.confidence), c.period, coalesce(': ' || c.comment, '.')),
               c.period, NULL, trim_scale(c.confidence), NULL
          FROM (SELECT DISTINCT ON (c.kpi_id) c.kpi_id, c.period, c.author, c.comment, c.confidence
                  FROM kpi.latest_check_in c
                 WHERE c.kpi_id = ANY (own_kpis) AND c.confidence IS NOT NULL AND c.period OPERATOR(@extschema@.&&) the_period
                 ORDER BY c.kpi_id, c.at DESC, c.check_in_id DESC) c
         WHERE c.confidence < agenda_rows.min_confidence
        UNION ALL
        SELECT 6, ARRAY[min(kpi.first_day(t.period)) - current_date]::numeric[], 'target_not_agreed', t.kpi_id, NULL, NULL,
               CASE WHEN count(*) = 1 THEN format('The target%s for %s is proposed%s and not agreed.', ' of ' || trim_scale(min(t.value)), (array_agg(t.period))[1], ' by ' || min(t.proposed_by))
                    ELSE format('%s targets are proposed and not agreed, the first for %s.', count(*), (array_agg(t.period ORDER BY kpi.first_day(t.period), kpi.last_day(t.period)))[1]) END,
               (array_agg(t.period ORDER BY kpi.first_day(t.period), kpi.last_day(t.period)))[1], NULL, count(*), NULL
          FROM kpi.proposed_target t
         WHERE t.kpi_id = ANY (own_kpis) AND kpi.last_day(t.period) >= kpi.first_day(the_period)
         GROUP BY t.kpi_id
    )
    SELECT (row_number() OVER (ORDER BY i.part, i.urgency, coalesce(k.unit, o.unit_now), k.measure, o.code, i.action_item_id))::integer,
           i.reason, coalesce(k.unit, o.unit_now), k.measure, o.code, i.sentence, i.period, c.actual, c.target, c.status, i.old_status, trim_scale(i.amount),
           coalesce(i.owner, k.owner, o.owner), coalesce(k.unit_id, o.unit_id), i.kpi_id, i.objective_id, i.action_item_id
      FROM item i
      LEFT JOIN kpi.owing_kpi k ON k.kpi_id = i.kpi_id
      LEFT JOIN kpi.described_objective o ON o.objective_id = i.objective_id
      LEFT JOIN LATERAL (SELECT c.actual, c.target, c.status FROM kpi.current_cell c
                          WHERE c.kpi_id = i.kpi_id AND c.period OPERATOR(@extschema@.=) i.period) c ON true
     WHERE k.kpi_id IS NOT NULL OR o.objective_id IS NOT NULL
     ORDER BY 1;
END
$$;
COMMENT ON FUNCTION kpi.agenda_rows(bigint, @extschema@.kpi_period, numeric) IS 'Internal to kpi.review_agenda(): its rows';

DO $overloads$
DECLARE
    v record;
BEGIN
    FOR v IN
        SELECT u.unit_type, p.period_type, u.by_path, u.unit_type = 'text' AND p.period_type = 'text' AS is_first
          FROM (VALUES (1, 'text', false), (2, '@extschema@.kpi_path', true)) u (no, unit_type, by_path),
               (VALUES (1, 'text'), (2, '@extschema@.kpi_period')) p (no, period_type)
         ORDER BY u.no, p.no
    LOOP
        EXECUTE format($create$
CREATE FUNCTION kpi.review_agenda(unit %s, period %s, min_confidence numeric DEFAULT 0.5)
    RETURNS SETOF kpi.agenda_item
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 20
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked record;
BEGIN
    IF review_agenda.period IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'no period is given to review',
            HINT = 'Give the period that is looked at, such as 2026-03 or 2026-Q1.';
    ELSIF review_agenda.min_confidence IS NULL OR review_agenda.min_confidence NOT BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('min_confidence "%%s" is out of range', coalesce(review_agenda.min_confidence::text, 'null')),
            HINT = 'Give a number from 0 to 1; what is below it is low.';
    END IF;
    SELECT e.unit_id, e.of_period INTO asked FROM kpi.explained_kpi(review_agenda.unit::text, NULL, review_agenda.period::text, %L) e;
    RETURN QUERY SELECT r.* FROM kpi.agenda_rows(asked.unit_id, asked.of_period, review_agenda.min_confidence) r;
END
$$$create$, v.unit_type, v.period_type, v.by_path);
        EXECUTE format('COMMENT ON FUNCTION kpi.review_agenda(%s, %s, numeric) IS %L', v.unit_type, v.period_type,
            CASE WHEN v.is_first THEN 'What a unit should talk about when it reviews a period, the most urgent first, with the reason for each. status_fallen: a KPI of the unit whose status is worse than its last review saw it in the period it looked at; that is the newest review of the unit held before today on such a period, this one or an earlier; where it saw none, or there was no review, worse than in the period before. largest_contribution: for each KPI of the unit that is off_track or at_risk, the KPI right beneath that takes most from it, as kpi.explain says by shortfall, or that decides a minimum or maximum; itself, where none beneath does. stale_data: KPIs of the unit, and those right beneath, that owe a figure of the period or an earlier one, as kpi.due says of today. overdue_action: open actions past their date about the unit''s KPIs and objectives, and those its reviews decided. low_confidence: KPIs of the unit whose latest check-in with a confidence, of the period or one around or inside it, has less than min_confidence. target_not_agreed: KPIs of the unit with a proposed target for the period or later. unit is a path or a unit code; a KPI of a coarser grain is looked at in the period around. Errors: 42704 for an unknown unit, 22004 without a period, 22023 for a min_confidence that is not from 0 to 1'
                 ELSE 'As kpi.review_agenda(text, text, numeric)' || CASE WHEN v.by_path THEN ', with the unit by path only' ELSE '' END END);
    END LOOP;
END
$overloads$;
