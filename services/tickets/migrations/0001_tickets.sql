-- Messages on flow.problems that were taken, so that a second delivery changes nothing.
CREATE TABLE inbox (
    id text PRIMARY KEY
);

-- Every interval that was told, also those that open no ticket: they are drawn.
CREATE TABLE problem (
    key        text        NOT NULL,
    opened_at  timestamptz NOT NULL,
    cleared_at timestamptz,
    peak       int         NOT NULL,
    mode       text        NOT NULL,
    historic   boolean     NOT NULL,
    data       jsonb       NOT NULL,
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

CREATE TABLE ticket (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key           text        NOT NULL,
    kind          text        NOT NULL,
    pipeline      text        NOT NULL,
    state         text        NOT NULL CHECK (state IN ('open', 'acknowledged', 'snoozed', 'closed')),
    outcome       text        CHECK (outcome IN ('cleared-without-change', 'abandoned', 'wont-fix', 'retracted')),
    seq           int         NOT NULL CHECK (seq > 0),
    opened_at     timestamptz NOT NULL,
    changed_at    timestamptz NOT NULL,
    closed_at     timestamptz,
    snoozed_until timestamptz,
    problem       jsonb       NOT NULL,
    CHECK ((state = 'closed') = (outcome IS NOT NULL)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((state = 'snoozed') = (snoozed_until IS NOT NULL))
);
-- One open ticket for each problem key, whatever arrives twice or at once.
CREATE UNIQUE INDEX ticket_open ON ticket (key) WHERE state <> 'closed';
CREATE INDEX ticket_by_key ON ticket (key, id DESC);
CREATE INDEX ticket_snoozed ON ticket (snoozed_until) WHERE state = 'snoozed';

-- The whole history of a ticket, without a gap.
CREATE TABLE change (
    ticket bigint      NOT NULL REFERENCES ticket (id),
    seq    int         NOT NULL,
    change text        NOT NULL,
    at     timestamptz NOT NULL,
    noted  timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor  text        NOT NULL CHECK (actor IN ('system', 'person')),
    reason text,
    PRIMARY KEY (ticket, seq)
);

-- What became of the mails about a ticket.
CREATE TABLE notice (
    notice     text        PRIMARY KEY,
    ticket     bigint      NOT NULL,
    reason     text        NOT NULL,
    result     text        NOT NULL CHECK (result IN ('sent', 'refused')),
    message_id text        NOT NULL,
    at         timestamptz NOT NULL,
    detail     text
);
CREATE INDEX notice_by_ticket ON notice (ticket, at);
