-- Check-ins, reviews and actions: what their tables refuse, what is kept
-- together, and the views that meetings need.

-- ---------------------------------------------------------------- rules

CREATE TRIGGER author_refused BEFORE INSERT OR UPDATE ON kpi.check_in
    FOR EACH ROW WHEN (NEW.author = '')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'author "%" of a check-in is empty', 'author', 'Null means that nobody is named.');
CREATE TRIGGER confidence_refused BEFORE INSERT OR UPDATE ON kpi.check_in
    FOR EACH ROW WHEN (NOT (NEW.confidence >= 0 AND NEW.confidence <= 1))
    EXECUTE FUNCTION kpi.refuse_row('23514', 'confidence "%" is out of range', 'confidence', 'It is from 0 (the target will be missed) to 1 (it will be reached); null means unsaid.');
CREATE TRIGGER forecast_refused BEFORE INSERT OR UPDATE ON kpi.check_in
    FOR EACH ROW WHEN (NOT (abs(NEW.forecast) < 1e30 AND scale(trim_scale(NEW.forecast)) <= 20))
    EXECUTE FUNCTION kpi.refuse_row('22003', 'forecast "%" is out of range', 'forecast', 'Numbers are finite and have at most 30 digits before and 20 after the point.');
CREATE TRIGGER reply_to_refused BEFORE INSERT OR UPDATE ON kpi.check_in
    FOR EACH ROW WHEN (NEW.reply_to >= NEW.check_in_id)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'check-in "%" is not earlier than its reply', 'reply_to', 'A reply is to a check-in with a lower key; leave check_in_id out for the next one.');
CREATE TRIGGER chair_refused BEFORE INSERT OR UPDATE ON kpi.review
    FOR EACH ROW WHEN (NEW.chair = '')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'chair "%" of a review is empty', 'chair', 'Null means unsaid.');
CREATE TRIGGER subject_refused BEFORE INSERT OR UPDATE ON kpi.review_item
    FOR EACH ROW WHEN (num_nonnulls(NEW.kpi_id, NEW.objective_id) <> 1)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'review item "%" is not about one KPI or one objective', 'review_item_id', 'Give kpi_id or objective_id, and not both.');
CREATE TRIGGER subject_refused BEFORE INSERT OR UPDATE ON kpi.action_item
    FOR EACH ROW WHEN (num_nonnulls(NEW.kpi_id, NEW.objective_id) <> 1)
    EXECUTE FUNCTION kpi.refuse_row('23514', 'action "%" is not about one KPI or one objective', 'description', 'Give kpi_id or objective_id, and not both.');
CREATE TRIGGER description_refused BEFORE INSERT OR UPDATE ON kpi.action_item
    FOR EACH ROW WHEN (NEW.description = '')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'description "%" of an action is empty', 'description', 'Say what is to be done.');
CREATE TRIGGER owner_refused BEFORE INSERT OR UPDATE ON kpi.action_item
    FOR EACH ROW WHEN (NEW.owner = '')
    EXECUTE FUNCTION kpi.refuse_row('23514', 'owner "%" of an action is empty', 'owner', 'Null means nobody yet.');
CREATE TRIGGER state_refused BEFORE INSERT OR UPDATE ON kpi.action_item
    FOR EACH ROW WHEN (NEW.state NOT IN ('open', 'in_progress', 'done', 'cancelled'))
    EXECUTE FUNCTION kpi.refuse_row('23514', 'state "%" of an action is not known', 'state', 'Use one of: open, in_progress, done, cancelled.');
CREATE TRIGGER due_after_refused BEFORE INSERT OR UPDATE ON kpi.measure
    FOR EACH ROW WHEN (NOT (NEW.due_after >= interval '0 days' AND NEW.due_after <= interval '10 years'))
    EXECUTE FUNCTION kpi.refuse_row('23514', 'due_after "%" is out of range', 'due_after', 'It is from 0 days to 10 years after the end of a period.');

