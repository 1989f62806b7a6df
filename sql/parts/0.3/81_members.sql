-- People: what their tables refuse, and what becomes of a name when its member
-- is renamed or goes; who has seen an objective, and who still has to learn.

-- ---------------------------------------------------------------- rules

CREATE TRIGGER name_refused BEFORE INSERT OR UPDATE ON kpi.member
    FOR EACH ROW WHEN (NEW.name = '')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'name "%" of a member is empty', 'name', 'Give the name that owner, author and chair use.');
CREATE TRIGGER email_refused BEFORE INSERT OR UPDATE ON kpi.member
    FOR EACH ROW WHEN (NEW.email = '')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'email "%" of a member is empty', 'email', 'Null means unknown.');
CREATE TRIGGER role_name_refused BEFORE INSERT OR UPDATE ON kpi.member
    FOR EACH ROW WHEN (NEW.role_name = '')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'role_name "%" of a member is empty', 'role_name', 'Null means none.');
CREATE TRIGGER valid_refused BEFORE INSERT OR UPDATE ON kpi.member
    FOR EACH ROW WHEN (NEW.valid_from >= NEW.valid_to)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'valid_to "%" does not come after valid_from', 'valid_to', 'valid_to is the first day that is no longer valid; null means open.');
CREATE TRIGGER function_refused BEFORE INSERT OR UPDATE ON kpi.membership
    FOR EACH ROW WHEN (NEW.function = '')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'function "%" of a membership is empty', 'function', 'Null means unsaid.');
CREATE TRIGGER valid_refused BEFORE INSERT OR UPDATE ON kpi.membership
    FOR EACH ROW WHEN (NEW.valid_from >= NEW.valid_to)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'valid_to "%" does not come after valid_from', 'valid_to', 'valid_to is the first day that is no longer valid; null means open.');
CREATE TRIGGER code_refused BEFORE INSERT OR UPDATE ON kpi.skill
    FOR EACH ROW WHEN (NEW.code = '')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'code "%" of a skill is empty', 'code', 'Give it a short name.');
CREATE TRIGGER expires_on_refused BEFORE INSERT OR UPDATE ON kpi.training
    FOR EACH ROW WHEN (NEW.completed_on >= NEW.expires_on)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'expires_on "%" does not come after completed_on', 'expires_on', 'expires_on is the first day on which the skill is no longer good; null means never.');

-- A row without a member is what is left of one that was deleted.
CREATE TRIGGER member_refused BEFORE INSERT ON kpi.membership
    FOR EACH ROW WHEN (NEW.member_id IS NULL AND NOT kpi.restoring())
    EXECUTE FUNCTION kpi.refuse_row('23502', 'member "%" of a membership is missing', 'member_id', 'Give the member_id of a row in kpi.member.');
CREATE TRIGGER member_refused BEFORE INSERT ON kpi.training
    FOR EACH ROW WHEN (NEW.member_id IS NULL AND NOT kpi.restoring())
    EXECUTE FUNCTION kpi.refuse_row('23502', 'member "%" of a training is missing', 'member_id', 'Give the member_id of a row in kpi.member.');
CREATE TRIGGER member_refused BEFORE INSERT ON kpi.acknowledgement
    FOR EACH ROW WHEN (NEW.member_id IS NULL AND NOT kpi.restoring())
    EXECUTE FUNCTION kpi.refuse_row('23502', 'member "%" of an acknowledgement is missing', 'member_id', 'Give the member_id of a row in kpi.member.');

COMMENT ON TRIGGER name_refused ON kpi.member IS 'Refuses empty names with a hint';
COMMENT ON TRIGGER email_refused ON kpi.member IS 'Refuses empty addresses with a hint';
COMMENT ON TRIGGER role_name_refused ON kpi.member IS 'Refuses empty names of roles with a hint';
COMMENT ON TRIGGER valid_refused ON kpi.member IS 'Refuses a validity that ends before it begins';
COMMENT ON TRIGGER function_refused ON kpi.membership IS 'Refuses empty functions with a hint';
COMMENT ON TRIGGER valid_refused ON kpi.membership IS 'Refuses a validity that ends before it begins';
COMMENT ON TRIGGER code_refused ON kpi.skill IS 'Refuses empty codes with a hint';
COMMENT ON TRIGGER expires_on_refused ON kpi.training IS 'Refuses a training that expires before it is completed';
COMMENT ON TRIGGER member_refused ON kpi.membership IS 'Refuses new rows without a member, but when a dump is restored';
COMMENT ON TRIGGER member_refused ON kpi.training IS 'Refuses new rows without a member, but when a dump is restored';
COMMENT ON TRIGGER member_refused ON kpi.acknowledgement IS 'Refuses new rows without a member, but when a dump is restored';

