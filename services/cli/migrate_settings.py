"""Settings of `andon migrate`."""

from __future__ import annotations

from pydantic import Field, SecretStr

from shared.runtime.settings import ServiceSettings


class MigrateSettings(ServiceSettings):
    """Settings of `andon migrate`."""

    report_password: SecretStr | None = Field(
        None, description="password of the role andon_report, which reads the SQL views; without one it cannot sign in"
    )
