"""Settings of sign-in."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from services.tickets.access.addresses import ip_of
from services.tickets.access.roles import Role
from services.tickets.access.sessions import SessionLimits
from shared.runtime.settings import ServiceSettings

_ROLES = {"viewer": Role.VIEWER, "member": Role.MEMBER}


class AccessSettings(ServiceSettings):
    """How people sign in, and how long that lasts."""

    sign_in: Literal["none", "password", "provider", "proxy"] = Field(
        "none",
        description="none: nobody signs in, and only this machine can open the pages; password: accounts of Andon;"
        " provider: OpenID Connect, and accounts of Andon beside it; proxy: a proxy names the person in a header",
    )
    sign_in_idle_hours: int = Field(12, ge=1, le=720, description="hours without a request after which a session ends")
    sign_in_days: int = Field(7, ge=1, le=90, description="days after which a session ends in any case")
    sign_in_audit_days: int = Field(400, ge=30, le=36_500, description="days that the audit log is kept")
    sign_in_new_role: Literal["none", "viewer", "member"] = Field(
        "viewer",
        description="role of whom the provider or the proxy brings for the first time; none: they get in"
        " only with an account that was made before",
    )
    sign_in_issuer: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="address of the OpenID provider, without /.well-known/..."
    )
    sign_in_issuer_name: str = Field("your company's sign-in", description="what the sign-in page calls the provider")
    sign_in_client: str = Field("", description="client id of Andon at the provider")
    sign_in_client_secret: SecretStr = Field(
        SecretStr(""), description="its secret; ANDON_SIGN_IN_CLIENT_SECRET_FILE names a file"
    )
    sign_in_proxies: str = Field(
        "", description="addresses or networks of trusted proxies, with commas between: 10.0.0.5,10.1.0.0/16"
    )
    sign_in_proxy_header: str = Field(
        "x-forwarded-email", pattern=r"^[A-Za-z0-9-]+$", description="header with the person's mail address"
    )

    @property
    def asks_to_sign_in(self) -> bool:
        return self.sign_in != "none"

    @property
    def session_limits(self) -> SessionLimits:
        return SessionLimits(timedelta(hours=self.sign_in_idle_hours), timedelta(days=self.sign_in_days))

    @property
    def new_role(self) -> Role | None:
        """None: nobody new."""
        return _ROLES.get(self.sign_in_new_role)

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(part.strip()) for part in self.sign_in_proxies.split(",") if part.strip())

    def is_proxy(self, address: str) -> bool:
        """Whether a request from this address comes through a trusted proxy."""
        found = ip_of(address)
        return found is not None and any(found in network for network in self.proxies)

    @model_validator(mode="after")
    def _sign_in_is_whole(self) -> Self:
        try:
            networks = self.proxies
        except ValueError as error:
            raise ValueError(f"ANDON_SIGN_IN_PROXIES: {error}; write addresses or networks, as 10.1.0.0/16") from None
        if self.sign_in == "proxy" and not networks:
            raise ValueError("ANDON_SIGN_IN_PROXIES is missing; set the address of the proxy that names the person")
        if self.sign_in == "provider" and not (self.sign_in_issuer and self.sign_in_client):
            raise ValueError("ANDON_SIGN_IN_ISSUER or ANDON_SIGN_IN_CLIENT is missing; set both, and its secret")
        return self
