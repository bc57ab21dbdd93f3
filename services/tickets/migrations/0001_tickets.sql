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
CREATE INDEX problem_active ON problem (cleared_at) WHERE mode = 'active';

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

-- Values that weekly points had until late events changed them: a study looks at weeks as they were known in time.
CREATE TABLE weekly_point_was (
    pipeline text        NOT NULL,
    stage    text        NOT NULL,
    measure  text        NOT NULL,
    start_at timestamptz NOT NULL,
    -- The judgement time at which another value was known.
    until    timestamptz NOT NULL,
    exact    text,
    PRIMARY KEY (pipeline, stage, measure, start_at, until)
);

-- Counts how often something came that studies of a pipeline rest on: weekly points, silences, problems.
CREATE TABLE study_input (
    pipeline text   PRIMARY KEY,
    version  bigint NOT NULL
);

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
    state         text        NOT NULL CHECK (state IN ('open', 'acknowledged', 'snoozed', 'planned', 'doing', 'verifying',
                              'closed')),
    outcome       text        CHECK (outcome IN ('cleared-without-change', 'changed-unplanned', 'abandoned', 'wont-fix',
                              'retracted', 'verified', 'not-shown', 'restored')),
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
    -- The cycle of plan, change and study, and the number of the seal in force in it, with its change date.
    cycle         int         NOT NULL DEFAULT 1 CHECK (cycle > 0),
    plan          int,
    change_date   date,
    -- What a person decided after the verdict.
    decision      text        CHECK (decision IN ('adopted', 'dropped')),
    -- Address of its issue in Jira.
    issue         text,
    CHECK ((state = 'closed') = (outcome IS NOT NULL)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((state = 'snoozed') = (snoozed_until IS NOT NULL)),
    CHECK ((plan IS NULL) = (change_date IS NULL)),
    CHECK (state = 'closed' OR (state IN ('planned', 'doing', 'verifying')) = (plan IS NOT NULL)),
    -- No verdict without a plan.
    CHECK (coalesce(outcome NOT IN ('verified', 'not-shown', 'restored'), true) OR plan IS NOT NULL),
    CHECK (decision IS NULL OR coalesce(outcome IN ('verified', 'not-shown', 'restored'), false))
);
-- One open ticket for each problem key, even if messages arrive twice or at once.
CREATE UNIQUE INDEX ticket_open ON ticket (key) WHERE state <> 'closed';
CREATE INDEX ticket_by_key ON ticket (key, id DESC);
CREATE INDEX ticket_by_stage ON ticket (pipeline, (problem ->> 'stage'), id DESC);
CREATE INDEX ticket_snoozed ON ticket (snoozed_until) WHERE state = 'snoozed';
CREATE INDEX ticket_by_closing ON ticket (closed_at) WHERE state = 'closed';
CREATE INDEX ticket_undecided ON ticket (id)
    WHERE outcome IN ('verified', 'not-shown', 'restored') AND decision IS NULL;
CREATE INDEX ticket_given_up ON ticket (closed_at) WHERE outcome IN ('abandoned', 'wont-fix', 'changed-unplanned');
CREATE INDEX ticket_left ON ticket (closed_at) WHERE outcome = 'wont-fix' AND problem ->> 'cleared_at' IS NULL;
CREATE INDEX ticket_with_plan ON ticket (change_date) WHERE state IN ('planned', 'doing');

