-- One mail to one recipient: when it is due, who is sending it, and what became of it.
CREATE TABLE mail (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id         text        NOT NULL UNIQUE,
    kind               text        NOT NULL CHECK (kind IN ('single', 'report')),
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
    -- Of a weekly report: what it says. Null once it ended long ago.
    report             jsonb,
    -- Returned after it was sent: the other server's words.
    bounce             text,
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK (state = 'waiting' OR claimed_until IS NULL)
);
CREATE INDEX mail_waiting ON mail (due) WHERE state = 'waiting';
CREATE INDEX mail_ended ON mail (ended_at) WHERE state <> 'waiting';

-- What all mails about a ticket to one recipient share, whatever is renamed later. When the database was set back to before a ticket was
-- opened, another problem may get its number: a ticket is known by its problem and opening too.
CREATE TABLE thread (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket     bigint      NOT NULL,
    key        text        NOT NULL,
    opened_at  timestamptz NOT NULL,
    -- The recipient's, in lower case; empty where the policy names no owner.
    address    text        NOT NULL,
    subject    text        NOT NULL,
    message_id text        NOT NULL,
    UNIQUE (ticket, key, opened_at, address)
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
    reason     text        NOT NULL CHECK (reason IN ('opened', 'grew', 'reopened', 'cleared', 'opened-and-cleared',
                           'plan-due', 'look-due', 'verdict', 'held', 'fading', 'decayed', 'escalated', 'cord')),
    -- What the recipient is to the pipeline.
    role       text        NOT NULL DEFAULT '',
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

-- Mail addresses of the policy, and what their readers chose. `unwanted`: reasons that a reader switched off.
CREATE TABLE address (
    address    text        PRIMARY KEY,
    pace       text        NOT NULL DEFAULT 'at-once' CHECK (pace IN ('at-once', 'daily', 'weekly', 'off')),
    unwanted   text[]      NOT NULL DEFAULT '{}',
    -- Counts changes of the two above: a page that was opened before the last one overrides nothing.
    version    int         NOT NULL DEFAULT 1,
    -- Since when mails to it are returned for good, and the words of the server that did; a person takes this back.
    bounced_at timestamptz,
    bounce     text,
    -- No weekly report is for a time before this.
    since      timestamptz NOT NULL
);

-- Weekly reports that were written, so that each is sent once, whatever number of replicas run.
CREATE TABLE report (
    address text        NOT NULL,
    due     timestamptz NOT NULL,
    PRIMARY KEY (address, due)
);

-- Signs the links in mails and the addresses that mails are returned to. One row.
CREATE TABLE signing_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key bytea   NOT NULL
);

-- Each ticket as of its latest change, for reminders and reports. Identified as in thread.
CREATE TABLE ticket_now (
    ticket     bigint      NOT NULL,
    key        text        NOT NULL,
    opened_at  timestamptz NOT NULL,
    seq        int         NOT NULL,
    -- The greatest time of a change, and when this was written.
    at         timestamptz NOT NULL,
    known_at   timestamptz NOT NULL,
    -- The pipeline whose recipients get its mails; empty: none.
    home       text        NOT NULL,
    state      text        NOT NULL,
    -- Since when it is in its state.
    state_at   timestamptz NOT NULL,
    -- Without the chart; the latest chart is beside it.
    data       jsonb       NOT NULL,
    chart      text,
    chart_alt  text,
    -- Since when it waits for somebody to acknowledge it; null: somebody did, or it was escalated.
    waits_from timestamptz,
    -- The last day whose reminders were written, and the next one that has some.
    reminded   date        NOT NULL,
    remind_on  date,
    -- The latest verdict that was not taken back, and when it came: the study as it was then.
    verdict_at timestamptz,
    verdict    jsonb,
    PRIMARY KEY (ticket, key, opened_at)
);
CREATE INDEX ticket_now_waits ON ticket_now (waits_from) WHERE waits_from IS NOT NULL;
CREATE INDEX ticket_now_remind ON ticket_now (remind_on) WHERE remind_on IS NOT NULL;
CREATE INDEX ticket_now_open ON ticket_now (home) WHERE state <> 'closed';
CREATE INDEX ticket_now_verdict ON ticket_now (verdict_at) WHERE verdict_at IS NOT NULL;

-- Pulls of a cord that nobody was at work on, and when somebody was: for weekly reports. Nothing says who.
CREATE TABLE cord_wait (
    ticket      bigint      NOT NULL,
    key         text        NOT NULL,
    opened_at   timestamptz NOT NULL,
    -- The pull, as a change of the ticket.
    seq         int         NOT NULL,
    pulled_at   timestamptz NOT NULL,
    answered_at timestamptz,
    -- When the answer was written here.
    known_at    timestamptz,
    PRIMARY KEY (ticket, key, opened_at, seq),
    CHECK ((answered_at IS NULL) = (known_at IS NULL))
);

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

-- A receiver of the hooks file with which something went wrong.
CREATE TABLE hook (
    name         text        PRIMARY KEY,
    -- Requests in a row that it could not take, and until when it is sent none.
    failures     int         NOT NULL DEFAULT 0 CHECK (failures >= 0),
    paused_until timestamptz,
    -- Since when it is sent nothing, as it answered 410.
    disabled_at  timestamptz
);

-- One message to one receiver. Claimed as mails are; sent in order within a ticket.
CREATE TABLE hook_delivery (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hook          text        NOT NULL,
    -- Identifies the message, also to the receiver, which may get it twice.
    name          text        NOT NULL UNIQUE,
    -- Identified as in thread above.
    ticket        bigint      NOT NULL,
    key           text        NOT NULL,
    opened_at     timestamptz NOT NULL,
    reason        text        NOT NULL,
    event         jsonb       NOT NULL,
    -- dead: given up; it is sent again only if somebody asks for it.
    state         text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dead')),
    -- When it should go out, and when it is tried next.
    wanted_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    due           timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts      int         NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Set while a worker works on it. The value also identifies the claim: a later one ends later.
    claimed_until timestamptz,
    ended_at      timestamptz,
    -- The last answer that was not a success.
    answer        text,
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK (state = 'waiting' OR claimed_until IS NULL)
);
CREATE INDEX hook_delivery_waiting ON hook_delivery (hook, due) WHERE state = 'waiting';
CREATE INDEX hook_delivery_dead ON hook_delivery (hook, id) WHERE state = 'dead';
CREATE INDEX hook_delivery_of_ticket ON hook_delivery (ticket, hook, id);
CREATE INDEX hook_delivery_ended ON hook_delivery (ended_at) WHERE state <> 'waiting';
