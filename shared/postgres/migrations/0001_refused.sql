-- Messages of the outbox that Kafka can never take: put aside so that they hold up nothing, and kept.
CREATE TABLE outbox_refused (
    id      bigint      PRIMARY KEY,
    topic   text        NOT NULL,
    key     bytea       NOT NULL,
    value   bytea       NOT NULL,
    written timestamptz NOT NULL,
    refused timestamptz NOT NULL DEFAULT clock_timestamp(),
    why     text        NOT NULL
);
