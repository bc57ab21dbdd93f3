-- Weekly measures, and what the analyst found in them.

-- The weekly points of flow.measures. `exact`: the value in the printed unit, as 5 or 5/7; null: none. `week` is its number
-- under a numbering: points of an older numbering no longer count.
CREATE TABLE weekly_point (
    pipeline  text        NOT NULL,
    stage     text        NOT NULL,
    measure   text        NOT NULL,
    start_at  timestamptz NOT NULL,
    end_at    timestamptz NOT NULL,
    exact     text,
    week      int         NOT NULL,
    numbering int         NOT NULL,
    PRIMARY KEY (pipeline, stage, measure, start_at)
);

-- What messages say of a pipeline. `over`: how many weeks are over; points of all of them arrive. `reached`: judgement time
-- had passed it before some points came: an interval that is found anew and cleared before is historic. `since`: after
-- `andon reevaluate`, intervals that cleared later are found anew.
CREATE TABLE pipeline_state (
    pipeline  text        PRIMARY KEY,
    numbering int         NOT NULL,
    over      int         NOT NULL,
    reached   timestamptz,
    since     timestamptz
);

-- How far a chart is evaluated: to the end of its last week, `until`, which never decreases. When it was evaluated last,
-- points of `numbering` were known for `weeks` weeks without a gap, from `first_at` to `whole_until`: points stay, so that
-- only newer ones have to be counted.
CREATE TABLE chart_state (
    pipeline    text        NOT NULL,
    stage       text        NOT NULL,
    measure     text        NOT NULL,
    numbering   int         NOT NULL,
    weeks       int         NOT NULL,
    first_at    timestamptz NOT NULL,
    whole_until timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    PRIMARY KEY (pipeline, stage, measure)
);

-- Charts to evaluate, and charts to publish. Whoever changes something appends, the evaluator takes; a chart may be here
-- more than once, so that neither waits for the other.
CREATE TABLE stale_chart (
    pipeline    text    NOT NULL,
    stage       text    NOT NULL,
    measure     text    NOT NULL,
    is_relocked boolean NOT NULL DEFAULT false
);
CREATE TABLE stale_signal (pipeline text NOT NULL, stage text NOT NULL, measure text NOT NULL);
-- Names of charts with a new relock. Which chart it is, the evaluator looks up: the chart's points may be saved at the same
-- time, unseen by who saves the relock.
CREATE TABLE stale_relock (chart text NOT NULL);

-- One row: the digest of the policy that everything is evaluated under.
CREATE TABLE analysis_state (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    policy text    NOT NULL DEFAULT ''
);
INSERT INTO analysis_state DEFAULT VALUES;

-- When events of each source were received (microseconds since 1970), by hour (its start) and part: see flow.receipts.
CREATE TABLE receipt_hour (
    source   text     NOT NULL,
    hour     bigint   NOT NULL,
    part     int      NOT NULL,
    instants bigint[] NOT NULL,
    PRIMARY KEY (source, hour, part)
);

-- One row: the judgement time that flow.receipts tells, and `since` as in pipeline_state. `is_stale`: something is to be
-- evaluated. `policy`: a digest of the policy that silence is judged under.
CREATE TABLE silence_state (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    until    bigint,
    since    bigint,
    is_stale boolean NOT NULL DEFAULT false,
    policy   text    NOT NULL DEFAULT ''
);
INSERT INTO silence_state DEFAULT VALUES;

-- How far each source is judged, in microseconds. `due`: when to judge it again if no event comes; null: never.
CREATE TABLE judged_source (
    source text   PRIMARY KEY,
    until  bigint NOT NULL,
    due    bigint
);

-- The pipelines in which each source has had deals.
CREATE TABLE source_pipelines (
    source    text   PRIMARY KEY,
    pipelines text[] NOT NULL
);

-- Sources with new receipts. Whoever saves receipts appends, the evaluator takes.
CREATE TABLE stale_source (source text NOT NULL);

-- Which weeks lock a chart's baseline, from flow.relocks: the newest message of each chart and week.
CREATE TABLE relock (
    chart     text        NOT NULL,
    from_week text        NOT NULL,
    points    int         NOT NULL CHECK (points BETWEEN 12 AND 20),
    reason    text        NOT NULL,
    actor     text        NOT NULL CHECK (actor IN ('system', 'person')),
    at        timestamptz NOT NULL,
    PRIMARY KEY (chart, from_week)
);

-- Intervals of problems as last published. Those of a source have no pipeline; `published_peak` is the peak that was told.
CREATE TABLE problem (
    key            text        NOT NULL,
    opened_at      timestamptz NOT NULL,
    cleared_at     timestamptz,
    peak           int         NOT NULL,
    published_peak int         NOT NULL,
    kind           text        NOT NULL,
    pipeline       text        NOT NULL,
    stage          text        NOT NULL,
    mode           text        NOT NULL CHECK (mode IN ('active', 'monitor')),
    rule           text        NOT NULL,
    policy_version text        NOT NULL,
    historic       boolean     NOT NULL,
    detected_at    timestamptz NOT NULL,
    PRIMARY KEY (key, opened_at),
    CHECK (cleared_at >= opened_at)
);
CREATE UNIQUE INDEX problem_open ON problem (key) WHERE cleared_at IS NULL;

-- How often something that was published of a key was taken back: part of the ids of messages.
CREATE TABLE correction (
    key   text   PRIMARY KEY,
    count bigint NOT NULL
);

-- A digest of what was last published of a chart on flow.signals.
CREATE TABLE signals_published (
    chart  text PRIMARY KEY,
    digest text NOT NULL
);

-- For SQL readers.
CREATE SCHEMA IF NOT EXISTS report;
CREATE VIEW report.signal_problem AS
    SELECT key, kind, pipeline, stage, mode, opened_at, cleared_at, peak, historic, detected_at FROM problem;
