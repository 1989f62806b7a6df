-- What people, check-ins, reviews and actions refuse, and how they say it.
\set VERBOSITY default
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kpi_cascade;
BEGIN;
INSERT INTO kpi.unit (path) VALUES ('co'), ('co.a');
INSERT INTO kpi.measure (code, grain, fiscal_start) VALUES ('m', 'month', 1), ('w', 'week', 1);
SELECT kpi.deploy('m', 'co'), kpi.deploy('w', 'co');
SELECT kpi.kpi_id('co', 'm') AS k, kpi.kpi_id('co.a', 'm') AS a, kpi.unit_id('co') AS u \gset
INSERT INTO kpi.member (member_id, name) VALUES (1, 'Ann');
INSERT INTO kpi.membership (member_id, unit_id, valid_to) VALUES (1, :u, '2026-04-01');
INSERT INTO kpi.skill (skill_id, code) VALUES (1, 's');
INSERT INTO kpi.review (review_id, unit_id, period) VALUES (1, :u, '2026-01');
INSERT INTO kpi.check_in (check_in_id, kpi_id, period) VALUES (1, :k, '2026-01'), (2, :a, '2026-01');
INSERT INTO kpi.check_in (check_in_id, kpi_id, period, reply_to) VALUES (3, :k, '2026-01', 1);

-- people
INSERT INTO kpi.member (name) VALUES ('');
INSERT INTO kpi.member (name, email) VALUES ('x', '');
INSERT INTO kpi.member (name, role_name) VALUES ('x', '');
INSERT INTO kpi.member (name, valid_from, valid_to) VALUES ('x', '2026-01-01', '2026-01-01');
INSERT INTO kpi.member (name) VALUES ('Ann');
INSERT INTO kpi.membership (member_id, unit_id, function) VALUES (1, :u, '');
INSERT INTO kpi.membership (member_id, unit_id, valid_from, valid_to) VALUES (1, :u, '2026-05-02', '2026-05-01');
INSERT INTO kpi.membership (unit_id) VALUES (:u);
INSERT INTO kpi.skill (code) VALUES ('');
INSERT INTO kpi.training (member_id, skill_id, completed_on, expires_on) VALUES (1, 1, '2026-05-02', '2026-05-02');
INSERT INTO kpi.training (skill_id, completed_on) VALUES (1, '2026-05-02');
INSERT INTO kpi.acknowledgement (objective_id) VALUES (1);
SELECT kpi.acknowledge('grow', 'Ann');

-- check-ins
INSERT INTO kpi.check_in (kpi_id, period, author) VALUES (:k, '2026-01', '');
INSERT INTO kpi.check_in (kpi_id, period, confidence) VALUES (:k, '2026-01', 1.1);
INSERT INTO kpi.check_in (kpi_id, period, confidence) VALUES (:k, '2026-01', 'NaN');
INSERT INTO kpi.check_in (kpi_id, period, forecast) VALUES (:k, '2026-01', 'infinity');
SELECT kpi.check_in('co.a', 'm', '2026-01-03');
SELECT kpi.check_in('co.a', 'w', '2026-01');
SELECT kpi.check_in('co.a', 'x', '2026-01');
SELECT kpi.check_in('co', 'm', '2026-01', reply_to => 0);
SELECT kpi.check_in('co', 'm', '2026-01', reply_to => 2);
SELECT kpi.check_in('co', 'm', '2026-Q1', reply_to => 1);
UPDATE kpi.check_in SET reply_to = 3 WHERE check_in_id = 1;
DELETE FROM kpi.check_in WHERE check_in_id = 1;
UPDATE kpi.measure SET grain = 'quarter' WHERE code = 'm';

-- reviews and actions
INSERT INTO kpi.review (unit_id, period, chair) VALUES (:u, '2026-01', '');
INSERT INTO kpi.review_item (review_item_id, review_id) VALUES (5, 1);
INSERT INTO kpi.action_item (description) VALUES ('do');
INSERT INTO kpi.action_item (kpi_id, description) VALUES (:k, '');
INSERT INTO kpi.action_item (kpi_id, description, owner) VALUES (:k, 'do', '');
INSERT INTO kpi.action_item (kpi_id, description, state) VALUES (:k, 'do', 'closed');
INSERT INTO kpi.action_item (kpi_id, description, state, done_on) VALUES (:k, 'do', 'cancelled', '2026-01-01');

-- when figures are due
INSERT INTO kpi.measure (code, due_after) VALUES ('x', '-1 day');
INSERT INTO kpi.measure (code, due_after) VALUES ('x', '11 years');
ROLLBACK;
