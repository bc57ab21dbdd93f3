-- Where every deal is and was, and the problems found in it. Columns of type bigint that hold an instant are
-- microseconds since 1970.

-- The history: each event once, under the id that its source gave it. `data` is JSON text: the fields that are set.
CREATE TABLE event (
    deal text        NOT NULL,
    id   text        NOT NULL,
    time timestamptz NOT NULL,
    rank smallint    NOT NULL,
    data text        NOT NULL,
    PRIMARY KEY (deal, id)
);
-- The events that tell the expected close date.
CREATE INDEX event_close ON event (deal) WHERE data LIKE '%"expected_close"%';

-- The state of each deal after its events, packed. `version` counts its changes: a writer that read an older state
-- finds out, and begins again.
CREATE TABLE deal (
    deal    text   PRIMARY KEY,
    state   bytea  NOT NULL,
    version bigint NOT NULL DEFAULT 0
);

-- Stays in open stages, [entered, left_at). `recorded`: when the event happened that made the visit what it is, where
-- that was after entering.
CREATE TABLE visit (
    deal       text        NOT NULL,
    entered    timestamptz NOT NULL,
    pipeline   text        NOT NULL,
    stage      text        NOT NULL,
    left_at    timestamptz,
    known      boolean     NOT NULL,
    progressed timestamptz NOT NULL,
    recorded   timestamptz,
    PRIMARY KEY (deal, entered),
    CHECK (left_at > entered)
);
CREATE INDEX visit_open ON visit (pipeline, stage, entered) WHERE left_at IS NULL;
CREATE INDEX visit_left ON visit (pipeline, stage, left_at) WHERE left_at IS NOT NULL;

-- Visits to stages of the policy that were believed until an event at `until` turned them into visits to another stage,
-- or into none. What was learned before then knew them.
CREATE TABLE withdrawn_visit (
    deal     text        NOT NULL,
    pipeline text        NOT NULL,
    stage    text        NOT NULL,
    entered  timestamptz NOT NULL,
    known    boolean     NOT NULL,
    recorded timestamptz,
    until    timestamptz NOT NULL
);
CREATE INDEX withdrawn_visit_deal ON withdrawn_visit (deal);
CREATE INDEX withdrawn_visit_stage ON withdrawn_visit (pipeline, stage, until);

-- Deals that were won or lost, and when they were created where that is known. One may close twice at one instant.
CREATE TABLE closing (
    deal     text    NOT NULL,
    time     bigint  NOT NULL,
    pipeline text    NOT NULL,
    won      boolean NOT NULL,
    created  bigint
);
CREATE INDEX closing_deal ON closing (deal);
CREATE INDEX closing_time ON closing (time);

-- The moves that were published for new deals, made by merges that a deal was the primary one of: where it was, in
-- `data` as in the event; only its id where it turned out to hand nothing over.
CREATE TABLE handover (
    deal        text        NOT NULL,
    into_deal   text        NOT NULL,
    time        timestamptz NOT NULL,
    data        text        NOT NULL,
    translation int         NOT NULL,
    PRIMARY KEY (deal, into_deal)
);

-- How sources describe their stages and pipelines: of each field the latest, by (time, id, value). Values are JSON
-- text. An empty pipeline: the stage in every pipeline; an empty stage: the pipeline itself.
CREATE TABLE stage_fact (
    source   text   NOT NULL,
    pipeline text   NOT NULL,
    stage    text   NOT NULL,
    field    text   NOT NULL,
    time     bigint NOT NULL,
    id       text   COLLATE "C" NOT NULL,
    value    text   COLLATE "C" NOT NULL,
    PRIMARY KEY (source, pipeline, stage, field)
);

-- Changes of counts that are not evaluated yet, packed, a row for each series of a batch. Writers append, the evaluator
-- takes.
CREATE TABLE span_change (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series text   NOT NULL,
    deltas bytea  NOT NULL
);

-- Changes that came later than the lateness count from its edge on. These rows, merged into the buckets, would move them
-- from there to their own instants, packed. The evaluator appends; a refold takes those of the series that it changes.
CREATE TABLE late_change (
    series text  NOT NULL,
    deltas bytea NOT NULL
);
CREATE INDEX late_change_series ON late_change (series);

-- The counts over time: the packed changes of a series in a slot of five minutes.
CREATE TABLE bucket (
    series   text   NOT NULL,
    slot     bigint NOT NULL,
    first_at bigint NOT NULL,
    deltas   bytea  NOT NULL,
    PRIMARY KEY (series, slot)
);

-- The count and the state of each rule at some instants: evaluation goes back to one when something earlier changes.
CREATE TABLE checkpoint (
    series text   NOT NULL,
    at     bigint NOT NULL,
    states jsonb  NOT NULL,
    PRIMARY KEY (series, at)
);

-- When to evaluate each series again if nothing changes before.
CREATE TABLE due (
    series text   PRIMARY KEY,
    at     bigint NOT NULL
);
CREATE INDEX due_at ON due (at);

