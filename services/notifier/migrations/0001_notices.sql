-- One mail to one recipient: when it is due, who is sending it, and what became of it.
CREATE TABLE mail (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id         text        NOT NULL UNIQUE,
    kind               text        NOT NULL CHECK (kind IN ('single', 'digest', 'report')),
    -- Empty where the policy names no owner.
    to_name            text        NOT NULL,
    to_mail            text        NOT NULL,
    -- dropped: none of its notices is to be sent any more.
    state              text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'refused', 'dropped')),
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When it should go out, and when it is tried next.
    wanted_at          timestamptz NOT NULL,
    due                timestamptz NOT NULL,
    attempts           int         NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Set while a sender works on it. The value also identifies the claim: a later one ends later.
    claimed_until      timestamptz,
    -- How often its content was handed over without an answer so far. If any, a server may have the mail: its content
    -- must not change, and it is sent again seldom.
    unanswered         int         NOT NULL DEFAULT 0 CHECK (unanswered >= 0),
    ended_at           timestamptz,
    -- The server's last answer that was not a success.
    answer             text,
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK (state = 'waiting' OR claimed_until IS NULL)
);
CREATE INDEX mail_waiting ON mail (due) WHERE state = 'waiting';
CREATE INDEX mail_ended ON mail (ended_at) WHERE state <> 'waiting';

-- What all mails about a ticket share, whatever is renamed later. When the database was set back to before a ticket was
-- opened, another problem may get its number: a ticket is known by its problem and opening too.
CREATE TABLE thread (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket     bigint      NOT NULL,
    key        text        NOT NULL,
    opened_at  timestamptz NOT NULL,
    subject    text        NOT NULL,
    message_id text        NOT NULL,
    UNIQUE (ticket, key, opened_at)
);

-- What to report about a ticket. A mail carries one notice or several.
CREATE TABLE notice (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail       bigint      NOT NULL REFERENCES mail (id),
    thread     bigint      NOT NULL REFERENCES thread (id),
    ticket     bigint      NOT NULL,
    -- The change of the ticket it was written for, and the latest one that its facts cover.
    seq        int         NOT NULL,
    latest_seq int         NOT NULL,
    -- The greatest time of a change that this notice or an earlier one of the thread covers.
    latest_at  timestamptz NOT NULL,
    -- Identifies it on improvement.notices.
    name       text        NOT NULL UNIQUE,
    reason     text        NOT NULL CHECK (reason IN ('opened', 'grew', 'reopened', 'cleared', 'opened-and-cleared')),
    -- The ticket as published. Null once the mail ended long ago: only the row still counts.
    facts      jsonb,
    -- The latest changes that it reports, and how many there are in all.
    changes    jsonb       NOT NULL,
    covered    int         NOT NULL DEFAULT 1 CHECK (covered >= 1),
    -- Out of date before it was sent.
    dropped    boolean     NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (latest_seq >= seq)
);
CREATE INDEX notice_by_thread ON notice (thread, id);
CREATE INDEX notice_by_mail ON notice (mail);

-- How each stage stands now, from flow.now, with the worst deals of each problem.
CREATE TABLE stage_now (
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
