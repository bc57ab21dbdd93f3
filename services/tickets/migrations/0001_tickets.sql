-- Messages of flow.problems that were handled, so that a second delivery changes nothing. Old ids are forgotten.
CREATE TABLE inbox (
    id            text        PRIMARY KEY,
    partition     int         NOT NULL,
    record_offset bigint      NOT NULL,
    handled_at    timestamptz NOT NULL
);
CREATE INDEX inbox_by_age ON inbox (handled_at);

-- How far the forgotten ids of a partition reached: records up to here were handled.
CREATE TABLE inbox_horizon (
    partition     int         PRIMARY KEY,
    record_offset bigint      NOT NULL,
    handled_at    timestamptz NOT NULL
);

-- Every published interval, also those that open no ticket: charts shade them. `found`: its first message.
CREATE TABLE problem (
    key        text        NOT NULL,
    opened_at  timestamptz NOT NULL,
    cleared_at timestamptz,
    peak       int         NOT NULL,
    mode       text        NOT NULL,
    historic   boolean     NOT NULL,
    data       jsonb       NOT NULL,
    found      jsonb       NOT NULL,
    PRIMARY KEY (key, opened_at)
);

CREATE TABLE measure (
    pipeline text             NOT NULL,
    stage    text             NOT NULL,
    measure  text             NOT NULL,
    end_at   timestamptz      NOT NULL,
    value    double precision,
    PRIMARY KEY (pipeline, stage, measure, end_at)
);

-- Weekly measures, exact (5 or 5/7); null: the week has no value. Stage empty: of the pipeline.
CREATE TABLE weekly_point (
    pipeline text        NOT NULL,
    stage    text        NOT NULL,
    measure  text        NOT NULL,
    start_at timestamptz NOT NULL,
    end_at   timestamptz NOT NULL,
    exact    text,
    -- Number of the week; 0 holds the first event of the log. Where weeks are numbered anew, points of a lower numbering
    -- no longer count.
    week      int NOT NULL,
    numbering int NOT NULL,
    PRIMARY KEY (pipeline, stage, measure, start_at)
);
CREATE INDEX weekly_point_by_start ON weekly_point (numbering, start_at);
CREATE INDEX weekly_point_by_week ON weekly_point (pipeline, numbering, week);

-- From which week on a chart has a new baseline, and why; from_week empty: the first baseline. Not yet on flow.relocks
-- while the outbox has it.
CREATE TABLE relock (
    chart     text        NOT NULL,
    from_week text        NOT NULL,
    points    int         NOT NULL,
    reason    text        NOT NULL,
    actor     text        NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (chart, from_week)
);

-- What CRMs call stages, and those with deals that the policy does not have: the newest status on flow.stages.
CREATE TABLE stage (
    pipeline   text    NOT NULL,
    stage      text    NOT NULL,
    name       text,
    is_watched boolean NOT NULL,
    deals      int     NOT NULL,
    hint       text,
    PRIMARY KEY (pipeline, stage)
);

-- How each stage stands now, from flow.now; without the deals, which lists do not show.
CREATE TABLE stage_now (
    pipeline text  NOT NULL,
    stage    text  NOT NULL,
    data     jsonb NOT NULL,
    PRIMARY KEY (pipeline, stage)
);

-- The deals that are in a problem now, by its key; `stake`: what all of them are worth, for lists.
CREATE TABLE evidence_now (
    key      text  PRIMARY KEY,
    pipeline text  NOT NULL,
    stage    text  NOT NULL,
    data     jsonb NOT NULL,
    stake    jsonb NOT NULL
);
CREATE INDEX evidence_now_stage ON evidence_now (pipeline, stage);

-- When the open deals of each stage entered it, the oldest first.
CREATE TABLE open_now (
    pipeline text  NOT NULL,
    stage    text  NOT NULL,
    data     jsonb NOT NULL,
    PRIMARY KEY (pipeline, stage)
);

-- One row: until when all stages are as stage_now has them, the judgement time of the newest message on flow.now.
CREATE TABLE judged (
    one boolean     PRIMARY KEY DEFAULT true CHECK (one),
    at  timestamptz NOT NULL
);

CREATE TABLE ticket (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key           text        NOT NULL,
    kind          text        NOT NULL,
    pipeline      text        NOT NULL,
    state         text        NOT NULL CHECK (state IN ('open', 'acknowledged', 'snoozed', 'closed')),
    outcome       text        CHECK (outcome IN ('cleared-without-change', 'changed-unplanned', 'abandoned', 'wont-fix',
                              'retracted')),
    seq           int         NOT NULL CHECK (seq > 0),
    opened_at     timestamptz NOT NULL,
    changed_at    timestamptz NOT NULL,
    closed_at     timestamptz,
    -- The reason of the closing, shown with the outcome.
    closed_because text,
    snoozed_until timestamptz,
    problem       jsonb       NOT NULL,
    -- Where it stood before a person's change, while that is the last one: it can be undone.
    before        jsonb,
    CHECK ((state = 'closed') = (outcome IS NOT NULL)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((state = 'snoozed') = (snoozed_until IS NOT NULL))
);
-- One open ticket for each problem key, even if messages arrive twice or at once.
CREATE UNIQUE INDEX ticket_open ON ticket (key) WHERE state <> 'closed';
CREATE INDEX ticket_by_key ON ticket (key, id DESC);
CREATE INDEX ticket_by_stage ON ticket (pipeline, (problem ->> 'stage'), id DESC);
CREATE INDEX ticket_snoozed ON ticket (snoozed_until) WHERE state = 'snoozed';

-- The whole history of a ticket, without a gap. `at`: when it became true; `recorded_at`: when it was written.
CREATE TABLE change (
    ticket      bigint      NOT NULL REFERENCES ticket (id),
    seq         int         NOT NULL,
    change      text        NOT NULL,
    at          timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text        NOT NULL CHECK (actor IN ('system', 'person')),
    reason      text,
    outcome       text,
    snoozed_until timestamptz,
    -- The interval that the ticket showed before, where late events moved it, and the one since.
    was         jsonb,
    became      jsonb,
    PRIMARY KEY (ticket, seq)
);

-- Messages of tickets whose chart is still to be drawn. Deleted when the message is put into the outbox.
CREATE TABLE ticket_message (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket     bigint      NOT NULL,
    event      bytea       NOT NULL,
    chart      bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ticket_message_by_ticket ON ticket_message (ticket, id);

-- What became of the mails about a ticket: the newest result of each.
CREATE TABLE notice (
    notice     text        PRIMARY KEY,
    ticket     bigint      NOT NULL,
    reason     text        NOT NULL,
    result     text        NOT NULL CHECK (result IN ('sent', 'refused', 'waiting', 'dropped')),
    message_id text        NOT NULL,
    at         timestamptz NOT NULL,
    detail     text,
    -- The ticket's problem: after the database was set back, the ticket of another may have the number.
    key        text
);
CREATE INDEX notice_by_ticket ON notice (ticket, at);

-- For SQL readers (Grafana, analysts). Tables may change; these views stay.
CREATE SCHEMA IF NOT EXISTS report;
CREATE VIEW report.ticket AS
    SELECT id, key, kind, pipeline, state, outcome, opened_at, changed_at, closed_at, snoozed_until FROM ticket;
CREATE VIEW report.change AS
    SELECT ticket, seq, change, at, actor FROM change;
CREATE VIEW report.notice AS
    SELECT ticket, reason, result, at FROM notice;