COMMENT ON TRIGGER author_refused ON kpi.check_in IS 'Refuses empty names with a hint';
COMMENT ON TRIGGER confidence_refused ON kpi.check_in IS 'Refuses confidences that are not from 0 to 1';
COMMENT ON TRIGGER forecast_refused ON kpi.check_in IS 'Refuses numbers out of range with a hint';
COMMENT ON TRIGGER reply_to_refused ON kpi.check_in IS 'Refuses replies to later check-ins, and to themselves';
COMMENT ON TRIGGER chair_refused ON kpi.review IS 'Refuses empty names with a hint';
COMMENT ON TRIGGER subject_refused ON kpi.review_item IS 'Refuses items about nothing, and about two things';
COMMENT ON TRIGGER subject_refused ON kpi.action_item IS 'Refuses actions about nothing, and about two things';
COMMENT ON TRIGGER description_refused ON kpi.action_item IS 'Refuses empty descriptions with a hint';
COMMENT ON TRIGGER owner_refused ON kpi.action_item IS 'Refuses empty names with a hint';
COMMENT ON TRIGGER state_refused ON kpi.action_item IS 'Refuses unknown states with a hint';
COMMENT ON TRIGGER due_after_refused ON kpi.measure IS 'Refuses times that are negative or too long';

-- ---------------------------------------------------------------- check-ins

CREATE FUNCTION kpi.name_author() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    names text[];
BEGIN
    names := ARRAY(SELECT m.name FROM kpi.member m WHERE m.role_name = NEW.author LIMIT 2);
    IF cardinality(names) = 1 THEN
        NEW.author := names[1];
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.name_author() IS
'Internal trigger: the author of a check-in is the member who works as the role that has logged in, where there is exactly one.';

CREATE TRIGGER author_named BEFORE INSERT ON kpi.check_in
    FOR EACH ROW WHEN (NEW.author = session_user AND NOT kpi.restoring()) EXECUTE FUNCTION kpi.name_author();
COMMENT ON TRIGGER author_named ON kpi.check_in IS 'Names the member in place of the role that has logged in';

-- What replies refer to is kept by triggers, not by a foreign key: dumps of a
-- table that refers to itself come with a warning, and rows one by one in any
-- order would not restore.  A check-in that is answered is locked as a foreign
-- key would; but a transaction at REPEATABLE READ that deletes one does not see
-- replies made since it began.
CREATE FUNCTION kpi.check_in_rules() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    bad record;
    concerned bigint[];
BEGIN
    IF kpi.restoring() THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT u.path AS unit, m.code, m.grain, m.fiscal_start, n.period INTO bad
          FROM written n
          JOIN kpi.kpi k ON k.kpi_id = n.kpi_id
          JOIN kpi.unit u ON u.unit_id = k.unit_id
          JOIN kpi.measure m ON m.measure_id = k.measure_id
         WHERE NOT kpi.is_target_period(n.period, m.grain, m.fiscal_start)
         LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('check-in period "%s" for unit "%s" does not fit measure "%s"', bad.period, bad.unit, bad.code),
                DETAIL = format('The measure''s grain is %s, with the year starting in month %s.', bad.grain, bad.fiscal_start),
                HINT = CASE WHEN bad.grain = 'week' THEN 'This measure is kept by week, which rolls up to nothing.'
                            ELSE format('Use a %s or a coarser period that it rolls up to, such as %s.', bad.grain,
                                        kpi.period(kpi.first_day(bad.period), greatest(bad.grain, 'quarter'), bad.fiscal_start)) END,
                SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'period';
        END IF;
        concerned := ARRAY(SELECT n.check_in_id FROM written n);
        PERFORM FROM kpi.check_in c WHERE c.check_in_id IN (SELECT n.reply_to FROM written n) ORDER BY c.check_in_id FOR KEY SHARE;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        concerned := concerned || ARRAY(SELECT o.check_in_id FROM was o);
    END IF;
    SELECT c.check_in_id, c.reply_to, p.check_in_id IS NULL AS is_lost, kpi.readable_check_in(c.kpi_id, c.period) AS said,
           kpi.readable_check_in(p.kpi_id, p.period) AS answered INTO bad
      FROM kpi.check_in c
      LEFT JOIN kpi.check_in p ON p.check_in_id = c.reply_to
     WHERE (c.check_in_id = ANY (concerned) OR c.reply_to = ANY (concerned)) AND c.reply_to IS NOT NULL
       AND (p.check_in_id IS NULL OR p.kpi_id <> c.kpi_id OR p.period OPERATOR(@extschema@.<>) c.period)
     ORDER BY c.check_in_id LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF bad.is_lost AND TG_OP = 'DELETE' THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('check-in %s still has replies', bad.reply_to),
            DETAIL = format('Check-in %s answers it.', bad.check_in_id),
            HINT = 'Delete its replies in the same statement; kpi.check_in_thread shows them.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    ELSIF bad.is_lost THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('check-in %s does not exist', bad.reply_to),
            DETAIL = format('Check-in %s answers it.', bad.check_in_id),
            HINT = 'reply_to is the check_in_id of an earlier check-in of the same KPI and period.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'reply_to';
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'check_violation',
        MESSAGE = format('check-in %s cannot answer check-in %s, which is about something else', bad.check_in_id, bad.reply_to),
        DETAIL = format('It is about %s, the other about %s.', bad.said, bad.answered),
        HINT = 'Replies are about the KPI and the period of what they answer.',
        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'reply_to';
