-- What is known of each deal, and which deals are to be read through their CRM's API.
CREATE TABLE deal (
    source          text        NOT NULL,
    deal            text        NOT NULL,
    -- Flags, see DealPart.
    known_parts     int         NOT NULL,
    -- whole: complete; thin: has gaps, and no API; wanted: to be read; read, refused: the CRM has answered.
    state           text        NOT NULL CHECK (state IN ('whole', 'thin', 'wanted', 'read', 'refused')),
    due             timestamptz,
    claimed_until   timestamptz,
    attempts        int         NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    read_at         timestamptz,
    -- Events from the API with earlier times than this have been published.
    published_until timestamptz,
    -- Why the CRM could not be read, or the deal was refused.
    answer          text,
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, deal),
    CHECK ((state = 'wanted') = (due IS NOT NULL)),
    CHECK (state = 'wanted' OR claimed_until IS NULL)
);
CREATE INDEX deal_wanted ON deal (source, due) WHERE state = 'wanted';
CREATE INDEX deal_with_gaps ON deal (source) WHERE state <> 'whole';
-- Deals that their CRM has deleted or merged: 16 is DealPart.GONE.
CREATE INDEX deal_gone ON deal (updated_at) WHERE known_parts & 16 <> 0;

-- How far the deals of a source are listed: up to a time by reconciliation, up to a page by a back-fill.
CREATE TABLE crm_cursor (
    source   text        NOT NULL,
    purpose  text        NOT NULL CHECK (purpose IN ('reconcile', 'backfill')),
    -- reconcile: every change before this was listed. backfill: deals that were open at or after this are loaded.
    since    timestamptz NOT NULL,
    -- Where a back-fill resumes, in the CRM's own terms; empty: at the beginning.
    cursor   text        NOT NULL,
    due      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    -- The earliest event that a back-fill has published: everything from there on is evaluated again at its end.
    earliest timestamptz,
    PRIMARY KEY (source, purpose)
);
