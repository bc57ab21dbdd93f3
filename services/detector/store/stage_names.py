"""SQL of what the policy calls its open stages: for the views of schema `report`."""

from __future__ import annotations

from shared.policy import Policy
from shared.postgres.pool import Connection

_DELETE = "DELETE FROM policy_stage WHERE (pipeline, stage) NOT IN (SELECT * FROM unnest($1::text[], $2::text[]))"
_SAVE = """
INSERT INTO policy_stage AS p (pipeline, stage, pipeline_name, stage_name, position, zone)
SELECT *, $6 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[])
ON CONFLICT (pipeline, stage) DO UPDATE
SET pipeline_name = excluded.pipeline_name, stage_name = excluded.stage_name, position = excluded.position,
    zone = excluded.zone
WHERE p IS DISTINCT FROM excluded
"""


async def save(connection: Connection, policy: Policy) -> None:
    """Store names and order of the policy's open stages, and its time zone; those of an earlier policy go."""
    pipelines, stages, pipeline_names, stage_names, positions = [], [], [], [], []
    for name, pipeline in policy.pipelines.items():
        for position, stage in enumerate(pipeline.open_stages):
            described = pipeline.stage(stage)
            pipelines.append(name)
            stages.append(stage)
            pipeline_names.append(pipeline.name)
            stage_names.append(described.name if described and described.name else stage)
            positions.append(position)
    await connection.execute(_DELETE, pipelines, stages)
    await connection.execute(_SAVE, pipelines, stages, pipeline_names, stage_names, positions, policy.timezone)
