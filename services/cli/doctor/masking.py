"""Takes secrets out of what is shown: those of the environment, of the sources file and of the hooks file.

Known secrets are replaced wherever they stand, as they are and as URLs and JSON write them; besides, whatever stands
where a secret usually does. Not promised: a secret of less than MIN characters, where it stands alone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pydantic import SecretStr

from services.cli.service_settings import SERVICE_SETTINGS
from shared.runtime.settings import PREFIX
from shared.runtime.yaml_file import FaultsError, read_yaml

HIDDEN = "***"
# Shorter ones would take words apart.
MIN = 4
_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIAL|COOKIE", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@")
_IN_QUERY = re.compile(r"[?&](?:ssl)?password=([^&#\s]+)")
# A secret setting, as it may hold a password; the rest of it says where Postgres is.
_POSTGRES = re.compile(r"postgres(?:ql)?://")
_NAMED = re.compile(
    r"((?:password|passwd|secret|token|authorization|api[-_]?key|cookie|signature)[\"']?\s*[=:]\s*[\"']?"
    r"(?:basic |bearer )?)[^\s\"',;&}\]]+",
    re.IGNORECASE,
)
# In the sources file and the hooks file. The address of a channel of Slack or Teams is its secret.
_YAML_KEYS = re.compile(r"secret|token|password|key|hook|^url$", re.IGNORECASE)
_FILES = {"sources": Path("sources.yaml"), "notifier_hooks": None}


class Mask:
    """Replaces secrets by HIDDEN."""

    def __init__(self, secrets: Iterable[str]) -> None:
        written = {form for secret in secrets for form in _forms(secret) if len(form) >= MIN}
        longest_first = sorted(written, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """Without what is known to be a secret, and without passwords in URLs."""
        text = self._known.sub(HIDDEN, text) if self._known else text
        return _IN_URL.sub(rf"\1:{HIDDEN}@", text)

    def log(self, text: str) -> str:
        """As `text`, and without what stands behind a name such as password."""
        return _NAMED.sub(rf"\1{HIDDEN}", self.text(text))


def mask_of(environment: Mapping[str, str] | None = None) -> Mask:
    """The mask of the secrets that this environment names, whether its settings are right or wrong."""
    variables = dict(os.environ if environment is None else environment)
    return Mask([*_of_variables(variables), *_of_files(variables)])


def masked_settings(mask: Mask, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every variable of Andon, the secret ones hidden."""
    variables = dict(os.environ if environment is None else environment)
    ours = sorted((name, value) for name, value in variables.items() if name.startswith(PREFIX))
    return {name: HIDDEN if _is_hidden(name, value) else mask.log(value) for name, value in ours}


def _is_hidden(variable: str, value: str) -> bool:
    """Whether nothing of the value is shown."""
    return _is_secret(variable) and not _POSTGRES.match(value)


def _secret_fields() -> set[str]:
    """Names of settings that hold secrets, without prefix."""
    return {
        name
        for settings in SERVICE_SETTINGS.values()
        for name, field in settings.model_fields.items()
        if SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
    }


def _is_secret(variable: str) -> bool:
    """Whether the value is one. That of NAME_FILE is a path."""
    if variable.endswith("_FILE"):
        return False
    return variable.removeprefix(PREFIX).lower() in _secret_fields() or bool(_NAME.search(variable))


def _of_variables(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        if name.startswith(PREFIX) or _NAME.search(name):
            of_file = name.endswith("_FILE") and _is_secret(name.removesuffix("_FILE"))
            text = _read(Path(value)).strip() if of_file else value
            if _is_hidden(name.removesuffix("_FILE") if of_file else name, text):
                yield from (text, *text.split(","))
            yield from _IN_QUERY.findall(text)
            yield from (password for _, password in _IN_URL.findall(text))


def _of_files(variables: Mapping[str, str]) -> Iterator[str]:
    for setting, usual in _FILES.items():
        named = variables.get(PREFIX + setting.upper())
        path = Path(named) if named else usual
        if path is None:
            continue
        with suppress(FaultsError):
            # What is wrong with the file, the check of it says.
            _, document = read_yaml(_read(path))
            yield from _of_document(document, path.resolve().parent, variables, "")


def _of_document(value: Any, folder: Path, variables: Mapping[str, str], key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            inherited = key if _YAML_KEYS.search(key) and not isinstance(inner, dict) else str(name)
            yield from _of_document(inner, folder, variables, inherited)
    elif isinstance(value, list):
        for inner in value:
            yield from _of_document(inner, folder, variables, key)
    elif isinstance(value, str):
        if value.startswith("env:"):
            yield variables.get(value[4:], "")
        elif value.startswith("file:"):
            yield _read(folder / value[5:]).strip()
        elif _YAML_KEYS.search(key):
            yield value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _forms(secret: str) -> set[str]:
    """A secret as texts, URLs and JSON write it."""
    texts = {secret, unquote(secret)}
    return texts | {quote(text, safe="") for text in texts} | {json.dumps(text)[1:-1] for text in texts}
