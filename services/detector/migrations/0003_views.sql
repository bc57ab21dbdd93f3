-- For readers of SQL (Grafana, analysts): what stays, whatever the tables become. No deal's owner is in any of them.
CREATE VIEW v_measure AS
    SELECT pipeline, stage, measure, start_at, end_at, value FROM measure;
CREATE VIEW v_problem AS
    SELECT key, kind, pipeline, stage, mode, opened_at, cleared_at, peak, historic, detected_at FROM problem;
CREATE VIEW v_stage_now AS
    SELECT pipeline, stage, count(*) AS deals, min(entered) AS oldest_entered FROM visit WHERE left_at IS NULL
    GROUP BY pipeline, stage;