-- The whole history of a ticket, without a gap. `at`: when it became true; `recorded_at`: when it was written.
CREATE TABLE change (
    ticket      bigint      NOT NULL REFERENCES ticket (id),
    seq         int         NOT NULL,
    change      text        NOT NULL,
    -- The ticket's state before the change, none for the first, and after it.
    from_state  text,
    to_state    text        NOT NULL,
    at          timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text        NOT NULL CHECK (actor IN ('system', 'person')),
    reason      text,
    outcome     text,
    snoozed_until timestamptz,
    -- The interval that the ticket showed before, where late events moved it, and the one since.
    was         jsonb,
    became      jsonb,
    PRIMARY KEY (ticket, seq),
    -- domain/transitions.py, which a test compares with this.
    CONSTRAINT change_is_allowed CHECK (coalesce(CASE change
        WHEN 'opened' THEN from_state IS NULL AND to_state = 'open'
        WHEN 'grew' THEN to_state = from_state AND to_state <> 'closed'
        WHEN 'updated' THEN to_state = from_state
        WHEN 'cleared' THEN to_state = from_state AND to_state <> 'closed'
        WHEN 'noticed' THEN to_state = from_state
        WHEN 'pulled' THEN to_state = from_state AND to_state <> 'closed'
        WHEN 'linked' THEN to_state = from_state
        WHEN 'reopened' THEN from_state = 'closed' AND to_state IN ('open', 'acknowledged')
        WHEN 'acknowledged' THEN from_state IN ('open', 'snoozed') AND to_state = 'acknowledged'
        WHEN 'snoozed' THEN from_state IN ('open', 'acknowledged', 'snoozed') AND to_state = 'snoozed'
        WHEN 'woke' THEN from_state = 'snoozed' AND to_state = 'open'
        WHEN 'closed' THEN from_state <> 'closed' AND to_state = 'closed'
        WHEN 'undone' THEN (from_state, to_state) IN (
            ('acknowledged', 'open'), ('acknowledged', 'snoozed'), ('acknowledged', 'closed'),
            ('snoozed', 'open'), ('snoozed', 'acknowledged'), ('snoozed', 'snoozed'), ('doing', 'planned'))
            OR from_state = 'closed' AND to_state <> 'closed'
        WHEN 'planned' THEN from_state IN ('open', 'acknowledged') AND to_state = 'planned'
        WHEN 'rescheduled' THEN from_state IN ('planned', 'doing') AND to_state = from_state
        WHEN 'withdrawn' THEN from_state IN ('planned', 'doing') AND to_state = 'acknowledged'
        WHEN 'started' THEN from_state = 'planned' AND to_state = 'doing'
        WHEN 'verifying' THEN from_state IN ('planned', 'doing', 'closed') AND to_state = 'verifying'
        WHEN 'verdict' THEN from_state IN ('verifying', 'closed') AND to_state = 'closed'
        WHEN 'adopted' THEN from_state = 'closed' AND to_state = 'closed'
        WHEN 'dropped' THEN from_state = 'closed' AND to_state = 'closed'
        WHEN 'adapted' THEN from_state = 'closed' AND to_state = 'acknowledged'
        WHEN 'held' THEN to_state = from_state
        WHEN 'fading' THEN to_state = from_state
        WHEN 'decayed' THEN to_state = from_state
        ELSE false
    END, false)),
    CONSTRAINT change_has_states CHECK (
        to_state IN ('open', 'acknowledged', 'snoozed', 'planned', 'doing', 'verifying', 'closed')
        AND coalesce(from_state IN ('open', 'acknowledged', 'snoozed', 'planned', 'doing', 'verifying', 'closed'), true))
);

CREATE INDEX change_given_up ON change (at) WHERE change IN ('withdrawn', 'dropped');

-- What tickets waited for, from the change that began it, and whether a person ended it. Worked out from the history.
CREATE TABLE ticket_wait (
    ticket    bigint      NOT NULL,
    seq       int         NOT NULL,
    wait      text        NOT NULL CHECK (wait IN ('seen', 'planned', 'decided')),
    begun_at  timestamptz NOT NULL,
    ended_at  timestamptz,
    by_person boolean,
    PRIMARY KEY (ticket, seq, wait),
    FOREIGN KEY (ticket, seq) REFERENCES change (ticket, seq),
    CHECK ((ended_at IS NULL) = (by_person IS NULL))
);

-- A ticket is opened, and changes its state only by a change in its history. Written in one transaction, the change first.
CREATE FUNCTION check_ticket_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF (NEW.state, NEW.seq) <> ('open', 1) THEN
            RAISE EXCEPTION 'a ticket begins as open (1), not as % (%)', NEW.state, NEW.seq
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.state, NEW.seq) IS NOT DISTINCT FROM (OLD.state, OLD.seq) THEN
        IF (NEW.cycle, NEW.plan, NEW.change_date) IS DISTINCT FROM (OLD.cycle, OLD.plan, OLD.change_date) THEN
            RAISE EXCEPTION 'ticket % cannot take another plan without a change in its history', NEW.id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    PERFORM FROM change WHERE ticket = NEW.id AND seq = NEW.seq AND from_state = OLD.state AND to_state = NEW.state;
    IF NOT FOUND OR NEW.seq <> OLD.seq + 1 THEN
        RAISE EXCEPTION 'ticket % cannot go from % (%) to % (%): its history has no such change',
            NEW.id, OLD.state, OLD.seq, NEW.state, NEW.seq USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ticket_change BEFORE INSERT OR UPDATE ON ticket
    FOR EACH ROW EXECUTE FUNCTION check_ticket_change();

