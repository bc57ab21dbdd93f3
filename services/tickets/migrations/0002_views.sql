-- For readers of SQL (Grafana, analysts): what stays, whatever the tables become.
CREATE VIEW v_ticket AS
    SELECT id, key, kind, pipeline, state, outcome, opened_at, changed_at, closed_at, snoozed_until FROM ticket;
CREATE VIEW v_change AS
    SELECT ticket, seq, change, at, actor FROM change;
CREATE VIEW v_notice AS
    SELECT ticket, reason, result, at FROM notice;
