"""Sign-in by OpenID Connect: authorization code with PKCE, state and nonce.

Source: OpenID Connect Core 1.0, 3.1; RFC 7636 (PKCE); RFC 9700, 2.1 (what a client must check).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
from authlib.oauth2.claims import ClaimsOption
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.tickets.access.names import is_mail_address
from services.tickets.access.sign_in import SignInRefused, Vouched
from services.tickets.store import sessions
from services.tickets.store.accounts import Subject
from services.tickets.store.sessions import ProviderVisit
from shared.postgres.pool import Pool
from shared.runtime.clock import Clock
from shared.runtime.log import logger
from shared.runtime.tls import trusted_certificates

_log = logger(__name__)
VISIT_LASTS, TIMEOUT_SECONDS, LEEWAY_SECONDS = timedelta(minutes=10), 10, 60
_ALGORITHMS = ["RS256", "ES256", "PS256", "EdDSA"]
_AWAY = "The identity provider does not answer just now. Try again in a minute."
_FAILED = "The sign-in did not work. Try again; if it keeps failing, contact those who run Andon."


@dataclass(frozen=True)
class ProviderAccess:
    """How to reach the provider, and as whom. `back`: the address that it sends browsers back to."""

    issuer: str
    client: str
    secret: str
    back: str


class Provider:
    """One identity provider. Its description and keys are read for each sign-in: there are few, and keys change."""

    def __init__(self, access: ProviderAccess, pool: Pool, wall: Clock) -> None:
        self._access, self._pool, self._wall = access, pool, wall

    async def leave(self, state: str, back_to: str) -> str:
        """The address to send a browser to. `state` is the secret with which it comes back."""
        visit = ProviderVisit(secrets.token_urlsafe(24), secrets.token_urlsafe(48), back_to)
        async with self._http() as http:
            described = await self._described(http)
        await sessions.leave(self._pool, state, visit, self._wall.now() + VISIT_LASTS)
        asked = {
            "response_type": "code",
            "client_id": self._access.client,
            "redirect_uri": self._access.back,
            "scope": "openid email profile",
            "state": state,
            "nonce": visit.nonce,
            "code_challenge": create_s256_code_challenge(visit.verifier),
            "code_challenge_method": "S256",
        }
        return f"{described['authorization_endpoint']}?{urlencode(asked)}"

    async def come_back(self, state: str, code: str, issuer: str) -> tuple[Vouched, str]:
        """The person, and where they wanted to go. Raises SignInRefused."""
        visit = await sessions.come_back(self._pool, state, self._wall.now())
        if visit is None:
            raise SignInRefused("This sign-in took too long, or was used already. Start again.")
        if issuer and issuer != self._access.issuer:
            raise SignInRefused(_FAILED)
        async with self._http() as http:
            described = await self._described(http)
            tokens = await self._tokens(http, described, code, visit)
            keys = KeySet.import_key_set(await self._json(http, described["jwks_uri"]))
        return self._person(self._claims(tokens, keys, visit)), visit.back_to

    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=trusted_certificates(), timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False
        )

    async def _described(self, http: httpx.AsyncClient) -> Mapping[str, Any]:
        described: Mapping[str, Any] = await self._json(
            http, f"{self._access.issuer.rstrip('/')}/.well-known/openid-configuration"
        )
        if described.get("issuer") != self._access.issuer:
            _log.error("identity provider has another name", issuer=described.get("issuer"), set=self._access.issuer)
            raise SignInRefused(_FAILED)
        return described

    async def _json(self, http: httpx.AsyncClient, address: str) -> Any:
        try:
            return (await http.get(address)).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            _log.error("identity provider does not answer", address=address, error=repr(error))
            raise SignInRefused(_AWAY) from None

    async def _tokens(
        self, http: httpx.AsyncClient, described: Mapping[str, Any], code: str, visit: ProviderVisit
    ) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._access.back,
            "code_verifier": visit.verifier,
        }
        basic = httpx.BasicAuth(self._access.client, self._access.secret)
        try:
            answer = await http.post(described["token_endpoint"], data=form, auth=basic)
            found: Mapping[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            _log.error("identity provider refused the code", error=repr(error))
            raise SignInRefused(_FAILED) from None
        return found

    def _claims(self, tokens: Mapping[str, Any], keys: KeySet, visit: ProviderVisit) -> Mapping[str, Any]:
        """What the ID token claims, once its signature, issuer, audience, times, nonce and hash are right."""
        fits = {"nonce": visit.nonce, "client_id": self._access.client, "access_token": tokens.get("access_token")}
        wanted: dict[str, ClaimsOption] = {
            "iss": {"essential": True, "value": self._access.issuer},
            "aud": {"essential": True, "value": self._access.client},
        }
        try:
            token = jwt.decode(str(tokens.get("id_token", "")), keys, algorithms=_ALGORITHMS)
            claims = CodeIDToken(token.claims, token.header, wanted, fits)
            claims.validate(int(self._wall.now().timestamp()), LEEWAY_SECONDS)
        except (JoseError, ValueError) as error:
            _log.warning("ID token refused", error=repr(error))
            raise SignInRefused(_FAILED) from None
        return dict(claims)

    def _person(self, claims: Mapping[str, Any]) -> Vouched:
        """A mail address decides whose pipelines these are: the provider must have checked it."""
        email = str(claims.get("email", ""))
        if not is_mail_address(email) or claims.get("email_verified") is not True:
            raise SignInRefused("Your provider gives no mail address that it has checked. Ask who runs it.")
        return Vouched(email, str(claims.get("name", "")), Subject(self._access.issuer, str(claims["sub"])))
