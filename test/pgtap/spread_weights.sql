-- Targets spread where not everything beneath counts once: explicit value links
-- take the place of the implied ones, with their weights; and sums over random
-- trees of shares, weights, locks, decimals and signs.
\set QUIET 1
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
SET LOCAL search_path = public;
SELECT no_plan();

CREATE FUNCTION pg_temp.plan(unit text, period text, value numeric, decimals integer DEFAULT 2) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(kpi.label(c.unit, -1) || ' ' || c.new_value, ', ' ORDER BY c.unit, c.period)
      FROM kpi.cascade_target($1, 'sum', $2, $3, decimals => $4, dry_run => true) c
$$;
INSERT INTO kpi.measure (code, rollup) VALUES ('sum', 'sum'), ('other', 'sum'), ('most', 'max');

-- ---- published apportionments: Hamilton's method is that of the largest remainder
-- The House of 1792 with 120 seats, as in the bill that Washington vetoed
INSERT INTO kpi.unit (path) SELECT 'us' || s FROM unnest('{"",.CT,.DE,.GA,.KY,.MA,.MD,.NC,.NH,.NJ,.NY,.PA,.RI,.SC,.VA,.VT}'::text[]) s;
SELECT kpi.deploy('sum', 'us') \g /dev/null
UPDATE kpi.kpi k SET weight = p.people
  FROM (VALUES ('CT', 236841), ('DE', 55540), ('GA', 70835), ('KY', 68705), ('MA', 475327), ('MD', 278514), ('NC', 353523), ('NH', 141822),
               ('NJ', 179570), ('NY', 331589), ('PA', 432879), ('RI', 68446), ('SC', 206236), ('VA', 630560), ('VT', 85533)) AS p (state, people)
 WHERE k.kpi_id = kpi.kpi_id('us.' || p.state, 'sum');
SELECT is((SELECT string_agg(kpi.label(unit, -1) || ' ' || new_value, ', ' ORDER BY unit) FROM kpi.cascade_target('us', 'sum', '2026-01', 120, 'weight', decimals => 0, dry_run => true)),
          'us 120, CT 8, DE 2, GA 2, KY 2, MA 16, MD 9, NC 12, NH 5, NJ 6, NY 11, PA 14, RI 2, SC 7, VA 21, VT 3', '120 seats of the House of 1792');
-- the Alabama paradox: of 10 seats the third gets 2, of 11 only 1
INSERT INTO kpi.unit (path) VALUES ('al'), ('al.a'), ('al.b'), ('al.c');
SELECT kpi.deploy('sum', 'al') \g /dev/null
UPDATE kpi.kpi k SET weight = p.people FROM (VALUES ('al.a', 6), ('al.b', 6), ('al.c', 2)) AS p (unit, people) WHERE k.kpi_id = kpi.kpi_id(p.unit, 'sum');
SELECT is((SELECT string_agg(new_value::text, ' ' ORDER BY unit) FROM kpi.cascade_target('al', 'sum', '2026-01', v, 'weight', decimals => 0, dry_run => true)), e, v || ' seats')
  FROM (VALUES (10, '10 4 4 2'), (11, '11 5 5 1')) AS t (v, e);

