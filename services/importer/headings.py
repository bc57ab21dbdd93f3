"""What CRMs call their columns in exports: HubSpot, Pipedrive, Salesforce, Zoho, Dynamics 365 and others, in English,
German, French, Spanish, Dutch and Portuguese. Names are compared as `plain` gives them.
"""

from __future__ import annotations

import re

from services.importer.dates import unaccented

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9]+")


def plain(name: str) -> str:
    """`Deal - Last_stageChange (Größe)` gives `deal last stage change grosse`: lower case, no accents, no signs."""
    spaced = _CAMEL.sub(" ", unaccented(name.replace("ß", "ss")))
    return _OTHER.sub(" ", spaced.casefold()).strip()


# The better name of two stands first. What stands before a name in some exports is taken off: see `_BEFORE`.
FIELDS: dict[str, tuple[str, ...]] = {
    "deal": (
        "record id", "deal id", "opportunity id", "opportunityid", "potential id", "do not modify opportunity",
        "hs object id", "deal record id", "datensatz id", "deal nummer", "verkaufschance",
        "id de la fiche d informations", "id de l enregistrement", "id de la transaction", "id transaction",
        "id opportunite", "id del registro", "id de registro", "id del negocio", "id de negocio",
        "id de oportunidad", "id do registro", "id do negocio", "id da oportunidade", "record nummer",
        "18 digit id", "case id", "incident", "ticket id", "id",
    ),
    "name": (
        "deal name", "opportunity name", "name", "title", "topic", "potential name", "dealname", "deal titel",
        "titel", "thema", "name der opportunity", "geschaftsname", "nom de la transaction",
        "nom de l opportunite", "nom", "titre", "nombre del negocio", "nombre de la oportunidad", "nombre",
        "titulo", "dealnaam", "naam van deal", "naam", "nome do negocio", "nome da oportunidade", "nome",
    ),
    "stage": (
        "to stage", "new stage", "deal stage", "dealstage", "stage", "stage name", "sales stage",
        "pipeline stage", "pipeline phase", "deal phase", "dealphase", "phase", "verkaufsphase",
        "vertriebsphase", "stufe", "lead status", "phase de la transaction", "etape", "etape de la transaction",
        "etape de vente", "etapa del negocio", "etapa de negocio", "etapa de ventas", "etapa", "fase",
        "fase del negocio", "dealfase", "verkoopfase", "etapa do negocio", "fase do negocio", "status",
        "statut", "estado", "stadium",
    ),
    "time": (
        "stage change date", "changed at", "change date", "time", "timestamp", "occurred at", "date entered",
        "entered at", "last modified", "edit date", "modified time", "geandert am", "zeitpunkt", "zeitstempel",
        "datum", "date", "date de modification", "modifie le", "fecha", "fecha de modificacion", "tijdstip",
        "gewijzigd op", "data",
    ),
    "created": (
        "create date", "created", "created date", "created time", "created on", "created at", "createdate",
        "createdon",
        "deal created", "add time", "date created", "date added", "creation date", "erstellungsdatum",
        "erstelldatum", "erstellt am", "angelegt am", "date de creation", "cree le", "fecha de creacion",
        "creado el", "aanmaakdatum", "gemaakt op", "aangemaakt op", "data de criacao", "criado em",
        "engage date",
    ),
    "closed": (
        "actual close date", "deal closed on", "closed", "closed date", "close date", "closing date", "closedate",
        "closed on", "closed at", "close time", "date closed", "abschlussdatum", "tatsachliches abschlussdatum",
        "schlusstermin", "geschlossen am", "date de fermeture", "date de cloture", "cloture le",
        "fecha de cierre", "cerrado el", "sluitingsdatum", "afsluitdatum", "gesloten op", "data de fechamento",
        "fechado em", "est close date", "expected close date", "erwartetes abschlussdatum",
    ),
    "entered": (
        "date entered current stage", "last stage change date", "last stage change", "stage change time",
        "stage modified time", "date entered stage", "entered stage at", "stage entered", "stage since",
        "letzte phasenanderung", "in phase seit", "eintrittsdatum der aktuellen phase",
        "dernier changement d etape", "ultimo cambio de etapa", "laatste fasewijziging",
        "ultima mudanca de etapa",
    ),
    "modified": (
        "last modified date", "last modified", "modified on", "modified time", "update time", "updated at",
        "last updated", "modifiedon", "datum der letzten anderung", "geandert am", "zuletzt geandert",
        "date de la derniere modification", "modifie le", "fecha de la ultima modificacion", "modificado el",
        "datum laatste wijziging", "gewijzigd op", "data da ultima modificacao", "modificado em",
    ),
    "outcome": (
        "deal status", "opportunity status", "status", "is closed won", "is won", "won", "outcome", "result",
        "state", "statecode", "ergebnis", "resultat", "statut", "resultado", "estado", "situacao",
    ),
    "pipeline": (
        "pipeline", "pipeline name", "deal pipeline", "sales process", "vertriebspipeline", "pijplijn", "funil",
    ),
    "amount": (
        "amount", "value", "deal value", "deal amount", "actual revenue", "actual value", "close value",
        "est revenue", "estimated value", "total value", "betrag", "wert", "deal wert", "umsatz", "montant",
        "valeur", "montant de la transaction", "importe", "valor", "monto", "cantidad", "bedrag", "waarde",
        "dealwaarde", "quantia", "montante",
    ),
    "currency": (
        "currency", "deal currency", "deal currency code", "amount currency", "opportunity currency",
        "currency of value", "currency code", "currency iso code", "waehrung", "wahrung", "devise", "monnaie",
        "moneda", "divisa", "valuta", "moeda",
    ),
    "reason": (
        "lost reason", "closed lost reason", "loss reason", "reason for loss", "status reason", "verlustgrund",
        "grund fur verlust", "raison de la perte", "motif de perte", "motivo de perdida", "verliesreden",
        "reden verlies", "motivo da perda",
    ),
}  # fmt: skip
_BEFORE = ("deal ", "opportunity ", "potential ", "hs ", "opp ")
# Words by which a column holds a person. It is never read.
PEOPLE = frozenset((
    "owner", "agent", "rep", "seller", "salesperson", "assignee", "assigned", "by", "manager", "resource",
    "user", "besitzer", "eigentumer", "inhaber", "verantwortlicher", "verantwortliche", "zustandiger",
    "betreuer", "vertriebsmitarbeiter", "mitarbeiter", "benutzer", "proprietaire", "responsable", "commercial",
    "vendeur", "propietario", "vendedor", "comercial", "eigenaar", "verkoper", "toegewezen", "proprietario",
    "responsavel",
))  # fmt: skip
# How the date of a stage is headed; what is left is the stage.
STAGE_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"^(?:hs )?(?:v2 )?(?:date|time) entered[\s:]*[\"“„]?(?P<stage>.+?)[\"”“]?$",
        r"^(?:entered|entry date|date of entry)[\s:]*(?:in(?:to)? )?[\"“„]?(?P<stage>.+?)[\"”“]?$",
        r"^(?P<stage>.+?)[\s_-]+(?:entered(?:[\s_-]at|[\s_-]on|[\s_-]date)?|entry date|start date|since)$",
        r"^(?:eintritt(?:sdatum)?|datum des eintritts|eingetreten)[\s:]*(?:in )?[\"“„]?(?P<stage>.+?)[\"”“]?$",
        r"^date d['\u2019]entrée[\s:]*(?:dans|en)?[\s:]*[\"“„«]?\s*(?P<stage>.+?)\s*[\"”“»]?$",
        r"^fecha de (?:entrada|ingreso)[\s:]*(?:en|a)?[\s:]*[\"“„«]?(?P<stage>.+?)[\"”“»]?$",
        r"^(?:datum van binnenkomst|datum ingegaan|binnengekomen)[\s:]*(?:in )?[\"“„]?(?P<stage>.+?)[\"”“]?$",
        r"^data de entrada[\s:]*(?:em|na|no)?[\s:]*[\"“„]?(?P<stage>.+?)[\"”“]?$",
        r"^(?P<stage>.+?)[\s_-]+(?:date|datum|fecha|data)$",
        r"^(?:date|datum|fecha|data)[\s:_-]+(?P<stage>.+)$",
    )
)
WON = frozenset(("won", "gewonnen", "gagne", "gagnee", "ganado", "ganada", "ganho", "ganha"))
LOST = frozenset(("lost", "verloren", "perdu", "perdue", "perdido", "perdida"))
YES = frozenset(("true", "yes", "1", "wahr", "ja", "oui", "si", "sim", "verdadero", "vrai"))


def rank(field: str, name: str) -> int | None:
    """How well a column's name fits a field, 0 being the best; None where it does not."""
    known = FIELDS[field]
    found = plain(name)
    shorter = [found] + [found.removeprefix(before) for before in _BEFORE if found.startswith(before)]
    places = [known.index(one) for one in shorter if one in known]
    return min(places, default=None)


def is_person(name: str) -> bool:
    """Whether a column's name says that it holds a person."""
    return not PEOPLE.isdisjoint(plain(name).split())
