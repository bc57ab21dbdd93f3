"""What CRMs call their columns in exports: HubSpot, Pipedrive, Salesforce, Zoho, Dynamics 365 and others, in English,
German, French, Spanish, Dutch and Portuguese. Names are compared in the form that `plain` gives them.
"""

from __future__ import annotations

import re

from services.importer.dates import without_accents

_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


def plain(name: str) -> str:
    """`Deal - Last_stageChange (Größe)` gives `deal last stage change grosse`: lower case, no accents, no signs."""
    spaced = _CAMEL_CASE.sub(" ", without_accents(name.replace("ß", "ss")))
    return _NOT_WORD.sub(" ", spaced.casefold()).strip()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split("|"))


# The names of each field's column, the better one first; a prefix of `_PREFIXES` may stand before each.
NAMES: dict[str, tuple[str, ...]] = {
    "deal": _names(
        """
        record id | deal id | opportunity id | opportunityid | potential id | do not modify opportunity |
        hs object id | deal record id | datensatz id | deal nummer | verkaufschance |
        id de la fiche d informations | id de l enregistrement | id de la transaction | id transaction |
        id opportunite | id del registro | id de registro | id del negocio | id de negocio | id de oportunidad |
        id do registro | id do negocio | id da oportunidade | record nummer | 18 digit id | case id | incident |
        ticket id | issue key | id
        """
    ),
    "name": _names(
        """
        deal name | opportunity name | name | title | topic | potential name | dealname | deal titel | titel |
        thema | name der opportunity | geschaftsname | nom de la transaction | nom de l opportunite | nom |
        titre | nombre del negocio | nombre de la oportunidad | nombre | titulo | dealnaam | naam van deal |
        naam | nome do negocio | nome da oportunidade | nome
        """
    ),
    "stage": _names(
        """
        to stage | new stage | deal stage | dealstage | stage | stage name | sales stage | pipeline stage |
        pipeline phase | deal phase | dealphase | phase | verkaufsphase | vertriebsphase | stufe | lead status |
        phase de la transaction | etape | etape de la transaction | etape de vente | etapa del negocio |
        etapa de negocio | etapa de ventas | etapa | fase | fase del negocio | dealfase | verkoopfase |
        etapa do negocio | fase do negocio | status | statut | estado | stadium
        """
    ),
    "time": _names(
        """
        stage change date | changed at | change date | time | timestamp | occurred at | date entered |
        entered at | last modified | edit date | modified time | geandert am | zeitpunkt | zeitstempel | datum |
        date | date de modification | modifie le | fecha | fecha de modificacion | tijdstip | gewijzigd op |
        data
        """
    ),
    "created": _names(
        """
        create date | created | created date | created time | created on | created at | createdate | createdon |
        deal created | add time | date created | date added | creation date | erstellungsdatum | erstelldatum |
        erstellt am | angelegt am | date de creation | cree le | fecha de creacion | creado el | aanmaakdatum |
        gemaakt op | aangemaakt op | data de criacao | criado em | engage date
        """
    ),
    "closed": _names(
        """
        actual close date | deal closed on | closed | closed date | close date | closing date | closedate |
        closed on | closed at | close time | date closed | abschlussdatum | tatsachliches abschlussdatum |
        schlusstermin | geschlossen am | date de fermeture | date de cloture | cloture le | fecha de cierre |
        cerrado el | sluitingsdatum | afsluitdatum | gesloten op | data de fechamento | fechado em |
        resolved | resolved at | resolution date
        """
    ),
    "won_at": _names(
        """
        won time | won date | won on | won at | date won | gewonnen am | gewonnen zeit | gagne le | fecha de ganado |
        ganado el | gewonnen op | data de ganho | ganho em
        """
    ),
    "lost_at": _names(
        """
        lost time | lost date | lost on | lost at | date lost | verloren am | verloren zeit | perdu le |
        fecha de perdida | perdido el | verloren op | data de perda | perdido em
        """
    ),
    "expected": _names(
        """
        est close date | expected close date | expected closing date | estimated close date | forecast close date |
        erwartetes abschlussdatum | voraussichtliches abschlussdatum | date de cloture prevue |
        fecha de cierre prevista | fecha prevista de cierre | verwachte sluitingsdatum | verwachte afsluitdatum |
        data prevista de fechamento
        """
    ),
    "entered": _names(
        """
        date entered current stage | date entered | entered date | entered at | entered on |
        last stage change date | last stage change | stage change time |
        stage modified time | date entered stage | entered stage at | stage entered | stage since |
        letzte phasenanderung | in phase seit | eintrittsdatum der aktuellen phase |
        dernier changement d etape | ultimo cambio de etapa | laatste fasewijziging | ultima mudanca de etapa
        """
    ),
    "modified": _names(
        """
        last modified date | last modified | modified on | modified time | update time | updated at |
        last updated | modifiedon | datum der letzten anderung | geandert am | zuletzt geandert |
        date de la derniere modification | modifie le | fecha de la ultima modificacion | modificado el |
        datum laatste wijziging | gewijzigd op | data da ultima modificacao | modificado em
        """
    ),
    "outcome": _names(
        """
        deal status | opportunity status | status | is closed won | is won | won | outcome | result | state |
        statecode | ergebnis | resultat | statut | resultado | estado | situacao
        """
    ),
    "pipeline": _names(
        """
        pipeline | pipeline name | deal pipeline | sales process | vertriebspipeline | pijplijn | funil
        """
    ),
    "amount": _names(
        """
        amount | value | deal value | deal amount | actual revenue | actual value | close value | est revenue |
        estimated value | total value | betrag | wert | deal wert | umsatz | montant | valeur |
        montant de la transaction | importe | valor | monto | cantidad | bedrag | waarde | dealwaarde |
        quantia | montante
        """
    ),
    "currency": _names(
        """
        currency | deal currency | deal currency code | amount currency | opportunity currency |
        currency of value | currency code | currency iso code | waehrung | wahrung | devise | monnaie | moneda |
        divisa | valuta | moeda
        """
    ),
    "reason": _names(
        """
        lost reason | closed lost reason | loss reason | reason for loss | status reason | verlustgrund |
        grund fur verlust | raison de la perte | motif de perte | motivo de perdida | verliesreden |
        reden verlies | motivo da perda
        """
    ),
}
_PREFIXES = ("deal ", "opportunity ", "potential ", "hs ", "opp ")
# A column whose name has one of these words holds a person. It is never read.
PEOPLE = frozenset(
    _names(
        """
        owner | agent | rep | seller | salesperson | assignee | assigned | by | manager | resource | user |
        besitzer | eigentumer | inhaber | verantwortlicher | verantwortliche | zustandiger | betreuer |
        vertriebsmitarbeiter | mitarbeiter | benutzer | proprietaire | responsable | commercial | vendeur |
        propietario | vendedor | comercial | eigenaar | verkoper | toegewezen | proprietario | responsavel
        """
    )
)
# Names of columns that hold the date of a stage.
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
# Words that may stand beside won or lost without changing what is meant.
CLOSING_FILLERS = frozenset(
    _names(
        """
        closed | close | deal | opportunity | status | and | as | is | geschlossen | abgeschlossen | und | auftrag |
        verkauf | cerrado | cerrada | cierre | negocio | y | ferme | fermee | conclu | conclue | cloture | et |
        transaction | affaire | gesloten | afgesloten | en | fechado | fechada | e
        """
    )
)
# Stages that a date column's name never means.
DATE_WORDS = frozenset(
    _names("date | time | datum | fecha | data | day | stage | deal | current stage | last | first | phase | hs | is")
)
YES = frozenset(("true", "yes", "1", "wahr", "ja", "oui", "si", "sim", "verdadero", "vrai"))