END
$$;
COMMENT ON FUNCTION kpi.check_in_rules() IS
'Internal trigger: refuses check-ins whose period does not fit the measure (22023), replies to what does not exist and to delete what has replies (23503), and replies about another KPI or period (23514).';

CREATE FUNCTION kpi.readable_check_in(kpi_id bigint, period @extschema@.kpi_period) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('measure "%s" of unit "%s" in %s', m.code, u.path, $2)
      FROM kpi.kpi k JOIN kpi.unit u ON u.unit_id = k.unit_id JOIN kpi.measure m ON m.measure_id = k.measure_id
     WHERE k.kpi_id = $1
$$;
COMMENT ON FUNCTION kpi.readable_check_in(bigint, @extschema@.kpi_period) IS 'Internal to kpi.check_in_rules(): what a check-in is about, in words';

CREATE TRIGGER check_in_rules_inserted AFTER INSERT ON kpi.check_in
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_in_rules();
CREATE TRIGGER check_in_rules_updated AFTER UPDATE ON kpi.check_in
    REFERENCING OLD TABLE AS was NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_in_rules();
CREATE TRIGGER check_in_rules_deleted AFTER DELETE ON kpi.check_in
    REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION kpi.check_in_rules();
COMMENT ON TRIGGER check_in_rules_inserted ON kpi.check_in IS 'Refuses periods and replies that do not fit';
COMMENT ON TRIGGER check_in_rules_updated ON kpi.check_in IS 'Refuses periods and replies that do not fit';
COMMENT ON TRIGGER check_in_rules_deleted ON kpi.check_in IS 'Refuses to delete what has replies';

CREATE FUNCTION kpi.measure_check_ins() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    other record;
BEGIN
    -- nobody may add what this does not see
    LOCK TABLE kpi.check_in IN SHARE ROW EXCLUSIVE MODE;
    SELECT c.period INTO other
      FROM kpi.kpi k JOIN kpi.check_in c ON c.kpi_id = k.kpi_id
     WHERE k.measure_id = NEW.measure_id AND NOT kpi.is_target_period(c.period, NEW.grain, NEW.fiscal_start)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'object_in_use',
            MESSAGE = format('measure "%s" has check-ins, such as of %s, and cannot change to %s with fiscal_start %s',
                             OLD.code, other.period, NEW.grain, NEW.fiscal_start),
            HINT = 'Create another measure, or delete the check-ins first.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.measure_check_ins() IS
'Internal trigger: refuses (55006) a change of grain or fiscal_start that existing check-ins do not fit.';
CREATE TRIGGER measure_check_ins BEFORE UPDATE ON kpi.measure
    FOR EACH ROW WHEN (OLD.grain <> NEW.grain OR OLD.fiscal_start <> NEW.fiscal_start)
    EXECUTE FUNCTION kpi.measure_check_ins();
