"""`andon verify`: reads questions about series of weekly values, and answers each by its module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple

from services.cli.console import printable
from services.cli.event_files import BYTE_ORDER_MARK, FileError, opened
from shared.flow.statistics import questions
from shared.flow.statistics.questions.fields import QuestionError, refusal
from shared.flow.statistics.questions.reading import exact, parse

_DEFAULT = "verification"
_EXPECTED = "name a file with one question as JSON, or a list of them"


class VerifyAnswer(NamedTuple):
    """The answer, or the list of answers; and one line for each question that has none."""

    document: Any
    faults: list[str]


def verify(path: str) -> VerifyAnswer:
    """Answer one question, or a list of them: a question of a list that is refused has its error in its place.

    Raises FileError where the file cannot be read, QuestionError where it is no JSON or its only question is refused.
    """
    document = parse(_text(path))
    if not isinstance(document, list):
        return VerifyAnswer(answer(document), [])
    answers, faults = [], []
    for number, question in enumerate(document):
        try:
            answers.append(answer(question))
        except QuestionError as error:
            answers.append({"error": printable(str(error))})
            faults.append(f"question {number}: {error}")
    return VerifyAnswer(answers, faults)


def answer(document: object) -> dict[str, Any]:
    """The answer to one question of a parsed document. Raises QuestionError."""
    question = exact(document)
    ask = question.get("ask") or _DEFAULT
    if not isinstance(ask, str) or ask not in _answers():
        raise refusal("ask", ask, f"write one of {', '.join(_answers())}")
    return _answers()[ask](question)


@cache
def _answers() -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
    """The function that answers each question, by the question's name: that of its module."""
    names = sorted(module.name for module in iter_modules(questions.__path__))
    modules = {name: import_module(f"{questions.__name__}.{name}") for name in names}
    return {name: module.answer for name, module in modules.items() if hasattr(module, "answer")}


def _text(path: str) -> str:
    with opened(path, _EXPECTED) as file:
        content = file.read()
    try:
        return content.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