-- percentages that shall add up to 100, as asked on a forum of programmers: 13.626332, 47.989636, 9.596008 and 28.788024 in
-- whole numbers; and by a teacher of spreadsheets: 115, 222 and 333 with two decimals, whose rounded ones make 99.99
INSERT INTO kpi.unit (path) VALUES ('pct'), ('pct.a'), ('pct.b'), ('pct.c'), ('pct.d');
SELECT kpi.deploy('sum', 'pct') \g /dev/null
CREATE FUNCTION pg_temp.percentages(weights numeric[], decimals integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE kpi.kpi k SET weight = coalesce(w.weight, 0) FROM unnest('{pct.a,pct.b,pct.c,pct.d}'::text[], weights) AS w (unit, weight) WHERE k.kpi_id = kpi.kpi_id(w.unit, 'sum');
    RETURN (SELECT string_agg(new_value::text, ' ' ORDER BY unit) FROM kpi.cascade_target('pct', 'sum', '2026-01', 100, 'weight', decimals => percentages.decimals, dry_run => true));
END $$;
SELECT is(pg_temp.percentages('{13.626332,47.989636,9.596008,28.788024}', 0), '100 14 48 9 29', 'whole percentages');
SELECT is(pg_temp.percentages('{115,222,333}', 2), '100 17.16 33.14 49.7 0', 'with two decimals');
-- 42 seats over counties of 247, 185, 459, 400 and 413 thousand, a textbook's exercise: 6, 5, 11, 10, 10
INSERT INTO kpi.unit (path) SELECT ('pct.' || c)::kpi_path FROM unnest('{adams,colton,davis,grant,hayes}'::text[]) c;
SELECT kpi.deploy('sum', 'pct') \g /dev/null
UPDATE kpi.kpi k SET weight = coalesce(p.people, 0)
  FROM kpi.unit u LEFT JOIN (VALUES ('adams', 247000), ('grant', 185000), ('colton', 459000), ('davis', 400000), ('hayes', 413000)) AS p (county, people) ON p.county = kpi.label(u.path, -1)
 WHERE k.unit_id = u.unit_id AND u.path <@ 'pct';
SELECT is((SELECT string_agg(kpi.label(unit, -1) || ' ' || new_value, ', ' ORDER BY unit) FROM kpi.cascade_target('pct', 'sum', '2026-01', 42, 'weight', decimals => 0, dry_run => true) WHERE new_value <> 0),
          'pct 42, adams 6, colton 11, davis 10, grant 5, hayes 10', '42 seats over five counties');

-- ---- weights of links
INSERT INTO kpi.unit (path, share) VALUES ('acme', 1), ('acme.a', 1), ('acme.b', 0.5), ('acme.c', 1), ('acme.d', 0);
SELECT kpi.deploy(m, 'acme') FROM unnest('{sum,other,most}'::text[]) m \g /dev/null
-- 300 over a, b, c: 100 each, of which b must reach 200, as half of it flows up
SELECT is(pg_temp.plan('acme', '2026-01', 300), 'acme 300, a 100, b 200, c 100', 'shares');
-- a counts with 0.8, so it must reach 125; b now with all of it
SELECT kpi.link_kpi('acme.a', 'sum', 'acme', 'sum', 'value', 0.8), kpi.link_kpi('acme.b', 'sum', 'acme', 'sum', 'value') \g /dev/null
SELECT is(pg_temp.plan('acme', '2026-01', 300), 'acme 300, a 125, b 100, c 100', 'a link takes the place of the share');
SELECT is((SELECT basis FROM kpi.cascade_target('acme', 'sum', '2026-01', 300, dry_run => true) WHERE unit = 'acme.a'), 'equal 1 of 3, share 0.8: 100 flows up', 'and the plan says so');
-- from April on it counts with 0.5
UPDATE kpi.link SET valid_to = '2026-04-01' WHERE child_kpi_id = kpi.kpi_id('acme.a', 'sum');
SELECT kpi.link_kpi('acme.a', 'sum', 'acme', 'sum', 'value', 0.5, '2026-04-01') \g /dev/null
SELECT is((SELECT string_agg(new_value::text, ' ' ORDER BY period) FROM kpi.cascade_target('acme', 'sum', '2026-H1', 1800, dry_run => true) WHERE unit = 'acme.a'),
          '125 125 125 200 200 200', 'each month with the weight in force');
-- what a share of 0 cuts off, a link brings back: 400 over four
SELECT kpi.link_kpi('acme.d', 'sum', 'acme', 'sum', 'value', 1) \g /dev/null
SELECT is(pg_temp.plan('acme', '2026-01', 400), 'acme 400, a 125, b 100, c 100, d 100', 'a link brings back what a share of 0 cuts off');
-- a weight above 1: a quarter of 10 is 2.5, 1.25 twice; with one decimal 1.3 brings 2.6 and the others share 7.4: 2.5, 2.5, 2.4
DELETE FROM kpi.link;
SELECT kpi.set_share('acme.b', 1, '-infinity'), kpi.set_share('acme.d', 1, '-infinity') \g /dev/null
SELECT kpi.link_kpi('acme.a', 'sum', 'acme', 'sum', 'value', 2) \g /dev/null
SELECT is(pg_temp.plan('acme', '2026-01', 10, 1), 'acme 10, a 1.3, b 2.5, c 2.5, d 2.4', 'what a weight above 1 cannot meet the others take');
SELECT is((SELECT basis FROM kpi.cascade_target('acme', 'sum', '2026-01', 10, decimals => 1, dry_run => true) WHERE unit = 'acme.a'), 'equal 1 of 4, weight 2: 2.6 flows up', 'and the plan says so');
-- a weight below 0 takes away: 100 + 20 over the other three
UPDATE kpi.link SET weight = -1;
SELECT throws_ok($$SELECT kpi.cascade_target('acme', 'sum', '2026-01', 100)$$, '55000', 'targets cannot be spread over unit "acme.a", which counts in unit "acme" with the weight -1 in 2026-01');
INSERT INTO kpi.target (kpi_id, period, value, locked) VALUES (kpi.kpi_id('acme.a', 'sum'), '2026-01', 20, true);
SELECT is(pg_temp.plan('acme', '2026-01', 100), 'acme 100, a 20, b 40, c 40, d 40', 'around a locked one that takes away');
SELECT isnt_empty($$SELECT * FROM kpi.cascade_target('acme', 'sum', '2026-01', 100)$$, 'written');
SELECT is_empty($$SELECT * FROM kpi.alignment WHERE code = 'targets_do_not_add_up'$$, 'adds up');
SELECT is((SELECT new_value FROM kpi.rollup_targets('acme', 'sum', '2026-01')), 100.0, 'and adds up again to what was spread');
-- a link of another measure, or that is only aligned, changes nothing
SELECT kpi.link_kpi('acme.b', 'other', 'acme', 'other', 'aligned', 0.1), kpi.link_kpi('acme.b', 'sum', 'acme', 'other', 'score', 0.1) \g /dev/null
SELECT is((SELECT string_agg(new_value::text, ' ' ORDER BY unit) FROM kpi.cascade_target('acme', 'other', '2026-01', 100, dry_run => true)), '100 25 25 25 25', 'other links do not count');

-- ---- random trees
SELECT setseed(0.7);
CREATE TEMP TABLE outcome (trial integer, decimals integer, value numeric, error text, rows bigint, wrong bigint);
DO $$
DECLARE
    top text;
    paths text[];
    d integer;
    v numeric;
    failed text;
    method text;
    the_top bigint;
BEGIN
    FOR trial IN 1 .. 60 LOOP
        top := 'r' || trial;
        paths := ARRAY[top];
        FOR i IN 1 .. 5 + floor(random() * 30)::integer LOOP
            paths := paths || (paths[1 + floor(random() * cardinality(paths))::integer] || '.' || chr(97 + i % 26) || i);
        END LOOP;
        INSERT INTO kpi.unit (path, share) SELECT p::kpi_path, CASE floor(random() * 4) WHEN 0 THEN greatest(round(random()::numeric, 1), 0.1) ELSE 1 END FROM unnest(paths) p;
        INSERT INTO kpi.kpi (unit_id, measure_id, weight)
        SELECT u.unit_id, m.measure_id, floor(random() * 5) + 0.5 FROM kpi.unit u, kpi.measure m
         WHERE u.path <@ top::kpi_path AND m.code = 'sum' AND (u.path = top::kpi_path OR random() < 0.85);
        -- explicit links with weights up to 1 in the place of some implied ones
        INSERT INTO kpi.link (child_kpi_id, parent_kpi_id, contributes, weight, valid_from)
        SELECT l.child_kpi_id, l.parent_kpi_id, 'value', greatest(round(random()::numeric, 2), 0.01), CASE WHEN random() < 0.5 THEN '2026-05-10'::date END
          FROM kpi.links_in_force('2026-04-30') l JOIN kpi.kpi k ON k.kpi_id = l.child_kpi_id JOIN kpi.unit u USING (unit_id)
         WHERE u.path <@ top::kpi_path AND random() < 0.2;
        the_top := kpi.kpi_id(top, 'sum');
        d := floor(random() * 4)::integer;
        v := round((random() * 20000 - 8000)::numeric, d);
        -- locks anywhere, of a part of what there is
        INSERT INTO kpi.target (kpi_id, period, value, locked)
        SELECT k.kpi_id, p, round((random() * v / 100)::numeric, d), true
          FROM kpi.kpi k JOIN kpi.unit u USING (unit_id) JOIN kpi.measure m USING (measure_id), unnest('{2026-04,2026-06}'::kpi_period[]) p
         WHERE u.path <@ top::kpi_path AND u.path <> top::kpi_path AND m.code = 'sum' AND random() < 0.1;
        method := (ARRAY['equal', 'weight'])[1 + trial % 2];
        BEGIN
            failed := NULL;
            PERFORM kpi.cascade_target(top, 'sum', '2026-Q2', v, method, decimals => d, pattern => CASE WHEN trial % 3 = 0 THEN '{4,4,5}'::numeric[] END);
        EXCEPTION WHEN object_not_in_prerequisite_state THEN
            failed := SQLERRM;
        END;
        INSERT INTO outcome
        SELECT trial, d, v, failed, count(*), CASE WHEN failed IS NULL THEN count(*) FILTER (WHERE s.total <> s.value) + (SELECT count(*) FROM (
                   SELECT sum(t.value) AS total FROM kpi.target t WHERE t.kpi_id = the_top) w WHERE w.total <> v) END
          FROM (SELECT p.kpi_id, p.period, p.value, sum(round(l.weight * c.value, d)) AS total
                  FROM unnest('{2026-04,2026-05,2026-06}'::kpi_period[]) x (period)
                 CROSS JOIN LATERAL kpi.links_in_force(kpi.last_day(x.period)) l
                  JOIN kpi.kpi k ON k.kpi_id = l.parent_kpi_id
                  JOIN kpi.unit u ON u.unit_id = k.unit_id AND u.path <@ top::kpi_path
                  LEFT JOIN kpi.target p ON p.kpi_id = l.parent_kpi_id AND p.period = x.period
                  LEFT JOIN kpi.target c ON c.kpi_id = l.child_kpi_id AND c.period = x.period
                 WHERE l.contributes = 'value'
                 GROUP BY p.kpi_id, p.period, p.value) s;
    END LOOP;
END
$$;
SELECT is_empty($$SELECT * FROM outcome WHERE wrong <> 0$$, 'random trees: what flows up adds up on every level, and over the months');
SELECT cmp_ok((SELECT count(*) FROM outcome WHERE error IS NULL), '>', 20::bigint, 'enough of them could be spread');
SELECT is_empty($$SELECT * FROM outcome WHERE error !~ '^(locked target|targets? .*locked)'$$, 'the others because of their locks');
SELECT finish();
ROLLBACK;