-- Intervals of problems as last published; `published_count` is the peak that was published last. `cause_points` of
-- `cause_needed`: how many weeks the cause class rests on.
CREATE TABLE problem (
    key             text        NOT NULL,
    opened_at       timestamptz NOT NULL,
    cleared_at      timestamptz,
    peak            int         NOT NULL,
    published_count int         NOT NULL,
    kind            text        NOT NULL,
    pipeline        text        NOT NULL,
    stage           text        NOT NULL,
    mode            text        NOT NULL CHECK (mode IN ('active', 'monitor')),
    rule            text        NOT NULL,
    policy_version  text        NOT NULL,
    historic        boolean     NOT NULL,
    detected_at     timestamptz NOT NULL,
    cause           text        NOT NULL DEFAULT 'unknown' CHECK (cause IN ('special', 'common', 'unknown')),
    cause_points    int,
    cause_needed    int,
    PRIMARY KEY (key, opened_at),
    CHECK (cleared_at >= opened_at)
);
CREATE UNIQUE INDEX problem_open ON problem (key) WHERE cleared_at IS NULL;

-- How often something that was published of a key was taken back. Part of the ids of messages: after it, the same may be
-- published again and mean it.
CREATE TABLE correction (
    key   text   PRIMARY KEY,
    count bigint NOT NULL
);

-- Daily points, `value` at the end of [start_at, end_at), and weekly ones, over it. `exact`: the value of a week without
-- rounding, as 5 or 5/7. The stage of a pipeline's measure is empty.
CREATE TABLE measure (
    pipeline text        NOT NULL,
    stage    text        NOT NULL,
    measure  text        NOT NULL,
    period   text        NOT NULL DEFAULT 'day' CHECK (period IN ('day', 'week')),
    start_at timestamptz NOT NULL,
    end_at   timestamptz NOT NULL,
    value    float8,
    exact    text,
    PRIMARY KEY (pipeline, stage, measure, end_at)
);

-- Ends of days whose ages must be computed again. The evaluator appends, the publisher of ages takes. A day may be here
-- more than once, so that who appends never waits for who takes.
CREATE TABLE stale_day (at timestamptz NOT NULL);
CREATE INDEX stale_day_at ON stale_day (at);

-- The instants from which on weekly measures must be computed again. Writers append, the publisher of weeks takes.
CREATE TABLE stale_week (at bigint NOT NULL);

-- One row: how far weekly measures are published. `first_event`: the time of the log's first event. `policy`: a digest of
-- what measures depend on in the policy. `origin`: the start of week 0; `numbering` counts how often it changed. `over`:
-- how many weeks are published. `reached`: judgement time when the last of them was. `since`: until all weeks are
-- published, the instant that `andon reevaluate` was given.
CREATE TABLE week_state (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    first_event bigint,
    policy      text    NOT NULL DEFAULT '',
    origin      bigint,
    numbering   int     NOT NULL DEFAULT 0,
    over        int     NOT NULL DEFAULT 0,
    reached     bigint,
    since       bigint
);
INSERT INTO week_state DEFAULT VALUES;

-- The instants from which on the cause class of problems may be another, because weekly measures or relocks changed, and
-- for each the instant by which intervals that cleared stay as they are. Publishers append, the reviser of causes takes.
CREATE TABLE stale_cause (at bigint NOT NULL, since bigint NOT NULL);

-- From which week on a chart has a new baseline; an empty week: the first baseline, locked early.
CREATE TABLE relock (
    chart     text        NOT NULL,
    from_week text        NOT NULL,
    points    int         NOT NULL,
    reason    text        NOT NULL,
    actor     text        NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (chart, from_week)
);

-- Since when what is known of a stage has changed. Writers append, the learner takes.
CREATE TABLE stage_change (
    pipeline text   NOT NULL,
    stage    text   NOT NULL,
    at       bigint NOT NULL
);

-- How far each stage is learned of, and its rule aging-learned evaluated. `stale_from`: what is known of it has changed
-- since. `next_at`: when something falls due if nothing changes. `reached`: evaluated up to then, with the rule in
-- `state`. `since`: after a rebuild, the instant by which intervals that cleared stay. `first_event`: of the log, then.
CREATE TABLE learned_stage (
    pipeline    text NOT NULL,
    stage       text NOT NULL,
    stale_from  bigint,
    next_at     bigint,
    reached     bigint,
    since       bigint,
    first_event bigint,
    state       jsonb,
    PRIMARY KEY (pipeline, stage)
);

