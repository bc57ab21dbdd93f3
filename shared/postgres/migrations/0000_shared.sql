-- Every service's schema has these: where it stands in each topic, and what it still has to publish.
CREATE TABLE position (
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE outbox (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic   text        NOT NULL,
    key     bytea       NOT NULL,
    value   bytea       NOT NULL,
    written timestamptz NOT NULL DEFAULT clock_timestamp()
);