-- The plan that people write, complete or not; kept after sealing, for the next cycle.
CREATE TABLE plan_draft (
    ticket   bigint      PRIMARY KEY REFERENCES ticket (id),
    data     jsonb       NOT NULL,
    version  int         NOT NULL CHECK (version > 0),
    saved_at timestamptz NOT NULL
);

-- Sealed plans, append-only: `content` is canonical JSON that holds all other columns and the hash of the seal before it.
CREATE TABLE sealed_plan (
    ticket    bigint      NOT NULL REFERENCES ticket (id),
    cycle     int         NOT NULL CHECK (cycle > 0),
    number    int         NOT NULL CHECK (number > 0),
    content   text        NOT NULL,
    hash      text        NOT NULL,
    sealed_at timestamptz NOT NULL,
    -- Why it was sealed anew.
    reason    text,
    -- For the ledger, which reads all plans.
    plan      jsonb       GENERATED ALWAYS AS (content::jsonb -> 'plan') STORED,
    PRIMARY KEY (ticket, cycle, number),
    CHECK (hash = encode(sha256(convert_to(content, 'UTF8')), 'hex')),
    CHECK ((content::jsonb -> 'ticket', content::jsonb -> 'cycle', content::jsonb -> 'number')
        = (to_jsonb(ticket), to_jsonb(cycle), to_jsonb(number)))
);
CREATE INDEX sealed_plan_newest ON sealed_plan (sealed_at DESC, ticket DESC, cycle DESC);

CREATE FUNCTION refuse_to_change_a_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a sealed plan is never changed: % on sealed_plan refused', TG_OP
        USING ERRCODE = 'check_violation', HINT = 'seal anew with a reason';
END $$;
CREATE TRIGGER sealed_plan_row BEFORE UPDATE OR DELETE ON sealed_plan
    FOR EACH ROW EXECUTE FUNCTION refuse_to_change_a_seal();
CREATE TRIGGER sealed_plan_table BEFORE TRUNCATE ON sealed_plan
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_a_seal();
-- In a session that replicates, too: setting session_replication_role skips other triggers.
ALTER TABLE sealed_plan ENABLE ALWAYS TRIGGER sealed_plan_row, ENABLE ALWAYS TRIGGER sealed_plan_table;

-- Each seal follows the one before it, and none is made once the change has begun.
CREATE FUNCTION check_seal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last sealed_plan;
    now_in text;
BEGIN
    SELECT * INTO last FROM sealed_plan WHERE ticket = NEW.ticket ORDER BY cycle DESC, number DESC LIMIT 1;
    SELECT state INTO now_in FROM ticket WHERE id = NEW.ticket;
    IF NEW.content::jsonb ->> 'before' IS DISTINCT FROM coalesce(last.hash, '')
        OR NEW.number <> (CASE WHEN NEW.cycle = last.cycle THEN last.number + 1 ELSE 1 END)
        OR NEW.cycle < coalesce(last.cycle, 1)
        OR now_in NOT IN ('open', 'acknowledged', 'planned', 'doing') THEN
        RAISE EXCEPTION 'seal % of cycle % does not follow the last one of ticket %, which is %',
            NEW.number, NEW.cycle, NEW.ticket, now_in USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sealed_plan_follows BEFORE INSERT ON sealed_plan FOR EACH ROW EXECUTE FUNCTION check_seal();