-- ---------------------------------------------------------------- names

-- Rows that hold the name are few and found by a look at the whole column;
-- members are renamed or deleted rarely.
CREATE FUNCTION kpi.carry_names() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    names text[];
    new_name text;
    place record;
    is_there boolean;
BEGIN
    CASE TG_OP
    WHEN 'UPDATE' THEN
        names := ARRAY[OLD.name];
        new_name := NEW.name;
    WHEN 'DELETE' THEN
        names := ARRAY(SELECT o.name FROM was o);
    ELSE
        names := ARRAY(SELECT m.name FROM kpi.member m);
    END CASE;
    IF cardinality(names) = 0 THEN
        RETURN NULL;
    END IF;
    -- one statement per table: two renamed at once never wait for each other in a circle
    FOR place IN
        SELECT p.relation,
               (SELECT string_agg(format('%1$I = CASE WHEN t.%1$I = ANY ($2) THEN $1 ELSE t.%1$I END', c), ', ') FROM unnest(p.cols) AS c) AS changes,
               (SELECT string_agg(format('t.%I = ANY ($2)', c), ' OR ') FROM unnest(p.cols) AS c) AS condition
          FROM (VALUES ('unit', '{owner}'::text[]), ('kpi', '{owner}'), ('objective', '{owner}'), ('target', '{proposed_by,agreed_by}'),
                       ('check_in', '{author}'), ('review', '{chair}'), ('action_item', '{owner}')) AS p (relation, cols)
    LOOP
        -- an UPDATE of no rows would take locks all the same
        EXECUTE format('SELECT EXISTS (SELECT $1 FROM kpi.%I t WHERE %s)', place.relation, place.condition) INTO is_there USING new_name, names;
        IF is_there THEN
            EXECUTE format('UPDATE kpi.%I t SET %s WHERE %s', place.relation, place.changes, place.condition) USING new_name, names;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kpi.carry_names() IS
'Internal trigger: writes the new name of a member wherever the old one stood as owner, author, chair, or as who proposed or agreed to a target; that of a deleted member becomes null there.';

CREATE TRIGGER names_carried AFTER UPDATE ON kpi.member
    FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION kpi.carry_names();
CREATE TRIGGER names_removed AFTER DELETE ON kpi.member
    REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION kpi.carry_names();
CREATE TRIGGER names_removed_truncated BEFORE TRUNCATE ON kpi.member
    FOR EACH STATEMENT EXECUTE FUNCTION kpi.carry_names();
COMMENT ON TRIGGER names_carried ON kpi.member IS 'Renames the member wherever the old name stands';
COMMENT ON TRIGGER names_removed ON kpi.member IS 'Removes the names of deleted members wherever they stand';
COMMENT ON TRIGGER names_removed_truncated ON kpi.member IS 'Removes the names of all members wherever they stand';

-- ---------------------------------------------------------------- communication

