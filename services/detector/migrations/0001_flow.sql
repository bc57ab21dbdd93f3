-- Where every deal is and was, and what was judged of it. Instants of the judge are microseconds since 1970 (bigint).

-- What was said of deals: the inbox (an id is taken once) and the history in one.
CREATE TABLE event (
    deal text        NOT NULL,
    id   text        NOT NULL,
    time timestamptz NOT NULL,
    rank smallint    NOT NULL,
    said text        NOT NULL,
    PRIMARY KEY (deal, id)
);

-- The state of each deal after its events, as the core packs it.
CREATE TABLE deal (
    deal  text  PRIMARY KEY,
    state bytea NOT NULL
);

CREATE TABLE visit (
    deal       text        NOT NULL,
    entered    timestamptz NOT NULL,
    pipeline   text        NOT NULL,
    stage      text        NOT NULL,
    left_at    timestamptz,
    known      boolean     NOT NULL,
    progressed timestamptz NOT NULL,
    PRIMARY KEY (deal, entered),
    CHECK (left_at > entered)
);
CREATE INDEX visit_open ON visit (pipeline, stage, entered) WHERE left_at IS NULL;

-- Changes of counts, a packed row per series and batch: appended by the writers, taken by the judge.
CREATE TABLE span_change (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series text  NOT NULL,
    deltas bytea NOT NULL
);

-- The counts over time: packed boundaries of a series in a slot of six hours.
CREATE TABLE bucket (
    series   text   NOT NULL,
    slot     bigint NOT NULL,
    first_at bigint NOT NULL,
    deltas   bytea  NOT NULL,
    PRIMARY KEY (series, slot)
);

-- Where the judging of a series stood at an instant; gone back to when something earlier changes.
CREATE TABLE checkpoint (
    series text   NOT NULL,
    at     bigint NOT NULL,
    states jsonb  NOT NULL,
    PRIMARY KEY (series, at)
);

CREATE TABLE due (
    series text   PRIMARY KEY,
    at     bigint NOT NULL
);
CREATE INDEX due_at ON due (at);

CREATE TABLE problem (
    key            text        NOT NULL,
    opened_at      timestamptz NOT NULL,
    cleared_at     timestamptz,
    peak           int         NOT NULL,
    told           int         NOT NULL,
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

CREATE TABLE measure (
    pipeline text        NOT NULL,
    stage    text        NOT NULL,
    measure  text        NOT NULL,
    start_at timestamptz NOT NULL,
    end_at   timestamptz NOT NULL,
    value    float8,
    PRIMARY KEY (pipeline, stage, measure, end_at)
);

-- How far each partition of pipeline.events is read and applied, in microseconds: when its end was last seen (wall),
-- the greatest time of its records (log), when a batch of it was last applied (wall).
CREATE TABLE progress (
    partition int     PRIMARY KEY,
    at_end    boolean NOT NULL,
    read_at   bigint  NOT NULL,
    last_at   bigint  NOT NULL,
    applied   bigint  NOT NULL
);

-- One row: judgement time, and the policy it was reached under.
CREATE TABLE judgement (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    judged   bigint,
    series   text NOT NULL DEFAULT '',
    outcomes text NOT NULL DEFAULT ''
);
INSERT INTO judgement DEFAULT VALUES;
