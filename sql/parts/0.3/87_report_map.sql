-- The strategy map of kpi.report_html as a drawing: perspectives are bands,
-- objectives are boxes in them, lines lead from each to the one it serves.
--
-- Down, a box's place is its band, how many objectives above it are in the same
-- band, and, where these are many, a row of its own for each five.  Across, it
-- stands above what serves it: leaves of the tree stand evenly, others in the
-- middle of their leaves, and boxes that would overlap are pushed apart.

CREATE FUNCTION kpi.report_objectives(the_unit bigint, the_path @extschema@.kpi_path, of_period @extschema@.kpi_period, OUT steps kpi.sight_step[], OUT objectives bigint[])
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan
    SET jit = off
AS $$
DECLARE
    day constant date := kpi.last_day(of_period);
    kpis bigint[];
BEGIN
    -- KPIs of the unit, of units beneath, and those the unit's contribute to
    kpis := ARRAY(SELECT k.kpi_id FROM kpi.kpi k JOIN kpi.unit u ON u.unit_id = k.unit_id
                   WHERE u.path OPERATOR(@extschema@.<@) the_path
                     AND day >= coalesce(greatest(k.valid_from, u.valid_from), '-infinity')
                     AND day < coalesce(least(k.valid_to, u.valid_to), 'infinity'));
    kpis := kpis || ARRAY(SELECT s.to_id FROM kpi.link_steps(ARRAY(SELECT k.kpi_id FROM kpi.kpi k WHERE k.unit_id = the_unit AND k.kpi_id = ANY (kpis)), day, true, NULL) s);
    objectives := ARRAY(SELECT o.objective_id FROM kpi.described_objective o
                         WHERE o.alive_from <= day AND o.alive_to > day
                           AND (o.unit_now OPERATOR(@extschema@.<@) the_path OR o.unit_id IS NULL AND kpi.depth(the_path) = 1));
    steps := ARRAY(SELECT s FROM kpi.objective_steps(kpis, objectives, day) s);
    objectives := ARRAY(SELECT o.objective_id FROM unnest(objectives) AS o (objective_id) UNION SELECT s.to_id FROM unnest(steps) s);
    steps := ARRAY(SELECT s FROM unnest(steps) s WHERE s.from_kind = 'objective');
END
$$;
COMMENT ON FUNCTION kpi.report_objectives(bigint, @extschema@.kpi_path, @extschema@.kpi_period) IS 'Internal to kpi.report_html(): the objectives of a unit, of units beneath it and at a root of everybody, those its KPIs serve, and all above; with the steps between them';

