-- An update beside writers waits for them here, before it has locked anything
-- that they are going to need: they lock a table of users first, and only then
-- kpi.pending.  Taken later, in the order of what follows, these locks met them
-- in a deadlock.  Readers lock kpi.cell.
LOCK TABLE kpi.unit, kpi.unit_history, kpi.measure, kpi.kpi, kpi.link, kpi.target, kpi.fact IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE kpi.cell IN ACCESS EXCLUSIVE MODE;

