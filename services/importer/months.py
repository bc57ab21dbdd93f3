"""Names of months in several languages. Never guesses one that means different months."""

from __future__ import annotations

from enum import StrEnum


class MonthNames(StrEnum):
    """Whose names of months: Polish and Croatian share words for different ones."""

    POLISH = "polish"
    CROATIAN = "croatian"


# The names of January to December without accents: English, German, French, Spanish, Dutch, Portuguese, Italian,
# Swedish, Norwegian, Danish and Polish (also in the genitive). The first three letters of one are an abbreviation.
_MONTHS = (
    "january januar janner janvier enero januari janeiro gennaio januar styczen stycznia",
    "february februar feber fevrier febrero februari fevereiro febbraio luty lutego",
    "march marz mars marzo maart marco marts marzec marca mrz mrt",
    "april avril abril aprile kwiecien kwietnia",
    "may mai mayo mei maio maggio maj maja",
    "june juni juin junio junho giugno czerwiec czerwca",
    "july juli juillet julio julho luglio lipiec lipca",
    "august aout agosto augustus augusti sierpien sierpnia",
    "september septembre septiembre setiembre setembro settembre wrzesien wrzesnia",
    "october oktober octobre octubre outubro ottobre pazdziernik pazdziernika",
    "november novembre noviembre novembro listopad listopada",
    "december dezember decembre diciembre dezembro dicembre desember grudzien grudnia",
)
_POLISH = frozenset(
    [
        "styczen",
        "stycznia",
        "luty",
        "lutego",
        "marzec",
        "marca",
        "kwiecien",
        "kwietnia",
        "maja",
        "czerwiec",
        "czerwca",
        "lipiec",
        "lipca",
        "sierpien",
        "sierpnia",
        "wrzesien",
        "wrzesnia",
        "pazdziernik",
        "pazdziernika",
        "grudzien",
        "grudnia",
    ]
)
_CROATIAN = (
    "sijecanj sijecnja",
    "veljaca veljace",
    "ozujak ozujka",
    "travanj travnja",
    "svibanj svibnja",
    "lipanj lipnja",
    "srpanj srpnja",
    "kolovoz kolovoza",
    "rujan rujna",
    "listopad listopada",
    "studeni studenoga studenog",
    "prosinac prosinca",
)


class MonthFault(Exception):
    """A word is no month, or may be several; the message says which."""


def month_of(word: str, names: MonthNames | None) -> int:
    """The number of a month, 1 to 12, by its name without accents or an abbreviation of at least three letters.

    Raises MonthFault. Without `names` a word that Polish and Croatian share is ambiguous, and only Croatian names are
    unknown.
    """
    polish, croatian = _found(word, _MONTHS), _found(word, _CROATIAN)
    if names is not None:
        found = croatian or polish if names is MonthNames.CROATIAN else polish
    else:
        found = polish | croatian if polish else frozenset()
    if not found:
        raise MonthFault(f"has an unknown month ({word}); write dates as 2026-03-31")
    if len(found) > 1:
        either = " or ".join(_MONTHS[number - 1].split()[0].capitalize() for number in sorted(found))
        way_out = "set months in the mapping: polish or croatian" if croatian else "write dates as 2026-03-31"
        raise MonthFault(f"has a month that can be {either} ({word}); {way_out}")
    return next(iter(found))


def names_fitting(word: str) -> frozenset[MonthNames]:
    """Whose word for a month this is, of these two; none where it is of another language."""
    croatian, lower = _found(word, _CROATIAN), word.lower()
    found = {MonthNames.CROATIAN} if croatian else set()
    if lower in _POLISH or (croatian and _found(word, _MONTHS)):
        found.add(MonthNames.POLISH)
    return frozenset(found)


def _found(word: str, months: tuple[str, ...]) -> frozenset[int]:
    lower = word.lower()
    return frozenset(
        number for number, names in enumerate(months, 1) if any(name.startswith(lower) for name in names.split())
    )