COMMENT ON TRIGGER measure_check_ins ON kpi.measure IS 'Refuses another grain or fiscal start where check-ins do not fit it';

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
CREATE FUNCTION kpi.check_in(unit %s, measure text, period %s, comment text DEFAULT NULL, confidence numeric DEFAULT NULL,
                             forecast numeric DEFAULT NULL, reply_to bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    new_id bigint;
BEGIN
    INSERT INTO kpi.check_in AS c (kpi_id, period, comment, confidence, forecast, reply_to)
    SELECT e.kpi_id, check_in.period, check_in.comment, check_in.confidence, check_in.forecast, check_in.reply_to
      FROM kpi.entry_kpi(check_in.unit::text, check_in.measure, %L) e
    RETURNING c.check_in_id INTO new_id;
    RETURN new_id;
END
$$$create$, v.unit_type, v.period_type, v.by_path);
        EXECUTE format('COMMENT ON FUNCTION kpi.check_in(%s, text, %s, text, numeric, numeric, bigint) IS %L', v.unit_type, v.period_type,
            CASE WHEN v.is_first THEN 'Says something of a KPI in a period, in the name of who has logged in, and returns the key of the row in kpi.check_in: a comment, the confidence that the target will be reached, 0 to 1, and the actual expected; all of them may be left out. unit is a path or a unit code; reply_to is the check-in that is answered. Errors: 42704 for an unknown KPI, and those of the table'
                 ELSE 'As kpi.check_in(text, text, text, text, numeric, numeric, bigint)' || CASE WHEN v.by_path THEN ', with the unit by path only' ELSE '' END END);
    END LOOP;
END
$overloads$;

CREATE VIEW kpi.latest_check_in AS
SELECT c.check_in_id,
       c.kpi_id,
       k.unit_id,
       u.path AS unit,
       m.code AS measure,
       c.period,
       c.author,
       c.at,
       c.comment,
       c.confidence,
       c.forecast
  FROM kpi.check_in c
  JOIN kpi.kpi k ON k.kpi_id = c.kpi_id
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
 WHERE c.reply_to IS NULL
   AND NOT EXISTS (SELECT FROM kpi.check_in l
                    WHERE l.kpi_id = c.kpi_id AND l.period OPERATOR(@extschema@.=) c.period AND l.reply_to IS NULL
                      AND (l.at, l.check_in_id) > (c.at, c.check_in_id))
   AND CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.latest_check_in IS 'The last check-in of each KPI and period that is no reply';
COMMENT ON COLUMN kpi.latest_check_in.check_in_id IS 'The check-in';
COMMENT ON COLUMN kpi.latest_check_in.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.latest_check_in.unit_id IS 'Its unit';
COMMENT ON COLUMN kpi.latest_check_in.unit IS 'Path of the unit, by the newest recorded parentage';
COMMENT ON COLUMN kpi.latest_check_in.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.latest_check_in.period IS 'The period';
COMMENT ON COLUMN kpi.latest_check_in.author IS 'Who says it';
COMMENT ON COLUMN kpi.latest_check_in.at IS 'When it was said';
COMMENT ON COLUMN kpi.latest_check_in.comment IS 'What is said';
COMMENT ON COLUMN kpi.latest_check_in.confidence IS 'How sure it is that the target will be reached, 0 to 1; null for unsaid';
COMMENT ON COLUMN kpi.latest_check_in.forecast IS 'The actual that is expected at the end of the period; null for unsaid';

CREATE VIEW kpi.check_in_thread AS
WITH RECURSIVE thread (thread_id, depth, place, check_in_id) AS (
    -- what answers something that is not there begins a thread too
    SELECT c.check_in_id, 0, ARRAY[c.check_in_id], c.check_in_id
      FROM kpi.check_in c
     WHERE NOT EXISTS (SELECT FROM kpi.check_in p WHERE p.check_in_id = c.reply_to)
    UNION ALL
    SELECT t.thread_id, t.depth + 1, t.place || c.check_in_id, c.check_in_id
      FROM thread t
      JOIN kpi.check_in c ON c.reply_to = t.check_in_id
)
SELECT t.thread_id,
       t.depth,
       t.place,
       c.check_in_id,
       c.reply_to,
       c.kpi_id,
       k.unit_id,
       u.path AS unit,
       m.code AS measure,
       c.period,
       c.author,
       c.at,
       c.comment,
       c.confidence,
       c.forecast
  FROM thread t
  JOIN kpi.check_in c ON c.check_in_id = t.check_in_id
  JOIN kpi.kpi k ON k.kpi_id = c.kpi_id
  JOIN kpi.unit u ON u.unit_id = k.unit_id
  JOIN kpi.measure m ON m.measure_id = k.measure_id
 WHERE CASE WHEN (SELECT kpi.row_security_applies()) THEN k.unit_id IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END;