-- The study of a cycle's plan; begins when the change date has come. `data`: what was found last.
CREATE TABLE study (
    ticket      bigint      NOT NULL REFERENCES ticket (id),
    cycle       int         NOT NULL CHECK (cycle > 0),
    -- The seal that is studied, number of sealed_plan.
    plan        int         NOT NULL,
    started_at  timestamptz NOT NULL,
    data        jsonb,
    -- The version of study_input that was looked at last.
    input       bigint,
    verdict     text        CHECK (verdict IN ('verified', 'not-shown', 'restored')),
    reason      text,
    week        int,
    verdict_at  timestamptz,
    hold        text        CHECK (hold IN ('held', 'fading', 'decayed', 'unknown')),
    decision    text        CHECK (decision IN ('adopted', 'adapted', 'dropped')),
    decided_at  timestamptz,
    decided_because text,
    -- What became of the prediction, for the ledger.
    result      text        GENERATED ALWAYS AS (data ->> 'result') STORED,
    -- When nothing is left to study: the gain is judged, or a person closed the ticket.
    ended_at    timestamptz,
    PRIMARY KEY (ticket, cycle),
    FOREIGN KEY (ticket, cycle, plan) REFERENCES sealed_plan (ticket, cycle, number),
    CHECK ((verdict IS NULL) = (verdict_at IS NULL)),
    CHECK ((decision IS NULL) = (decided_at IS NULL)),
    CHECK (reason IS NULL OR coalesce(verdict = 'not-shown', false)),
    CHECK (hold IS NULL OR coalesce(verdict = 'verified', false))
);
CREATE INDEX study_going_on ON study (ticket) WHERE ended_at IS NULL;

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
    result     text        NOT NULL CHECK (result IN ('sent', 'refused', 'waiting', 'dropped', 'bounced')),
    message_id text        NOT NULL,
    at         timestamptz NOT NULL,
    detail     text,
    -- The ticket's problem: after the database was set back, the ticket of another may have the number.
    key        text,
    -- What the recipient is to the pipeline; null: not known.
    role       text
);
CREATE INDEX notice_by_ticket ON notice (ticket, at);

-- Links to the cords of stages. The tokens themselves are shown once and kept nowhere. When a link was used is not kept:
-- it could tell who pulled.
CREATE TABLE cord_link (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash       bytea       NOT NULL UNIQUE CHECK (length(hash) = 32),
    pipeline   text        NOT NULL,
    stage      text        NOT NULL,
    made_at    timestamptz NOT NULL,
    revoked_at timestamptz
);

-- Pulls of a cord. Nothing of the person is here: no address, no sender, and not which link was used.
CREATE TABLE cord_pull (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Hash of the address where the person sees what became of it.
    receipt     bytea       NOT NULL UNIQUE CHECK (length(receipt) = 32),
    ticket      bigint      NOT NULL,
    seq         int         NOT NULL,
    pipeline    text        NOT NULL,
    stage       text        NOT NULL,
    pulled_at   timestamptz NOT NULL,
    seen        text        NOT NULL,
    day         date,
    deal        text,
    -- Whether nobody was at work on the ticket yet; else the pull is no measure of the time to an answer.
    waited      boolean     NOT NULL,
    -- When a person did something about the ticket for the first time after the pull.
    answered_at timestamptz,
    UNIQUE (ticket, seq),
    FOREIGN KEY (ticket, seq) REFERENCES change (ticket, seq)
);
CREATE INDEX cord_pull_by_stage ON cord_pull (pipeline, stage, pulled_at DESC);

-- Mails that pulled a cord, so that each does so once: a hash of date and text under a key of that window, and nothing of
-- the sender. Key and hashes are deleted with the window.
CREATE TABLE cord_window (
    begins_at timestamptz PRIMARY KEY,
    key       bytea       NOT NULL
);
CREATE TABLE cord_mail (
    begins_at timestamptz NOT NULL REFERENCES cord_window (begins_at) ON DELETE CASCADE,
    hash      bytea       NOT NULL,
    PRIMARY KEY (begins_at, hash)
);

-- For SQL readers (Grafana, analysts). Tables may change; these views stay.
CREATE SCHEMA IF NOT EXISTS report;
CREATE VIEW report.ticket AS
    SELECT id, key, kind, pipeline, state, outcome, opened_at, changed_at, closed_at, snoozed_until, cycle, change_date
    FROM ticket;
CREATE VIEW report.change AS
    SELECT ticket, seq, change, at, actor, from_state, to_state FROM change;
CREATE VIEW report.notice AS
    SELECT ticket, reason, result, at FROM notice;
CREATE VIEW report.sealed_plan AS
    SELECT ticket, cycle, number, content::jsonb -> 'plan' AS plan, content::jsonb -> 'ground' AS ground, hash, sealed_at,
        reason
    FROM sealed_plan;
CREATE VIEW report.study AS
    SELECT ticket, cycle, plan, started_at, verdict, reason, week, verdict_at, hold, decision, decided_at, decided_because,
        ended_at
    FROM study;
CREATE VIEW report.cord_pull AS
    SELECT ticket, pipeline, stage, pulled_at, CASE WHEN waited THEN answered_at END AS answered_at, waited FROM cord_pull;