CREATE FUNCTION kpi.acknowledge(objective text, member text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    the_objective constant bigint := (SELECT o.objective_id FROM kpi.objective o WHERE o.code = acknowledge.objective);
    the_member constant bigint := (SELECT m.member_id FROM kpi.member m WHERE m.name = acknowledge.member);
    the_id bigint;
BEGIN
    IF the_objective IS NULL OR the_member IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = CASE WHEN the_objective IS NULL THEN format('objective "%s" does not exist', coalesce(acknowledge.objective, 'null'))
                           ELSE format('member "%s" does not exist', coalesce(acknowledge.member, 'null')) END,
            HINT = CASE WHEN the_objective IS NULL THEN 'Give a code as in kpi.objective.code.' ELSE 'Give a name as in kpi.member.name.' END;
    END IF;
    INSERT INTO kpi.acknowledgement AS a (objective_id, member_id)
    VALUES (the_objective, the_member)
    ON CONFLICT ON CONSTRAINT acknowledgement_objective_id_member_id_key DO NOTHING
    RETURNING a.acknowledgement_id INTO the_id;
    RETURN coalesce(the_id, (SELECT a.acknowledgement_id FROM kpi.acknowledgement a
                              WHERE a.objective_id = the_objective AND a.member_id = the_member));
END
$$;
COMMENT ON FUNCTION kpi.acknowledge(text, text) IS
'Keeps that a member has seen an objective, given by its code and the member''s name, and returns the key of the row; the first time counts. Error: 42704 for an unknown objective or member.';

CREATE VIEW kpi.objective_reach AS
WITH member AS MATERIALIZED (           -- of today
    SELECT m.member_id
      FROM kpi.member m
     WHERE coalesce(m.valid_from, '-infinity') <= current_date AND coalesce(m.valid_to, 'infinity') > current_date
), belongs AS MATERIALIZED (            -- to a unit, or to one beneath it
    SELECT DISTINCT a.unit_id, s.member_id
      FROM kpi.membership s
      JOIN member m ON m.member_id = s.member_id
      JOIN kpi.unit_path p ON p.unit_id = s.unit_id AND p.valid_from <= current_date AND p.valid_to > current_date
     CROSS JOIN LATERAL generate_series(1, kpi.depth(p.path)) AS d (depth)
      JOIN kpi.unit_path a ON a.path OPERATOR(@extschema@.=) kpi.subpath(p.path, 1, d.depth) AND a.valid_from <= current_date AND a.valid_to > current_date
     WHERE coalesce(s.valid_from, '-infinity') <= current_date AND coalesce(s.valid_to, 'infinity') > current_date
), concerned AS (
    SELECT o.objective_id, b.member_id FROM kpi.objective o JOIN belongs b ON b.unit_id = o.unit_id
    UNION ALL
    SELECT o.objective_id, m.member_id FROM kpi.objective o CROSS JOIN member m WHERE o.unit_id IS NULL
), counted AS (
    SELECT c.objective_id, count(*) AS members, count(a.member_id) AS seen
      FROM concerned c
      LEFT JOIN kpi.acknowledgement a ON a.objective_id = c.objective_id AND a.member_id = c.member_id
     GROUP BY c.objective_id
)
SELECT o.objective_id,
       o.code,
       o.name,
       o.kind,
       o.unit_id,
       u.path AS unit,
       o.owner,
       coalesce(c.members, 0) AS members,
       coalesce(c.seen, 0) AS seen,
       kpi.exact_quotient(c.seen, c.members) AS share
  FROM kpi.objective o
  LEFT JOIN kpi.unit u ON u.unit_id = o.unit_id
  LEFT JOIN counted c ON c.objective_id = o.objective_id
 WHERE coalesce(o.valid_from, '-infinity') <= current_date AND coalesce(o.valid_to, 'infinity') > current_date
   AND (u.unit_id IS NULL
        OR coalesce(u.valid_from, '-infinity') <= current_date AND coalesce(u.valid_to, 'infinity') > current_date)
   AND CASE WHEN (SELECT kpi.row_security_applies())
            THEN o.unit_id IS NULL OR o.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.objective_reach IS 'How many of those whom an objective concerns have seen it, as kpi.acknowledgement says: one row per objective of today. An objective of a unit concerns the members of that unit and of all beneath it, one of everybody all members; members, memberships and units are those of today';
COMMENT ON COLUMN kpi.objective_reach.objective_id IS 'The objective';
COMMENT ON COLUMN kpi.objective_reach.code IS 'Its code';
COMMENT ON COLUMN kpi.objective_reach.name IS 'Its name';
COMMENT ON COLUMN kpi.objective_reach.kind IS 'mission, vision, strategic_objective, unit_objective or business_driver';
COMMENT ON COLUMN kpi.objective_reach.unit_id IS 'The unit whose objective it is; null for one of everybody';
COMMENT ON COLUMN kpi.objective_reach.unit IS 'Path of that unit, by the newest recorded parentage';
COMMENT ON COLUMN kpi.objective_reach.owner IS 'Who answers for the objective';
COMMENT ON COLUMN kpi.objective_reach.members IS 'How many members it concerns';
COMMENT ON COLUMN kpi.objective_reach.seen IS 'How many of these have seen it';
COMMENT ON COLUMN kpi.objective_reach.share IS 'seen over members, 0 to 1, rounded to 12 places; null where it concerns nobody';

-- ---------------------------------------------------------------- learning

CREATE VIEW kpi.latest_figure AS
SELECT k.kpi_id, c.period, c.actual, c.target, c.score, c.status
  FROM kpi.kpi k
  JOIN kpi.measure m ON m.measure_id = k.measure_id
 CROSS JOIN LATERAL (
    SELECT c.period, c.actual, c.target, c.score, c.status
      FROM kpi.counted_cell c
     WHERE c.kpi_id = k.kpi_id AND kpi.grain(c.period) = m.grain AND kpi.first_day(c.period) <= current_date
       AND (c.actual IS NOT NULL OR c.score IS NOT NULL)
     ORDER BY kpi.first_day(c.period) DESC
     LIMIT 1) c
 WHERE CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.latest_figure IS 'Internal: how each KPI stands in the last of its base periods, up to the running one, in which something is known';
COMMENT ON COLUMN kpi.latest_figure.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.latest_figure.period IS 'The period, of the measure''s grain';
COMMENT ON COLUMN kpi.latest_figure.actual IS 'Its actual';
COMMENT ON COLUMN kpi.latest_figure.target IS 'Its target';
COMMENT ON COLUMN kpi.latest_figure.score IS 'Its score';
COMMENT ON COLUMN kpi.latest_figure.status IS 'Its status';

CREATE VIEW kpi.training_gap AS
SELECT k.unit_id,
       u.path AS unit,
       k.kpi_id,
       m.code AS measure,
       s.code AS skill,
       s.name AS skill_name,
       g.members,
       g.members - cardinality(g.names) AS members_with_skill,
       cardinality(g.names) AS gap,
       g.names,
       f.period,
       coalesce(f.status, 'no_data') AS status
  FROM kpi.kpi k
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
  JOIN kpi.measure_skill n ON n.measure_id = k.measure_id
  JOIN kpi.skill s ON s.skill_id = n.skill_id
 CROSS JOIN LATERAL (
    SELECT count(*)::integer AS members,
           coalesce(array_agg(p.name ORDER BY p.name) FILTER (WHERE NOT p.has_skill), '{}') AS names
      FROM (SELECT p.name,
                   EXISTS (SELECT FROM kpi.training t
                            WHERE t.member_id = p.member_id AND t.skill_id = s.skill_id
                              AND t.completed_on <= current_date AND coalesce(t.expires_on, 'infinity') > current_date) AS has_skill
              FROM kpi.membership b
              JOIN kpi.member p ON p.member_id = b.member_id
             WHERE b.unit_id = k.unit_id
               AND coalesce(b.valid_from, '-infinity') <= current_date AND coalesce(b.valid_to, 'infinity') > current_date
               AND coalesce(p.valid_from, '-infinity') <= current_date AND coalesce(p.valid_to, 'infinity') > current_date) p) g
  LEFT JOIN kpi.latest_figure f ON f.kpi_id = k.kpi_id
 WHERE cardinality(g.names) > 0
   AND coalesce(greatest(k.valid_from, u.valid_from), '-infinity') <= current_date
   AND coalesce(least(k.valid_to, u.valid_to), 'infinity') > current_date
   AND CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.training_gap IS 'Where members of a unit lack a skill that it takes to move one of its KPIs, as kpi.measure_skill and kpi.training have it today: one row per KPI and skill that somebody lacks, next to how the KPI stands. Members are those of the unit itself, not of units beneath';
COMMENT ON COLUMN kpi.training_gap.unit_id IS 'The unit';
COMMENT ON COLUMN kpi.training_gap.unit IS 'Its path, by the newest recorded parentage';
COMMENT ON COLUMN kpi.training_gap.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.training_gap.measure IS 'Code of its measure';
COMMENT ON COLUMN kpi.training_gap.skill IS 'Code of the skill';
COMMENT ON COLUMN kpi.training_gap.skill_name IS 'Its name';
COMMENT ON COLUMN kpi.training_gap.members IS 'How many members the unit has';
COMMENT ON COLUMN kpi.training_gap.members_with_skill IS 'How many of them have the skill';
COMMENT ON COLUMN kpi.training_gap.gap IS 'How many do not, or no longer';
COMMENT ON COLUMN kpi.training_gap.names IS 'The names of these, in order';
COMMENT ON COLUMN kpi.training_gap.period IS 'The last base period of the KPI, up to the running one, in which something is known; null where there is none';
COMMENT ON COLUMN kpi.training_gap.status IS 'Status of the KPI in that period; no_data where there is none';
