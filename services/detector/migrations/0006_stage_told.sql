-- What was last told of stages on flow.stages, so that only what differs is told.
CREATE TABLE stage_told (
    pipeline text NOT NULL,
    stage    text NOT NULL,
    data     text NOT NULL,
    PRIMARY KEY (pipeline, stage)
);
