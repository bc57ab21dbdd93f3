-- What sources say of their stages and pipelines: of each field the latest, by (time, id, value). Values are JSON text,
-- times microseconds since 1970. An empty pipeline: said of the stage in every pipeline; an empty stage: of the pipeline.
CREATE TABLE stage_fact (
    source   text   NOT NULL,
    pipeline text   NOT NULL,
    stage    text   NOT NULL,
    field    text   NOT NULL,
    time     bigint NOT NULL,
    id       text   COLLATE "C" NOT NULL,
    value    text   COLLATE "C" NOT NULL,
    PRIMARY KEY (source, pipeline, stage, field)
);
