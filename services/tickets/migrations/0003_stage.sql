-- What stages are called, and those that hold deals though the policy does not know them: as last told on flow.stages.
CREATE TABLE stage (
    pipeline text    NOT NULL,
    stage    text    NOT NULL,
    name     text,
    watched  boolean NOT NULL,
    deals    int     NOT NULL,
    hint     text,
    PRIMARY KEY (pipeline, stage)
);