COMMENT ON VIEW kpi.check_in_thread IS 'All check-ins with their replies: ORDER BY place shows each after what it answers, the oldest thread first';
COMMENT ON COLUMN kpi.check_in_thread.thread_id IS 'The check-in that began the thread';
COMMENT ON COLUMN kpi.check_in_thread.depth IS 'How many answers deep; 0 for the beginning';
COMMENT ON COLUMN kpi.check_in_thread.place IS 'The keys from the beginning of the thread to this check-in: the display order';
COMMENT ON COLUMN kpi.check_in_thread.check_in_id IS 'The check-in';
COMMENT ON COLUMN kpi.check_in_thread.reply_to IS 'The check-in that it answers; null for none';
COMMENT ON COLUMN kpi.check_in_thread.kpi_id IS 'The KPI';
COMMENT ON COLUMN kpi.check_in_thread.unit_id IS 'Its unit';
COMMENT ON COLUMN kpi.check_in_thread.unit IS 'Path of the unit, by the newest recorded parentage';
COMMENT ON COLUMN kpi.check_in_thread.measure IS 'Code of the measure';
COMMENT ON COLUMN kpi.check_in_thread.period IS 'The period';
COMMENT ON COLUMN kpi.check_in_thread.author IS 'Who says it';
COMMENT ON COLUMN kpi.check_in_thread.at IS 'When it was said';
COMMENT ON COLUMN kpi.check_in_thread.comment IS 'What is said';
COMMENT ON COLUMN kpi.check_in_thread.confidence IS 'How sure it is that the target will be reached, 0 to 1; null for unsaid';
COMMENT ON COLUMN kpi.check_in_thread.forecast IS 'The actual that is expected at the end of the period; null for unsaid';

CREATE VIEW kpi.scorecard_check_in AS
SELECT s.*,
       c.author AS check_in_author,
       c.at AS check_in_at,
       c.comment AS check_in_comment,
       c.confidence AS check_in_confidence,
       c.forecast AS check_in_forecast
  FROM kpi.scorecard s
  LEFT JOIN kpi.latest_check_in c ON c.kpi_id::numeric = s.kpi_id AND c.period::text = s.period;
COMMENT ON VIEW kpi.scorecard_check_in IS 'kpi.scorecard with the latest check-in of each KPI and period';
DO $comments$
DECLARE
    attribute record;
BEGIN
    FOR attribute IN
        SELECT a.attname AS name, coalesce(c.comment, pg_catalog.col_description('kpi.scorecard'::regclass, s.attnum)) AS comment
          FROM pg_catalog.pg_attribute a
          LEFT JOIN pg_catalog.pg_attribute s ON s.attrelid = 'kpi.scorecard'::regclass AND s.attname = a.attname AND s.attnum > 0
          LEFT JOIN (VALUES ('check_in_author', 'Who said it'), ('check_in_at', 'When it was said'), ('check_in_comment', 'What was said'),
                            ('check_in_confidence', 'How sure it was that the target will be reached, 0 to 1'),
                            ('check_in_forecast', 'The actual that was expected at the end of the period')) AS c (name, comment) ON c.name = a.attname
         WHERE a.attrelid = 'kpi.scorecard_check_in'::regclass AND a.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN kpi.scorecard_check_in.%I IS %L', attribute.name, attribute.comment);
    END LOOP;
END
$comments$;

-- ---------------------------------------------------------------- actions

CREATE FUNCTION kpi.keep_action_done() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state = 'done' THEN
            NEW.done_on := coalesce(NEW.done_on, current_date);
        ELSIF NEW.state = 'open' AND NEW.done_on IS NOT NULL THEN
            NEW.state := 'done';
        END IF;
    ELSIF NEW.state IS DISTINCT FROM OLD.state THEN
        -- the date goes by the state, unless it was changed with it
        IF NEW.state = 'done' THEN
            NEW.done_on := coalesce(NEW.done_on, current_date);
        ELSIF OLD.state = 'done' AND NEW.done_on IS NOT DISTINCT FROM OLD.done_on THEN
            NEW.done_on := NULL;
        END IF;
    ELSIF NEW.done_on IS NULL AND NEW.state = 'done' THEN
        NEW.state := 'open';
    ELSIF NEW.done_on IS NOT NULL AND NEW.state <> 'done' THEN
        NEW.state := 'done';
    END IF;
    IF NEW.done_on IS NOT NULL AND NEW.state IN ('open', 'in_progress', 'cancelled') THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('action "%s" was done on %s and cannot be %s', NEW.description, to_char(NEW.done_on, 'YYYY-MM-DD'), NEW.state),
            HINT = 'Leave done_on out, or make it done.',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'done_on';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kpi.keep_action_done() IS
