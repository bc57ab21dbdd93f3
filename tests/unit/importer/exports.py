"""Exports of real CRMs: column names as their users get them, in six languages, and the columns of each field."""

from __future__ import annotations

from typing import Any

from services.importer.sample import Sample
from shared.policy import parse

POLICY = parse("""
version: 1
timezone: Europe/Berlin
pipelines:
  default:
    name: Sales Pipeline
    owner: {name: Head, mail: head@sales.example}
    stages:
      - {id: appointmentscheduled, name: Appointment Scheduled}
      - {id: contractsent, name: Contract Sent}
      - {id: closedwon, name: Closed Won, outcome: won}
      - {id: closedlost, name: Closed Lost, outcome: lost}
""")


def sample(head: list[str], *rows: list[Any]) -> Sample:
    return Sample(head, rows)


EXPORTS: dict[str, tuple[list[str], list[list[Any]], dict[str, str]]] = {
    "HubSpot": (
        [
            "Record ID",
            "Deal Name",
            "Deal Stage",
            "Pipeline",
            "Amount",
            "Currency",
            "Create Date",
            "Close Date",
            "Deal owner",
            "Last Modified Date",
            "Closed Lost Reason",
            "Associated Company",
        ],
        [
            [
                "21840000001",
                "Alder",
                "Contract Sent",
                "Sales Pipeline",
                "1200.50",
                "EUR",
                "2026-03-02 09:15",
                "2026-05-31 00:00",
                "A B",
                "2026-03-04 10:00",
                "",
                "X",
            ],
            [
                "21840000002",
                "Birch",
                "Closed Won",
                "Sales Pipeline",
                "900",
                "EUR",
                "2026-02-02 09:15",
                "2026-03-01 12:00",
                "A B",
                "2026-03-04 10:00",
                "",
                "X",
            ],
        ],
        {
            "deal": "Record ID",
            "name": "Deal Name",
            "stage": "Deal Stage",
            "pipeline": "Pipeline",
            "amount": "Amount",
            "currency": "Currency",
            "created": "Create Date",
            "closed": "Close Date",
            "modified": "Last Modified Date",
            "reason": "Closed Lost Reason",
        },
    ),
    "Pipedrive": (
        [
            "Deal - ID",
            "Deal - Title",
            "Deal - Owner",
            "Deal - Value",
            "Deal - Currency of Value",
            "Deal - Stage",
            "Deal - Pipeline",
            "Deal - Status",
            "Deal - Deal created",
            "Deal - Update time",
            "Deal - Last stage change",
            "Deal - Deal closed on",
            "Deal - Lost reason",
            "Deal - Expected close date",
        ],
        [
            [
                "1",
                "Alder",
                "A B",
                "1,200",
                "EUR",
                "Qualified",
                "Pipeline",
                "Won",
                "2026-03-02 09:15:00",
                "2026-03-09 09:15:00",
                "2026-03-05 09:15:00",
                "2026-03-09 09:15:00",
                "",
                "",
            ],
            [
                "2",
                "Birch",
                "A B",
                "900",
                "EUR",
                "Demo",
                "Pipeline",
                "Open",
                "2026-03-02 09:15:00",
                "2026-03-09 09:15:00",
                "2026-03-05 09:15:00",
                "",
                "",
                "2026-06-01",
            ],
        ],
        {
            "deal": "Deal - ID",
            "name": "Deal - Title",
            "stage": "Deal - Stage",
            "pipeline": "Deal - Pipeline",
            "amount": "Deal - Value",
            "currency": "Deal - Currency of Value",
            "created": "Deal - Deal created",
            "closed": "Deal - Deal closed on",
            "entered": "Deal - Last stage change",
            "modified": "Deal - Update time",
            "outcome": "Deal - Status",
            "reason": "Deal - Lost reason",
        },
    ),
    "Salesforce": (
        [
            "Opportunity ID",
            "Opportunity Name",
            "Stage",
            "Amount",
            "Close Date",
            "Created Date",
            "Last Stage Change Date",
            "Opportunity Owner",
            "Probability (%)",
        ],
        [
            ["006A", "Alder", "Prospecting", "USD 1,200.00", "3/31/2026", "3/2/2026", "3/5/2026", "A B", "10"],
            ["006B", "Birch", "Closed Lost", "USD 900.00", "3/14/2026", "2/2/2026", "3/14/2026", "A B", "0"],
        ],
        {
            "deal": "Opportunity ID",
            "name": "Opportunity Name",
            "stage": "Stage",
            "amount": "Amount",
            "closed": "Close Date",
            "created": "Created Date",
            "entered": "Last Stage Change Date",
        },
    ),
    "Zoho": (
        [
            "Record Id",
            "Deal Name",
            "Deal Owner",
            "Stage",
            "Amount",
            "Closing Date",
            "Created Time",
            "Modified Time",
            "Pipeline",
        ],
        [
            [
                "zcrm_1",
                "Alder",
                "A B",
                "Qualification",
                "1200",
                "2026-03-31",
                "2026-03-02 09:15:00",
                "2026-03-09 09:15:00",
                "Standard",
            ],
            [
                "zcrm_2",
                "Birch",
                "A B",
                "Closed Won",
                "900",
                "2026-03-14",
                "2026-02-02 09:15:00",
                "2026-03-14 09:15:00",
                "Standard",
            ],
        ],
        {
            "deal": "Record Id",
            "name": "Deal Name",
            "stage": "Stage",
            "amount": "Amount",
            "closed": "Closing Date",
            "created": "Created Time",
            "modified": "Modified Time",
            "pipeline": "Pipeline",
        },
    ),
    "Dynamics 365": (
        [
            "(Do Not Modify) Opportunity",
            "Topic",
            "Est. revenue",
            "Actual Close Date",
            "Created On",
            "Modified On",
            "Owner",
            "Status",
            "Pipeline Phase",
            "Status Reason",
        ],
        [
            [
                "6b1c-1",
                "Alder",
                "€1,200.00",
                "",
                "3/2/2026 9:15 AM",
                "3/9/2026 9:15 AM",
                "A B",
                "Open",
                "2-Develop",
                "In Progress",
            ],
            [
                "6b1c-2",
                "Birch",
                "€900.00",
                "3/14/2026",
                "2/20/2026 9:15 AM",
                "3/14/2026 9:15 PM",
                "A B",
                "Won",
                "4-Close",
                "Won",
            ],
        ],
        {
            "deal": "(Do Not Modify) Opportunity",
            "name": "Topic",
            "amount": "Est. revenue",
            "closed": "Actual Close Date",
            "created": "Created On",
            "modified": "Modified On",
            "outcome": "Status",
            "stage": "Pipeline Phase",
            "reason": "Status Reason",
        },
    ),
    "German": (
        [
            "Datensatz-ID",
            "Deal-Name",
            "Deal-Phase",
            "Betrag",
            "Währung",
            "Erstellungsdatum",
            "Abschlussdatum",
            "Zuständiger Mitarbeiter",
        ],
        [
            ["1", "Alder", "Angebot", "1.200,50", "EUR", "02.03.2026 09:15", "31.03.2026", "A B"],
            ["2", "Birch", "Gewonnen", "900", "EUR", "02.02.2026 09:15", "14.03.2026", "A B"],
            ["3", "Cedar", "Verloren", "900", "EUR", "02.02.2026 09:15", "14.03.2026", "A B"],
        ],
        {
            "deal": "Datensatz-ID",
            "name": "Deal-Name",
            "stage": "Deal-Phase",
            "amount": "Betrag",
            "currency": "Währung",
            "created": "Erstellungsdatum",
            "closed": "Abschlussdatum",
        },
    ),
    "French": (
        [
            "ID de la transaction",
            "Nom de la transaction",
            "Phase de la transaction",
            "Montant",
            "Date de création",
            "Date de fermeture",
            "Propriétaire de la transaction",
        ],
        [
            ["1", "Alder", "Proposition", "1 200,50 €", "02/03/2026", "31/03/2026", "A B"],
            ["2", "Birch", "Fermé gagné", "900 €", "02/02/2026", "14/03/2026", "A B"],
            ["3", "Cedar", "Fermé perdu", "900 €", "02/02/2026", "14/03/2026", "A B"],
        ],
        {
            "deal": "ID de la transaction",
            "name": "Nom de la transaction",
            "stage": "Phase de la transaction",
            "amount": "Montant",
            "created": "Date de création",
            "closed": "Date de fermeture",
        },
    ),
    "Spanish": (
        [
            "ID de registro",
            "Nombre del negocio",
            "Etapa del negocio",
            "Valor",
            "Fecha de creación",
            "Fecha de cierre",
            "Propietario del negocio",
        ],
        [
            ["1", "Alder", "Propuesta", "1.200,50", "02/03/2026", "31/03/2026", "A B"],
            ["2", "Birch", "Cierre ganado", "900", "02/02/2026", "14/03/2026", "A B"],
        ],
        {
            "deal": "ID de registro",
            "name": "Nombre del negocio",
            "stage": "Etapa del negocio",
            "amount": "Valor",
            "created": "Fecha de creación",
            "closed": "Fecha de cierre",
        },
    ),
    "Dutch": (
        ["Record-ID", "Dealnaam", "Dealfase", "Bedrag", "Aanmaakdatum", "Sluitingsdatum", "Eigenaar van deal"],
        [
            ["1", "Alder", "Offerte", "1.200,50", "02-03-2026", "31-03-2026", "A B"],
            ["2", "Birch", "Gewonnen", "900", "02-02-2026", "14-03-2026", "A B"],
        ],
        {
            "deal": "Record-ID",
            "name": "Dealnaam",
            "stage": "Dealfase",
            "amount": "Bedrag",
            "created": "Aanmaakdatum",
            "closed": "Sluitingsdatum",
        },
    ),
    "Portuguese": (
        [
            "ID do negócio",
            "Nome do negócio",
            "Etapa do negócio",
            "Valor",
            "Data de criação",
            "Data de fechamento",
            "Proprietário do negócio",
        ],
        [
            ["1", "Alder", "Proposta", "1.200,50", "02/03/2026", "31/03/2026", "A B"],
            ["2", "Birch", "Fechado ganho", "900", "02/02/2026", "14/03/2026", "A B"],
        ],
        {
            "deal": "ID do negócio",
            "name": "Nome do negócio",
            "stage": "Etapa do negócio",
            "amount": "Valor",
            "created": "Data de criação",
            "closed": "Data de fechamento",
        },
    ),
}