-- What each stage with a rule aging-learned has learned, in force from `since` until the next version: the limit
-- (microseconds of the stage's clock), the count that opens a problem, the one that ends it, and the usual one. Null:
-- nothing, `details` says why. `rule_state`: of the rule as the version begins.
CREATE TABLE learned (
    pipeline   text   NOT NULL,
    stage      text   NOT NULL,
    since      bigint NOT NULL,
    time_limit bigint,
    count      int,
    clears_at  int,
    usual      float8,
    details    jsonb  NOT NULL,
    rule_state jsonb  NOT NULL,
    PRIMARY KEY (pipeline, stage, since)
);

-- How often each rule on a count opens by chance alone, in 91 days; the usual count; the share of visits expected to
-- exceed the limit. As of `at`, the start of a week. Null: the log is too short to tell.
CREATE TABLE chance (
    key         text   PRIMARY KEY,
    at          bigint NOT NULL,
    per_quarter float8,
    usual       float8,
    exceed      float8
);

-- When events were received, each event once, by source. Writers append, the publisher of receipts takes.
CREATE TABLE new_receipt (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source   text     NOT NULL,
    instants bigint[] NOT NULL
);

-- The same by source and hour (its start), in parts of the same size: only the last part of an hour grows.
CREATE TABLE receipt_hour (
    source   text     NOT NULL,
    hour     bigint   NOT NULL,
    part     int      NOT NULL,
    instants bigint[] NOT NULL,
    PRIMARY KEY (source, hour, part)
);

-- The pipelines in which each source has had deals.
CREATE TABLE source_pipeline (
    source   text NOT NULL,
    pipeline text NOT NULL,
    PRIMARY KEY (source, pipeline)
);

-- One row: the watermark that was last published with receipts. `since`: as that of week_state.
CREATE TABLE receipt_state (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    judged bigint,
    since  bigint
);
INSERT INTO receipt_state DEFAULT VALUES;

-- How long deals stay in each stage, as of `at`, the start of a week: JSON text as on flow.now. Null: too few visits.
CREATE TABLE stay (
    pipeline text   NOT NULL,
    stage    text   NOT NULL,
    at       bigint NOT NULL,
    curve    text,
    PRIMARY KEY (pipeline, stage)
);

-- What was last published of stages on flow.stages.
CREATE TABLE stage_published (
    pipeline text NOT NULL,
    stage    text NOT NULL,
    data     text NOT NULL,
    PRIMARY KEY (pipeline, stage)
);

-- What was last published of stages on flow.now: a digest of what it was made from, and when (wall clock).
CREATE TABLE now_published (
    pipeline     text        NOT NULL,
    stage        text        NOT NULL,
    digest       text        NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (pipeline, stage)
);

-- How far each partition of pipeline.events is read and applied: up to when its end is known (wall clock), the greatest
-- time of its records, and when a batch of it was last applied (the database's clock).
CREATE TABLE progress (
    partition int     PRIMARY KEY,
    at_end    boolean NOT NULL,
    read_at   bigint  NOT NULL,
    last_at   bigint  NOT NULL,
    applied   bigint  NOT NULL
);

-- One row. `watermark`: everything up to it is evaluated. The digests name the policy and the stage map that counts and
-- visits are built under. `held`: evaluation waits until `andon reevaluate`, while a history is loaded. `partitions`:
-- how many pipeline.events has; there is no watermark before each of them was seen. `fewer_since`: since when replicas
-- have seen fewer only.
CREATE TABLE evaluation_state (
    one            boolean PRIMARY KEY DEFAULT true CHECK (one),
    watermark      bigint,
    ruleset_digest text    NOT NULL DEFAULT '',
    stage_digest   text    NOT NULL DEFAULT '',
    held           boolean NOT NULL DEFAULT false,
    partitions     int,
    fewer_since    timestamptz,
    -- The version that everything up to the watermark is judged by; 0: the policy file, or none yet.
    policy_version int     NOT NULL DEFAULT 0
);
INSERT INTO evaluation_state DEFAULT VALUES;

-- What the policy calls its open stages, in their order, and its time zone: the one that was last in force. For SQL
-- readers only; the service itself has the policy.
CREATE TABLE policy_stage (
    pipeline      text NOT NULL,
    stage         text NOT NULL,
    pipeline_name text NOT NULL,
    stage_name    text NOT NULL,
    position      int  NOT NULL,
    zone          text NOT NULL,
    PRIMARY KEY (pipeline, stage)
);

-- For SQL readers (Grafana, analysts): these views keep their columns when the tables change. None holds an owner
-- of a deal. The role andon_report may read this schema and nothing else (shared/postgres/report.py).
CREATE SCHEMA IF NOT EXISTS report;
CREATE VIEW report.measure AS
    SELECT pipeline, stage, measure, start_at, end_at, value FROM measure;
CREATE VIEW report.problem AS
    SELECT key, kind, pipeline, stage, mode, opened_at, cleared_at, peak, historic, detected_at FROM problem;
CREATE VIEW report.stage_now AS
    SELECT pipeline, stage, count(*) AS deals, min(entered) AS oldest_entered FROM visit WHERE left_at IS NULL
    GROUP BY pipeline, stage;
CREATE VIEW report.stage AS
    SELECT pipeline, stage, pipeline_name, stage_name, position, zone FROM policy_stage;
CREATE VIEW report.visit AS
    SELECT pipeline, stage, entered AS entered_at, left_at, known AS is_entry_known FROM visit;
CREATE VIEW report.closing AS
    SELECT pipeline, won, to_timestamp(created / 1e6) AS created_at, to_timestamp(time / 1e6) AS closed_at FROM closing;
