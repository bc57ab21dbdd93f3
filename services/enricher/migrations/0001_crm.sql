-- What has been said of each deal, and which of them its CRM is still to be asked about.
CREATE TABLE deal (
    source        text NOT NULL,
    deal          text NOT NULL,
    said          int  NOT NULL,
    state         text NOT NULL CHECK (state IN ('whole', 'thin', 'wanted', 'read', 'refused')),
    due           timestamptz,
    claimed_until timestamptz,
    attempts      int  NOT NULL DEFAULT 0,
    read_at       timestamptz,
    told          timestamptz,
    answer        text,
    PRIMARY KEY (source, deal),
    CHECK ((state = 'wanted') = (due IS NOT NULL)),
    CHECK (state = 'wanted' OR claimed_until IS NULL)
);
CREATE INDEX deal_wanted ON deal (source, due) WHERE state = 'wanted';
CREATE INDEX deal_with_gaps ON deal (source) WHERE state <> 'whole';

-- How far a source's deals are listed: for reconciliation up to a time, for a back-fill up to a place of the CRM.
CREATE TABLE walk (
    source   text NOT NULL,
    purpose  text NOT NULL CHECK (purpose IN ('reconcile', 'backfill')),
    since    timestamptz NOT NULL,
    place    text NOT NULL,
    due      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended    timestamptz,
    -- The earliest time that a back-fill has told of: from there on all is judged anew at its end.
    earliest timestamptz,
    PRIMARY KEY (source, purpose)
);