CREATE FUNCTION kpi.report_map(the_unit bigint, the_path @extschema@.kpi_path, of_period @extschema@.kpi_period) RETURNS text
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    WITH RECURSIVE size (box, tall, gap, field, per_row, most) AS (
        VALUES (190, 84, 30, 1030, 5, 60)
    ), given AS MATERIALIZED (
        SELECT g.steps, g.objectives FROM kpi.report_objectives(the_unit, the_path, of_period) g
    ), objective AS MATERIALIZED (
        SELECT i.id, coalesce(nullif(d.name, ''), d.code, 'not shown') AS name, d.kind, d.perspective, d.owner, d.unit_now, s.score, s.status::text AS status,
               s.kpis, (SELECT min(x.to_id) FROM given, unnest(given.steps) x WHERE x.from_id = i.id) AS above,
               row_number() OVER (ORDER BY kpi.perspective_no(d.perspective), d.perspective, d.code, i.id) AS n
          FROM given, unnest(given.objectives) AS i (id)
          LEFT JOIN kpi.described_objective d ON d.objective_id = i.id
          LEFT JOIN (SELECT s.objective_id, s.score, s.status, s.kpis FROM kpi.objective_score s
                      WHERE s.period OPERATOR(@extschema@.=) of_period AND s.objective_id = ANY (ARRAY(SELECT o FROM given, unnest(given.objectives) o))) s ON s.objective_id = i.id
    ), tree AS (
        SELECT o.id, ARRAY[o.n] AS place, coalesce(o.perspective, '') AS band, 0 AS inside
          FROM objective o WHERE o.above IS NULL
        UNION ALL
        SELECT o.id, t.place || o.n, coalesce(o.perspective, ''), CASE WHEN coalesce(o.perspective, '') = t.band THEN t.inside + 1 ELSE 0 END
          FROM tree t JOIN objective o ON o.above = t.id
    ), kept AS (
        -- from the top down, as many as a page can hold
        SELECT k.* FROM (SELECT t.*, row_number() OVER (ORDER BY cardinality(t.place), t.place) AS rank FROM tree t) k, size z WHERE k.rank <= z.most
    ), leaf AS (
        SELECT k.place, row_number() OVER (ORDER BY k.place) - 0.5 AS at
          FROM kept k WHERE NOT EXISTS (SELECT FROM kept c WHERE c.place[:cardinality(k.place)] = k.place AND c.id <> k.id)
    ), wanted AS (
        SELECT k.id, k.place, k.band, k.inside,
               (SELECT (min(l.at) + max(l.at)) / 2 FROM leaf l WHERE l.place[:cardinality(k.place)] = k.place) / (SELECT count(*) FROM leaf) * z.field AS x
          FROM kept k, size z
    ), placed AS (
        SELECT w.*, (row_number() OVER (PARTITION BY w.band, w.inside ORDER BY w.x, w.place) - 1) / z.per_row AS fold FROM wanted w, size z
    ), rowed AS (
        SELECT p.*, dense_rank() OVER (ORDER BY (p.band <> ''), kpi.perspective_no(p.band), p.band, p.inside, p.fold) - 1 AS line,
               row_number() OVER (PARTITION BY p.band, p.inside, p.fold ORDER BY p.x, p.place) AS i
          FROM placed p
    ), pushed AS (
        -- to the right, until nothing overlaps
        SELECT r.*, r.i * (z.box + z.gap / 2) + max(greatest(r.x, z.box / 2.0) - r.i * (z.box + z.gap / 2)) OVER (PARTITION BY r.line ORDER BY r.i) AS pushed
          FROM rowed r, size z
    ), settled AS (
        -- and back to the left, until nothing sticks out
        SELECT p.id, p.place, p.band, p.line, 140 + p.i * (z.box + z.gap / 2)
               + min(least(p.pushed, z.field - z.box / 2.0) - p.i * (z.box + z.gap / 2)) OVER (PARTITION BY p.line ORDER BY p.i DESC) AS x
          FROM pushed p, size z
    ), banded AS (
        SELECT s.band, min(s.line) AS first, max(s.line) AS last, dense_rank() OVER (ORDER BY min(s.line)) - 1 AS number FROM settled s GROUP BY s.band
    ), box AS (
        SELECT s.id, s.place, round(s.x) AS x, b.number * 10 + s.line * (z.tall + z.gap) + z.gap / 2 AS y, o.name, o.kind, o.owner, o.unit_now, o.score, o.status, o.above,
               cardinality(l.words) AS lines, l.words
          FROM settled s
          JOIN banded b ON b.band = s.band
          JOIN objective o USING (id)
         CROSS JOIN size z
         CROSS JOIN LATERAL (SELECT kpi.report_lines(o.name, 24, 3) AS words) l
    ), drawn (part, sort, text) AS (
        SELECT 1, ARRAY[b.number::integer], concat('<rect class="band" x="0" y="', b.number * 10 + b.first * (z.tall + z.gap), '" width="1180" height="',
                                          (b.last - b.first + 1) * (z.tall + z.gap), '" rx="6"/>',
                                          (SELECT string_agg(format('<text class="bandname" x="18" y="%s">%s</text>', b.number * 10 + b.first * (z.tall + z.gap) + 14 + 17 * w.n, kpi.report_text(w.word)), '' ORDER BY w.n)
                                             FROM unnest(kpi.report_lines(CASE b.band WHEN '' THEN CASE WHEN b.number = 0 AND EXISTS (SELECT FROM banded o WHERE o.band <> '') THEN 'Purpose' ELSE 'Objectives' END
                                                                                      ELSE upper(left(b.band, 1)) || replace(substr(b.band, 2), '_', ' ') END, 14, 4)) WITH ORDINALITY AS w (word, n)))
          FROM banded b, size z
        UNION ALL
        SELECT 2, b.place::integer[], format('<path class="edge" d="M%s %sV%sC%s %s %s %s %s %s"/><path class="tip" d="M%s %sl-4 8h8Z"/>',
                                             b.x, b.y, a.y + z.tall + z.gap - 1, b.x, a.y + z.tall + 9, a.x, a.y + z.tall + 24, a.x, a.y + z.tall + 7,
                                             a.x, a.y + z.tall)
          FROM box b JOIN box a ON a.id = b.above CROSS JOIN size z
        UNION ALL
        SELECT 3, b.place::integer[], concat('<g class="objective"><title>', kpi.report_text(concat_ws(', ', b.name, replace(b.kind, '_', ' '), b.unit_now::text, b.owner)), '</title>',
                                             '<rect class="node" x="', b.x - z.box / 2, '" y="', b.y, '" width="', z.box, '" height="', z.tall, '" rx="5"/>', '<rect class="', coalesce(b.status, 'no_data'), '" x="', b.x - z.box / 2, '" y="', b.y + z.tall - 4, '" width="', z.box, '" height="4"/>',
                                             (SELECT string_agg(format('<text x="%s" y="%s" text-anchor="middle">%s</text>', b.x, b.y + 33 - 8 * b.lines + 16 * (w.n - 1) + 8, kpi.report_text(w.word)), '' ORDER BY w.n)
                                                FROM unnest(b.words) WITH ORDINALITY AS w (word, n)),
                                             '<g transform="translate(', b.x - z.box / 2 + 17, ' ', b.y + z.tall - 17, ') scale(.8)">', kpi.report_shape(b.status), '</g>',
                                             '<text class="note" x="', b.x - z.box / 2 + 29, '" y="', b.y + z.tall - 13, '">', kpi.report_word(b.status), '</text>',
                                             '<text class="note" text-anchor="end" x="', b.x + z.box / 2 - 11, '" y="', b.y + z.tall - 13, '">' || kpi.report_percent(b.score) || '</text>', '</g>')
          FROM box b, size z
    )
    SELECT concat('<div class="wide"><svg class="map" viewBox="0 0 1180 ', (SELECT max(b.number) * 10 + (max(b.last) + 1) * (z.tall + z.gap) FROM banded b, size z GROUP BY z.tall, z.gap),
                  '" role="img" xmlns="http://www.w3.org/2000/svg"><title>Strategy map of ', kpi.report_text(the_path::text), ', ', of_period, ': ', (SELECT count(*) FROM kept), ' objectives</title>',
                  string_agg(d.text, '' ORDER BY d.part, d.sort), '</svg></div>',
                  (SELECT concat('<p class="soft">Left out here: ', count(*), ' further down; kpi.strategy_map draws all objectives.</p>')
                     FROM tree t WHERE t.id NOT IN (SELECT k.id FROM kept k) HAVING count(*) > 0))
      FROM drawn d
    HAVING count(*) > 0
$$;
COMMENT ON FUNCTION kpi.report_map(bigint, @extschema@.kpi_path, @extschema@.kpi_period) IS 'Internal to kpi.report_html(): the strategy map as SVG; null where there is no objective';