def rank(field: str, name: str) -> int | None:
    """How well a column's name fits a field: 0 is best, None is not at all."""
    found = plain(name)
    candidates = {found, *(found.removeprefix(prefix) for prefix in _PREFIXES if found.startswith(prefix))}
    # Heads in upper case do not show where a word ends.
    joined = {one.replace(" ", "") for one in candidates}
    known = NAMES[field]
    exact = min((known.index(one) for one in candidates if one in known), default=None)
    if exact is not None:
        return exact
    return next((number for number, one in enumerate(known) if one.replace(" ", "") in joined), None)


def is_person(name: str) -> bool:
    """Whether a column, by its name, holds a person."""
    return not PEOPLE.isdisjoint(plain(name).split())


def says_outcome(word: str, known: frozenset[str]) -> bool:
    """Whether the whole phrase means it: `3. Closed Won (Enterprise)` does, `Closed Not Won` does not."""
    bare = word.rpartition(" (")[0] if word.endswith(")") and " (" in word else word
    rest = {one for one in plain(bare).split() if one not in CLOSING_FILLERS and not one.isdigit()}
    return bool(rest) and rest <= known


def mentions_outcome(word: str) -> bool:
    """Whether some word of it means won or lost."""
    return not (WON | LOST).isdisjoint(plain(word).split())
