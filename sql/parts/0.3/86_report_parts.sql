-- What the pages of kpi.report_html are made of: text, numbers, shapes, bars,
-- lines and the style sheet.  Values in, markup out; nothing here reads a table.
--
-- The markup is both HTML and XML.  All characters of its own are ASCII, others
-- are references, so that only names depend on an encoding.

-- ---------------------------------------------------------------- text and numbers

CREATE FUNCTION kpi.report_text(words text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(replace(replace(replace(replace(replace(words, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;'),
                          '[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]', '&#65533;', 'g');
COMMENT ON FUNCTION kpi.report_text(text) IS 'Internal to kpi.report_html(): words as they stand in markup, also between quotes; a replacement character for what neither HTML nor XML can hold';

CREATE FUNCTION kpi.report_number(number numeric, signed boolean DEFAULT false) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN number IS NULL THEN '&#8211;'
        WHEN abs(number) >= 1e15 THEN regexp_replace(replace(ltrim(to_char(number, '9.999EEEE')), '-', '&#8722;'), 'e\+(\d+)$', '&#215;10<sup>\1</sup>')
        ELSE (SELECT concat(CASE WHEN n.rounded < 0 THEN '&#8722;' WHEN signed AND n.rounded > 0 THEN '+' END,
                            regexp_replace(split_part(abs(n.rounded)::text, '.', 1), '(\d)(?=(\d{3})+$)', '\1&#8239;', 'g'),
                            substring(n.rounded::text FROM '\..*'))
                FROM (SELECT trim_scale(round(number, CASE WHEN abs(number) >= 1000 THEN 0 WHEN abs(number) >= 100 THEN 1
                                                           WHEN abs(number) >= 1 THEN 2 ELSE 4 END)) AS rounded) n) END;
COMMENT ON FUNCTION kpi.report_number(numeric, boolean) IS 'Internal to kpi.report_html(): a number for people, with as many decimals as its size calls for and a narrow space between thousands; with a plus where signed. A dash for null';

CREATE FUNCTION kpi.report_percent(part numeric, places integer DEFAULT 0) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN part IS NULL THEN '&#8211;'
                WHEN abs(part) >= 10 THEN concat(kpi.report_number(floor(100 * part)), '%')
                -- cut off, so that no 100% is at risk
                ELSE concat(replace(trim_scale(CASE places WHEN 0 THEN floor(100 * part) ELSE floor(1000 * part) / 10 END)::text, '-', '&#8722;'), '%') END;
COMMENT ON FUNCTION kpi.report_percent(numeric, integer) IS 'Internal to kpi.report_html(): an attainment, score or coverage in per cent, cut off at none or one place';

CREATE FUNCTION kpi.report_change(relative_change numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN abs(relative_change) >= 10 THEN kpi.report_number(round(100 * relative_change), true) || '%'
                WHEN relative_change IS NOT NULL THEN concat(CASE WHEN relative_change > 0 THEN '+' END, replace(round(100 * relative_change, CASE WHEN abs(relative_change) >= 0.0005 OR relative_change = 0 THEN 1 ELSE 3 END)::text, '-', '&#8722;'), '%') END;
COMMENT ON FUNCTION kpi.report_change(numeric) IS 'Internal to kpi.report_html(): a relative change in per cent, with its sign';

CREATE FUNCTION kpi.report_figure(number numeric, unit_of_measure text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN number IS NULL THEN '&#8211;'
                ELSE concat('<span title="', kpi.report_text(concat_ws(' ', trim_scale(number)::text, unit_of_measure)), '">', kpi.report_number(number), '</span>') END;
COMMENT ON FUNCTION kpi.report_figure(numeric, text) IS 'Internal to kpi.report_html(): a number for people that shows its exact value when pointed at';

-- Latin letters are taken for one wide, capitals for a little more, those of
-- East Asia and emoji for two.
CREATE FUNCTION kpi.report_lines(words text, width integer, lines integer) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result text[] := '{}';
    line text := '';
    used numeric := 0;
    letter text;
    size numeric;
    blank integer;
BEGIN
    FOREACH letter IN ARRAY regexp_split_to_array(btrim(regexp_replace(words, '\s+', ' ', 'g')), '') LOOP
        size := CASE WHEN ascii(letter) BETWEEN 768 AND 879 OR ascii(letter) IN (8205, 65038, 65039) THEN 0
                     WHEN ascii(letter) >= 11904 THEN 2
                     WHEN letter ~ '[A-Zmw]' THEN 1.3
                     WHEN letter IN ('i', 'j', 'l', 't', 'f', '.', ',', ' ') THEN 0.6
                     ELSE 1 END;
        IF used + size > width AND line <> '' THEN
            IF cardinality(result) + 1 = lines THEN
                RETURN result || (rtrim(left(line, -1)) || '...');
            END IF;
            -- back to the last blank, if the line has one
            blank := strpos(reverse(line), ' ');
            IF letter = ' ' OR blank = 0 THEN
                result := result || rtrim(line);
                line := '';
                used := 0;
            ELSE
                result := result || left(line, -blank);
                line := right(line, blank - 1);
                used := length(line);
            END IF;
        END IF;
        IF letter <> ' ' OR line <> '' THEN
            line := line || letter;
            used := used + size;
        END IF;
    END LOOP;
    RETURN CASE WHEN line <> '' THEN result || rtrim(line) ELSE result END;
END
$$;
COMMENT ON FUNCTION kpi.report_lines(text, integer, integer) IS 'Internal to kpi.report_html(): words broken into lines of about so many letters, at most so many of them; dots where words are left out';

-- ---------------------------------------------------------------- shapes

CREATE FUNCTION kpi.report_shape(status text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE status
        WHEN 'exceeded'  THEN '<path class="exceeded" d="M0-7.4 1.8-2.4 7-2.3 2.9.9 4.4 6 0 3-4.4 6-2.9.9-7-2.3-1.8-2.4Z"/>'
        WHEN 'on_track'  THEN '<circle class="on_track" r="5.6"/>'
        WHEN 'at_risk'   THEN '<path class="at_risk" d="M0-6.4 6.6 5.4H-6.6Z"/>'
        WHEN 'off_track' THEN '<path class="off_track" d="M0-7 7 0 0 7-7 0Z"/>'
        WHEN 'no_target' THEN '<circle class="no_target hollow" r="4.8"/>'
        ELSE '<path class="no_data hollow" d="M-5 0H5"/>' END;
COMMENT ON FUNCTION kpi.report_shape(text) IS 'Internal to kpi.report_html(): the shape of a status around the origin, 14 wide: star, circle, triangle, diamond, ring, dash';

CREATE FUNCTION kpi.report_word(status text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN replace(coalesce(status, 'no_data'), '_', ' ');
COMMENT ON FUNCTION kpi.report_word(text) IS 'Internal to kpi.report_html(): a status, severity or kind as a word';

CREATE FUNCTION kpi.report_mark(status text, word text DEFAULT NULL) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN concat('<span class="mark"><svg viewBox="-8 -8 16 16" aria-hidden="true" xmlns="http://www.w3.org/2000/svg">', kpi.report_shape(status), '</svg>',
                  coalesce(word, kpi.report_word(status)), '</span>');
COMMENT ON FUNCTION kpi.report_mark(text, text) IS 'Internal to kpi.report_html(): a status as shape and word, or with another word';

CREATE FUNCTION kpi.report_bar(attained numeric, status text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN attained IS NULL THEN '<span class="bar">&#8211;</span>'
                ELSE concat('<span class="bar"><svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true" xmlns="http://www.w3.org/2000/svg">',
                            '<rect class="track" y="2" width="100" height="8"/><rect class="', coalesce(status, 'no_data'), '" y="2" width="',
                            trim_scale(round(least(greatest(attained, 0), 1.25) * 80, 1)), '" height="8"/><path class="goal" d="M80 0V12"/></svg>',
                            '<span title="', trim_scale(100 * attained), '%">', kpi.report_percent(attained), '</span></span>') END;
COMMENT ON FUNCTION kpi.report_bar(numeric, text) IS 'Internal to kpi.report_html(): an attainment as a bar up to 125 per cent, with a line at 100, and as a number';

CREATE FUNCTION kpi.report_line(points numeric[], low numeric, high numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT coalesce(string_agg(CASE WHEN p.value IS NULL THEN ''
                                            ELSE concat(CASE WHEN p.before IS NULL THEN 'M' ELSE 'L' END, p.x, ' ', p.y,
                                                        -- a dot, where it stands alone
                                                        CASE WHEN p.before IS NULL THEN 'h0' END) END, '' ORDER BY p.n), '')
              FROM (SELECT u.n, u.value, lag(u.value) OVER (ORDER BY u.n) AS before,
                           trim_scale(round(4 + (u.n - 1) * 124.0 / greatest(cardinality(points) - 1, 1), 1)) AS x,
                           CASE WHEN high = low THEN 18 ELSE trim_scale(round(32 - 28 * (u.value - low) / (high - low), 1)) END AS y
                      FROM unnest(points) WITH ORDINALITY AS u (value, n)) p);
COMMENT ON FUNCTION kpi.report_line(numeric[], numeric, numeric) IS 'Internal to kpi.report_html(): the path of a line through these points, with gaps for nulls, in a field of 132 by 36 from low to high';

CREATE FUNCTION kpi.report_sparkline(title text, actuals numeric[], targets numeric[], status text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT CASE WHEN f.known = 0 THEN '&#8211;'
                        ELSE concat('<svg class="spark" viewBox="0 0 132 36" role="img" xmlns="http://www.w3.org/2000/svg"><title>', kpi.report_text(title), '</title>',
                                    '<path class="aim" d="', kpi.report_line(targets, f.low, f.high), '"/>',
                                    '<path class="run" d="', kpi.report_line(actuals, f.low, f.high), '"/>',
                                    '<g transform="translate(128 ' || CASE WHEN f.high = f.low THEN 18 ELSE trim_scale(round(32 - 28 * (f.last - f.low) / (f.high - f.low), 1)) END
                                        || ') scale(.62)">' || kpi.report_shape(status) || '</g>',
                                    '</svg>') END
              FROM (SELECT count(u.actual) AS known, min(least(u.actual, u.target)) AS low, max(greatest(u.actual, u.target)) AS high,
                           actuals[cardinality(actuals)] AS last
                      FROM unnest(actuals, targets) AS u (actual, target)) f);
COMMENT ON FUNCTION kpi.report_sparkline(text, numeric[], numeric[], text) IS 'Internal to kpi.report_html(): actuals as a line that ends in the shape of a status, beside their targets as a dashed one';

-- ---------------------------------------------------------------- style

-- Text is ink, soft or accent; what it stands on is paper or panel.  Statuses
-- are shapes first: their colours have to differ from what they are drawn on,
-- and no word is written in them.
CREATE FUNCTION kpi.report_style() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT $css$
:root { color-scheme: light dark; --paper: #ffffff; --panel: #f4f6f8; --ink: #161b22; --soft: #525c69; --accent: #1f4f99; --rule: #d8dde3; --track: #dfe4ea;
  --exceeded: #0b6a8a; --on_track: #1d7a46; --at_risk: #b06000; --off_track: #c0281f; --no_data: #6b7480; --no_target: #5d62ad; --run: #47525f }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #11151a; --panel: #1a2027; --ink: #e6eaee; --soft: #a3adb9; --accent: #8db8f5; --rule: #313a44; --track: #2d3640;
    --exceeded: #58bfe0; --on_track: #57c58a; --at_risk: #eda83f; --off_track: #ff7b72; --no_data: #98a2ae; --no_target: #a3a8f0; --run: #b3bdc8 } }
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.45 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans", sans-serif }
main, header, footer { max-width: 1180px; margin: 0 auto; padding: 0 32px }
header { padding-top: 44px }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -.015em; font-weight: 650; margin: 0 }
h2 { font-size: 20px; letter-spacing: -.005em; font-weight: 650; margin: 52px 0 4px }
h3 { font-size: 15px; font-weight: 650; margin: 28px 0 2px }
p { margin: 0 }
a { color: var(--accent) }
svg { overflow: visible }
small, .soft { color: var(--soft); font-size: 12.5px }
.eyebrow { color: var(--soft); font-size: 13px; margin-bottom: 8px }
.top { display: flex; justify-content: space-between; align-items: flex-end; gap: 40px; border-bottom: 2px solid var(--ink); padding-bottom: 22px }
.period { margin-top: 10px; font-size: 17px }
.result { text-align: right; white-space: nowrap }
.result b { display: block; font-size: 44px; line-height: 1; font-weight: 650; letter-spacing: -.02em; font-variant-numeric: tabular-nums }
.result .mark { font-size: 16px; margin-top: 8px }
.counts { display: flex; flex-wrap: wrap; gap: 6px 26px; padding: 14px 0 0; margin: 0; list-style: none }
.counts b { font-variant-numeric: tabular-nums; font-weight: 650; margin-right: 4px }
nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin-top: 14px; font-size: 13.5px }
.lead { color: var(--soft); margin-bottom: 16px; max-width: 78ch }
.none { background: var(--panel); color: var(--soft); padding: 14px 18px; border-radius: 6px }
.wide { overflow-x: auto }
.wide table { min-width: 780px }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
th, td { text-align: start; vertical-align: top; font-weight: 400; padding: 9px 14px 9px 0; border-bottom: 1px solid var(--rule) }
th, td, .name, h1, p, .none { overflow-wrap: anywhere }
th:last-child, td:last-child { padding-inline-end: 0 }
thead th { color: var(--soft); font-size: 12.5px; vertical-align: bottom; padding-top: 0 }
tbody th { min-width: 190px }
tbody th b { font-weight: 600 }
td small, th small { display: block }
.n { text-align: right; white-space: nowrap; overflow-wrap: normal }
sup { font-size: .75em; line-height: 0 }
thead .n { white-space: normal }
.group th { padding-top: 24px; font-size: 15px; font-weight: 650; border-bottom: 1px solid var(--soft) }
.group .mark { font-weight: 400; font-size: 13.5px; float: right }
.mark { white-space: nowrap; display: inline-block }
.mark svg { width: 13px; height: 13px; margin-right: 7px; vertical-align: -1.5px }
.bar { display: inline-flex; align-items: center; gap: 9px; white-space: nowrap }
.bar svg { width: 96px; height: 12px; flex: none }
.bar span { min-width: 3em; text-align: right }
.spark { width: 132px; height: 36px; display: block; margin: -4px 0 -4px auto }
.track { fill: var(--track) }
.goal { stroke: var(--ink); stroke-width: 1.6; vector-effect: non-scaling-stroke; fill: none }
.run { stroke: var(--run); stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; fill: none }
.aim { stroke: var(--soft); stroke-width: 1.1; stroke-dasharray: 3 3; fill: none }
.exceeded { fill: var(--exceeded) } .on_track { fill: var(--on_track) } .at_risk { fill: var(--at_risk) } .off_track { fill: var(--off_track) }
.no_data { fill: var(--no_data) } .no_target { fill: var(--no_target) }
.no_data.hollow { fill: none; stroke: var(--no_data); stroke-width: 2.4; stroke-linecap: round }
.no_target.hollow { fill: none; stroke: var(--no_target); stroke-width: 2.2 }
.key { display: flex; flex-wrap: wrap; gap: 4px 22px; color: var(--soft); font-size: 12.5px; margin-top: 14px }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
.row { display: grid; grid-template-columns: minmax(0, 1fr) 104px 116px 116px 158px; gap: 0 14px; align-items: baseline; padding: 5px 0; font-variant-numeric: tabular-nums }
.row .bar { justify-content: flex-end }
.head { color: var(--soft); font-size: 12.5px; border-bottom: 1px solid var(--soft); padding: 0 0 8px }
.head .n { white-space: normal }
#cascade > details { border-bottom: 1px solid var(--rule); padding: 4px 0 }
#cascade > details > summary .name { font-weight: 600 } .name small { font-weight: 400 }
summary { cursor: pointer; list-style: none }
summary::-webkit-details-marker { display: none }
.name { padding-inline-start: 18px; position: relative }
summary .name::before { content: ""; position: absolute; inset-inline-start: 2px; top: .42em; border-inline-start: 6px solid var(--soft); border-top: 4.5px solid transparent; border-bottom: 4.5px solid transparent }
details[open] > summary .name::before { transform: rotate(90deg) }
details ul { list-style: none; margin: 0 0 0 5px; padding: 0 0 0 14px; border-left: 1px solid var(--rule) }
.more { padding: 4px 0; display: block } li > .more { padding-left: 18px }
.map { min-width: 860px; width: 100%; height: auto; display: block }
.map text { fill: var(--ink); font-size: 13px }
.map .band { fill: var(--panel) }
.map .bandname { font-weight: 650 }
.map .node { fill: var(--paper); stroke: var(--soft); stroke-width: 1 }
.map .note { fill: var(--soft); font-size: 12px }
.map .edge { stroke: var(--soft); stroke-width: 1.3; fill: none }
.map .tip { fill: var(--soft) }
footer { color: var(--soft); font-size: 12.5px; padding-top: 44px; padding-bottom: 44px }
@media screen and (max-width: 760px) {
  main, header, footer { padding-left: 18px; padding-right: 18px }
  .top { display: block } .result { text-align: left; margin-top: 20px }
  .row { grid-template-columns: minmax(0, 1fr) 104px 158px } .row > :nth-child(3), .row > :nth-child(4) { display: none } }
@media screen and (max-width: 560px) {
  .row { grid-template-columns: minmax(0, 1fr) auto } .row > :first-child { grid-column: 1 / -1 } .row > :nth-child(2) { padding-left: 18px } }
@page { size: A4 landscape; margin: 12mm 13mm }
@media print {
  body { font-size: 11px; line-height: 1.35 } small, .soft, thead th, .head, .key, .map .note, footer { font-size: 9.5px }
  main, header, footer { max-width: none; padding: 0 } nav { display: none } a { color: inherit; text-decoration: none }
  h1 { font-size: 28px } h2, h3 { break-after: avoid } h2 { font-size: 16px; margin-top: 22px } h3 { font-size: 12px; margin-top: 14px } .lead { max-width: none; margin-bottom: 9px; break-after: avoid }
  .top { padding-bottom: 12px } .result b { font-size: 34px } .result .mark { font-size: 13px; margin-top: 4px } .counts { padding-top: 9px }
  tr, li > .row, summary, .none { break-inside: avoid } thead { display: table-header-group } .group { break-after: avoid } .group th { font-size: 12px; padding-top: 11px } .group .mark { font-size: 11px }
  .wide { overflow: visible } .wide table { min-width: 0 } th, td { padding-top: 4px; padding-bottom: 4px } .row { padding: 2px 0 } .mark svg { width: 10px; height: 10px } .spark { height: 27px; width: 99px; margin: 0 0 0 auto }
  .page { break-before: page } .page > h2 { margin-top: 0 } .map { min-width: 0; max-height: 150mm; break-inside: avoid } .map text { font-size: 13px } .map .note { font-size: 12px }
  footer { padding-top: 22px } }
$css$
$$;
COMMENT ON FUNCTION kpi.report_style() IS 'Internal to kpi.report_html(): the style sheet, for light and dark screens and for paper';