'Internal trigger: keeps state and done_on of an action together. A date makes it done, being done without one means today; what is no longer done has none, and what has none any more is open again. Refuses (23514) a date with another state.';

CREATE TRIGGER action_done BEFORE INSERT OR UPDATE ON kpi.action_item
    FOR EACH ROW WHEN ((NEW.state = 'done') <> (NEW.done_on IS NOT NULL)) EXECUTE FUNCTION kpi.keep_action_done();
COMMENT ON TRIGGER action_done ON kpi.action_item IS 'Keeps state and done_on together';

CREATE VIEW kpi.open_actions AS
SELECT a.action_item_id,
       coalesce(k.unit_id, o.unit_id) AS unit_id,
       u.path AS unit,
       a.kpi_id,
       m.code AS measure,
       a.objective_id,
       o.code AS objective,
       a.description,
       a.owner,
       a.due_on,
       a.due_on < current_date AS is_overdue,
       CASE WHEN a.due_on < current_date THEN current_date - a.due_on WHEN a.due_on IS NOT NULL THEN 0 END AS days_overdue,
       a.state,
       a.review_id,
       r.held_on AS decided_on,
       f.period,
       CASE WHEN a.kpi_id IS NOT NULL THEN coalesce(f.status, 'no_data') END AS status
  FROM kpi.action_item a
  LEFT JOIN kpi.kpi k ON k.kpi_id = a.kpi_id
  LEFT JOIN kpi.measure m ON m.measure_id = k.measure_id
  LEFT JOIN kpi.objective o ON o.objective_id = a.objective_id
  LEFT JOIN kpi.unit u ON u.unit_id = coalesce(k.unit_id, o.unit_id)
  LEFT JOIN kpi.review r ON r.review_id = a.review_id
  LEFT JOIN kpi.latest_figure f ON f.kpi_id = a.kpi_id
 WHERE a.state IN ('open', 'in_progress')
   AND CASE WHEN (SELECT kpi.row_security_applies())
            THEN coalesce(k.unit_id, o.unit_id) IS NULL OR coalesce(k.unit_id, o.unit_id) IN (SELECT v.unit_id FROM kpi.visible_units() v (unit_id)) ELSE true END
 ORDER BY a.due_on NULLS LAST, a.action_item_id;
COMMENT ON VIEW kpi.open_actions IS 'Actions that are neither done nor cancelled, overdue ones first, those without a date last, next to how the KPI stands now';
COMMENT ON COLUMN kpi.open_actions.action_item_id IS 'The action';
COMMENT ON COLUMN kpi.open_actions.unit_id IS 'The unit of the KPI or objective; null for an objective of everybody';
COMMENT ON COLUMN kpi.open_actions.unit IS 'Path of the unit, by the newest recorded parentage';
COMMENT ON COLUMN kpi.open_actions.kpi_id IS 'The KPI that it is about; null for an objective';
COMMENT ON COLUMN kpi.open_actions.measure IS 'Code of its measure';
COMMENT ON COLUMN kpi.open_actions.objective_id IS 'The objective that it is about; null for a KPI';
COMMENT ON COLUMN kpi.open_actions.objective IS 'Code of the objective';
COMMENT ON COLUMN kpi.open_actions.description IS 'What is to be done';
COMMENT ON COLUMN kpi.open_actions.owner IS 'Who does it; null for nobody';
COMMENT ON COLUMN kpi.open_actions.due_on IS 'The last day on which it is in time; null for no date';
COMMENT ON COLUMN kpi.open_actions.is_overdue IS 'Is that day over? Null without a date';
COMMENT ON COLUMN kpi.open_actions.days_overdue IS 'For how many days; 0 where it is in time, null without a date';
COMMENT ON COLUMN kpi.open_actions.state IS 'open or in_progress';
COMMENT ON COLUMN kpi.open_actions.review_id IS 'The review that decided it; null for none';
COMMENT ON COLUMN kpi.open_actions.decided_on IS 'The day of that review';
COMMENT ON COLUMN kpi.open_actions.period IS 'The last base period of the KPI, up to the running one, in which something is known; null where there is none, and for an objective';
COMMENT ON COLUMN kpi.open_actions.status IS 'Status of the KPI in that period; no_data where there is none, null for an objective';
