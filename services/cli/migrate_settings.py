"""Settings of `andon migrate`."""

from __future__ import annotations

from pydantic import Field, SecretStr

from shared.runtime.settings import ServiceSettings


def _password_of(role: str) -> SecretStr | None:
    text = f"password of the role {role}, as which the service signs in to Postgres; without one the role cannot"
    field: SecretStr | None = Field(None, description=text)
    return field


class MigrateSettings(ServiceSettings):
    """Settings of `andon migrate`."""

    report_password: SecretStr | None = Field(
        None, description="password of the role andon_report, which reads the SQL views; without one it cannot sign in"
    )
    role_detector_password: SecretStr | None = _password_of("andon_detector")
    role_analyst_password: SecretStr | None = _password_of("andon_analyst")
    role_tickets_password: SecretStr | None = _password_of("andon_tickets")
    role_notifier_password: SecretStr | None = _password_of("andon_notifier")
    role_enricher_password: SecretStr | None = _password_of("andon_enricher")

    def passwords(self) -> dict[str, str]:
        """Those that are set, by service."""
        given = {
            "detector": self.role_detector_password,
            "analyst": self.role_analyst_password,
            "tickets": self.role_tickets_password,
            "notifier": self.role_notifier_password,
            "enricher": self.role_enricher_password,
        }
        return {service: secret.get_secret_value() for service, secret in given.items() if secret is not None}
