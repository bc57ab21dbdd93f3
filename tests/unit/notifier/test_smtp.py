"""The connection to the mail server: no fault of it refuses a mail."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.notifier.delivery.smtp import FAULTS, SmtpServer, is_final
from services.notifier.settings import NotifierSettings


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody trusts."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    written = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password) + certificate.public_bytes(pem)
    (folder / "server.pem").write_bytes(written)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def mail_server(tls: ssl.SSLContext) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]:
    """Greets, and changes over to TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.readline()
        writer.write(b"250-mail.example\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go ahead\r\n")
        try:
            await writer.start_tls(tls)
        except (OSError, ssl.SSLError):
            writer.close()

    return serve


async def fault_of(settings: NotifierSettings) -> Exception:
    server = SmtpServer(settings)
    with pytest.raises(FAULTS) as caught:
        await server.connect()
    server.close()
    return caught.value


async def test_an_untrusted_certificate_refuses_no_mail(tmp_path: Path) -> None:
    server = await asyncio.start_server(mail_server(self_signed(tmp_path)), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        fault = await fault_of(NotifierSettings(smtp_port=port, smtp_security="starttls", smtp_timeout_seconds=5))

    assert "CERTIFICATE_VERIFY_FAILED" in str(fault)
    assert not is_final(fault)


async def test_a_host_name_that_cannot_be_refuses_no_mail() -> None:
    assert not is_final(await fault_of(NotifierSettings(smtp_host="mail..example", smtp_timeout_seconds=5)))
