-- Every mail: first the intent, then what became of it.
CREATE TABLE notice (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notice        text        NOT NULL UNIQUE,
    ticket        bigint      NOT NULL,
    seq           int         NOT NULL,
    reason        text        NOT NULL CHECK (reason IN ('opened', 'grew', 'reopened', 'cleared', 'opened-and-cleared')),
    state         text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'refused', 'merged')),
    to_name       text        NOT NULL,
    to_mail       text        NOT NULL,
    about         jsonb       NOT NULL,
    written       timestamptz NOT NULL DEFAULT clock_timestamp(),
    due           timestamptz NOT NULL,
    attempts      int         NOT NULL DEFAULT 0,
    claimed_until timestamptz,
    ended         timestamptz,
    answer        text,
    CHECK ((state = 'waiting') = (ended IS NULL))
);
CREATE INDEX notice_waiting ON notice (due) WHERE state = 'waiting';
CREATE INDEX notice_by_ticket ON notice (ticket, id);
