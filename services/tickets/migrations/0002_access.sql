-- Who may sign in. `password`: a hash; null where another way of sign-in is used. The first to sign in is an admin.
CREATE TABLE account (
    id          int         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email       text        NOT NULL,
    name        text        NOT NULL,
    role        int         NOT NULL CHECK (role BETWEEN 1 AND 4),
    password    text,
    -- Of an identity provider; `subject` is its name of the person.
    issuer      text,
    subject     text,
    made_at     timestamptz NOT NULL,
    disabled_at timestamptz,
    UNIQUE (issuer, subject),
    CHECK ((issuer IS NULL) = (subject IS NULL))
);
CREATE UNIQUE INDEX account_by_email ON account (lower(email));

-- Who worked on the ticket, where people sign in: for those who work on it with them. Nothing else reads it, and it
-- leaves the database with no message.
ALTER TABLE change ADD COLUMN account int REFERENCES account ON DELETE SET NULL;
CREATE INDEX change_by_account ON change (account) WHERE account IS NOT NULL;

-- Known to the browser by a secret, of which this is the hash.
CREATE TABLE session (
    hash     bytea       PRIMARY KEY,
    account  int         NOT NULL REFERENCES account ON DELETE CASCADE,
    began_at timestamptz NOT NULL,
    seen_at  timestamptz NOT NULL
);
CREATE INDEX session_by_account ON session (account);

-- What programs show in place of signing in: a secret, of which this is the hash. `role`: what it may do, at most what
-- its account may. It works under the API only.
CREATE TABLE api_token (
    id         int         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash       bytea       NOT NULL UNIQUE,
    account    int         NOT NULL REFERENCES account ON DELETE CASCADE,
    name       text        NOT NULL,
    role       int         NOT NULL CHECK (role BETWEEN 1 AND 3),
    made_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at <= made_at + interval '366 days'),
    used_at    timestamptz
);
CREATE INDEX api_token_by_account ON api_token (account);

-- What the API answered to a request with an Idempotency-Key, for when it comes again. `request`: its hash.
-- `account`: null where nobody signs in.
CREATE TABLE api_answer (
    account  int         REFERENCES account ON DELETE CASCADE,
    key      text        NOT NULL,
    request  bytea       NOT NULL,
    status   int,
    etag     text,
    body     bytea,
    asked_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (account, key)
);
CREATE INDEX api_answer_by_age ON api_answer (asked_at);

-- The address at which programs read the due dates of an account, without signing in: this is the hash of its token.
CREATE TABLE calendar_link (
    account int         PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    hash    bytea       NOT NULL UNIQUE,
    made_at timestamptz NOT NULL,
    -- The last day on which a program read it.
    used_on date
);

-- Links that work once: to choose a password, and for the first admin, who has no account yet.
CREATE TABLE sign_in_link (
    hash       bytea       PRIMARY KEY,
    account    int         REFERENCES account ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

-- A browser that was sent to the identity provider and has not come back.
CREATE TABLE provider_visit (
    hash       bytea       PRIMARY KEY,
    nonce      text        NOT NULL,
    verifier   text        NOT NULL,
    back_to    text        NOT NULL,
    expires_at timestamptz NOT NULL
);

-- What people did, were refused, and took with them. Each row holds the hash of itself and of the row before it.
-- `account` stays when its account is forgotten: a number without a name.
CREATE TABLE audit (
    id       bigint      PRIMARY KEY,
    at       timestamptz NOT NULL,
    event    text        NOT NULL,
    account  int,
    detail   jsonb       NOT NULL,
    previous bytea       NOT NULL,
    hash     bytea       NOT NULL
);
CREATE INDEX audit_by_age ON audit (at);

CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Only retention removes rows, the oldest first.
    IF TG_OP = 'DELETE' AND current_setting('andon.audit_retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_row BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION keep_audit();
CREATE TRIGGER audit_table BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();

-- Retention, for the service's role, which may delete nothing itself: as the owner, but never what is younger than 30 days.
-- The newest row stays: without it, nothing would show that the ones after it are missing.
CREATE FUNCTION forget_audit(before timestamptz) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = tickets, pg_temp AS $$
BEGIN
    PERFORM set_config('andon.audit_retention', 'on', true);
    DELETE FROM audit WHERE at < least(before, now() - interval '30 days') AND id < (SELECT max(id) FROM audit);
    PERFORM set_config('andon.audit_retention', 'off', true);
END $$;
REVOKE ALL ON FUNCTION forget_audit(timestamptz) FROM PUBLIC;

-- Who saved a version of the policy in the browser, and why. `account`: null where nobody signs in, where the account was
-- forgotten, and for the first version, which is the policy file.
CREATE TABLE policy_change (
    version int         PRIMARY KEY REFERENCES policy_version,
    at      timestamptz NOT NULL,
    why     text        NOT NULL,
    account int         REFERENCES account ON DELETE SET NULL
);
CREATE INDEX policy_change_by_account ON policy_change (account) WHERE account IS NOT NULL;
