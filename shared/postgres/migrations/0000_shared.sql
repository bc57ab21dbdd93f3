-- Every service's schema has these tables: where it stands in each topic, what it still has to publish, and the policy.
-- `last_ms`: the greatest time of the records before `next_offset`. `verified_*`: both as they were when the log was last
-- found to be the one that was read; a recreated topic has newer records before that offset. A time is null
-- where it is not known.
CREATE TABLE position (
    topic           text   NOT NULL,
    partition       int    NOT NULL,
    next_offset     bigint NOT NULL,
    last_ms         bigint,
    verified_offset bigint NOT NULL DEFAULT 0,
    verified_ms     bigint,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text        NOT NULL,
    key        bytea       NOT NULL,
    value      bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Messages that Kafka can never take. They are kept here, so that they do not block the outbox.
CREATE TABLE outbox_refused (
    id         bigint      PRIMARY KEY,
    topic      text        NOT NULL,
    key        bytea       NOT NULL,
    value      bytea       NOT NULL,
    created_at timestamptz NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason     text        NOT NULL
);

-- The versions of a policy that people edit in the browser; none where it is a file. Judgement from `effective_at` on is
-- by a version, until the next one's.
CREATE TABLE policy_version (
    version      int         PRIMARY KEY,
    effective_at timestamptz NOT NULL,
    text         text        NOT NULL
);
