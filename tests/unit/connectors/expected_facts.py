"""What each CRM's samples give: kind, file, and the facts in short (type, deal, time, data)."""

from __future__ import annotations

from typing import Any

from tests.support.webhooks import SAMPLES_RECEIVED_AT as NOW

PIPEDRIVE = {
    "pipeline": "1",
    "name": "Müller & Söhne – Erweiterung",
    "amount": "48500",
    "currency": "EUR",
    "expected_close": "2026-04-30",
    "reason": None,
    "url": "https://acme-sandbox.pipedrive.com/deal/801",
}
SINCE = {n: f"2026-03-{n:02}T0{h}:{m}:00.000000Z" for n, h, m in ((2, 8, "15"), (10, 9, "00"))} | {
    5: "2026-03-05T10:00:00.000000Z"
}
CLOSE_DEAL = "oppo_FlowSampleOppo0000000000000000000000000001"
DYNAMICS, TWENTY_DEAL = "76b780d9-e97c-5fad-86bf-d7b3f480cc4a", "4b5c6d7e-8f90-4123-a456-789abcdef012"
TWENTY_DATA = {
    "name": "Müller & Söhne – Erweiterung",
    "expected_close": "2026-04-30",
    "amount": "48500",
    "currency": "EUR",
}
STAGE = {"pipeline": "1", "stage": "3", "name": "Proposal"}
ODOO = {"stage": "3", "name": "Müller & Söhne", "amount": "48500.0"}
ODOO_CAPTURED = {
    "pipeline": "1",
    "name": "Müller & Söhne – Erweiterung",
    "amount": "48500.0",
    "expected_close": "2026-12-31",
}
EXPECTED: list[tuple[str, str, list[Any]]] = [
    (
        "pipedrive",
        "pipedrive-v2-deal-create.json",
        [
            ("created", "801", "2026-03-02T08:15:00.412000+00:00", {**PIPEDRIVE, "stage": "1", "entered_at": SINCE[2]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-deal-change-stage.json",
        [
            ("moved", "801", "2026-03-10T09:00:00.724000+00:00", {**PIPEDRIVE, "stage": "3", "entered_at": SINCE[10]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-deal-change-won.json",
        [
            ("won", "801", "2026-03-11T14:00:00.101000+00:00", {**PIPEDRIVE, "stage": "3", "entered_at": SINCE[10]}),
        ],
    ),
    ("pipedrive", "pipedrive-v2-deal-delete.json", [("deleted", "801", "2026-03-12T08:00:00.010000+00:00", {})]),
    (
        "pipedrive",
        "pipedrive-v2-deal-merge-delete.json",
        [
            ("merged", "802", "2026-03-12T09:00:00.020000+00:00", {"into": "crm:801"}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-activity-create.json",
        [
            ("touched", "801", "2026-03-10T11:00:00.461000+00:00", {"activity": "call"}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v1-deal-added.json",
        [
            ("created", "801", "2026-03-02T08:15:00.000509+00:00", {**PIPEDRIVE, "stage": "1", "entered_at": SINCE[2]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v1-deal-updated-stage.json",
        [
            ("moved", "801", "2026-03-10T09:00:00.000509+00:00", {**PIPEDRIVE, "stage": "3", "entered_at": SINCE[10]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v1-deal-updated-won.json",
        [
            ("won", "801", "2026-03-11T14:00:00.000509+00:00", {**PIPEDRIVE, "stage": "2", "entered_at": SINCE[5]}),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-stage-change.json",
        [
            ("described", "2026-03-10T09:30:00.512000+00:00", {**STAGE, "order": 2, "probability": 0.6}, False),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v2-pipeline-create.json",
        [
            ("described", "2026-03-10T09:40:00.112000+00:00", {"pipeline": "2", "pipeline_name": "Renewals"}, False),
        ],
    ),
    (
        "pipedrive",
        "pipedrive-v1-stage-updated.json",
        [
            (
                "described",
                "2026-03-10T09:30:00.000509+00:00",
                {
                    **STAGE,
                    "order": 2,
                    "probability": 0.6,
                    "pipeline_name": "Pipeline",
                },
                False,
            ),
        ],
    ),
    ("pipedrive", "pipedrive-v1-deal-deleted.json", [("deleted", "801", "2026-03-12T16:33:20.000509+00:00", {})]),
    (
        "close",
        "close-opportunity-created.json",
        [
            (
                "created",
                CLOSE_DEAL,
                "2026-03-02T08:15:00.395000+00:00",
                {
                    "stage": "stat_FlowSampleProposal000000000000000000000001",
                    "amount": "48500.00",
                    "currency": "EUR",
                    "name": "Müller & Söhne",
                    "expected_close": None,
                    "url": "https://app.close.com/lead/lead_FlowSampleLead0000000000000000000000000001/",
                },
            ),
            (
                "described",
                "2026-03-02T08:15:00.395000+00:00",
                {
                    "stage": "stat_FlowSampleProposal000000000000000000000001",
                    "name": "New",
                    "outcome": "open",
                },
                True,
            ),
        ],
    ),
    ("close", "close-opportunity-deleted.json", [("deleted", CLOSE_DEAL, "2026-03-12T08:00:00.395000+00:00", {})]),
    (
        "salesforce",
        "salesforce-outbound-opportunity.xml",
        [
            (
                "moved",
                "0065g00000XyZ01AAF",
                "2026-03-10T09:00:01+00:00",
                {
                    "stage": "Proposal/Price Quote",
                    "name": "Müller & Söhne – Erweiterung",
                    "amount": "48500.0",
                    "expected_close": "2026-04-30",
                    "url": "https://example-org.my.salesforce.com/0065g00000XyZ01AAF",
                },
            ),
        ],
    ),
    (
        "dynamics",
        "dynamics-opportunity-update.json",
        [
            (
                "moved",
                DYNAMICS,
                "2026-03-10T09:00:02+00:00",
                {
                    "stage": "3-Propose",
                    "name": "Müller & Söhne",
                    "amount": "48500.0",
                    "expected_close": "2026-04-30",
                },
            ),
        ],
    ),
    (
        "dynamics",
        "dynamics-opportunity-win.json",
        [
            ("won", DYNAMICS, "2026-03-11T09:00:00+00:00", {"amount": "51000.0", "reason": "Opportunity won"}),
        ],
    ),
    ("dynamics", "dynamics-opportunity-delete.json", [("deleted", DYNAMICS, "2026-03-12T09:00:00+00:00", {})]),
    ("zoho", "zoho-deals-insert.json", [("changed", "6100200000000771001", "2026-03-10T09:00:00+00:00", {})]),
    (
        "zoho",
        "zoho-deals-update-with-values.json",
        [
            ("moved", "6100200000000771001", "2026-03-10T09:00:01+00:00", {"stage": "Negotiation/Review"}),
            ("moved", "6100200000000771002", "2026-03-10T09:00:01+00:00", {"stage": "Closed Won", "amount": "48500"}),
        ],
    ),
    (
        "twenty",
        "twenty-opportunity-created.json",
        [
            ("created", TWENTY_DEAL, "2026-03-02T08:15:00.040000+00:00", {**TWENTY_DATA, "stage": "NEW"}),
        ],
    ),
    (
        "twenty",
        "twenty-opportunity-updated.json",
        [
            ("moved", TWENTY_DEAL, "2026-03-10T09:00:00.123000+00:00", {**TWENTY_DATA, "stage": "PROPOSAL"}),
        ],
    ),
    (
        "odoo",
        "odoo-crm-lead-17.json",
        [
            ("moved", "4711", "2026-03-10T09:00:00+00:00", ODOO),
            ("described", "2026-03-10T09:00:00+00:00", {"stage": "3", "name": "Proposition"}, True),
        ],
    ),
    (
        "odoo",
        "odoo-crm-lead-newer.json",
        [
            ("moved", "4711", "2026-03-10T09:00:00+00:00", {**ODOO, "expected_close": "2026-04-30"}),
        ],
    ),
    (
        "odoo",
        "odoo-captured-17-created.json",
        [
            (
                "created",
                "11",
                "2026-11-25T03:30:20.054771+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "1",
                    "entered_at": "2026-11-25T03:30:20.054771Z",
                },
            ),
        ],
    ),
    (
        "odoo",
        "odoo-captured-17-moved.json",
        [
            (
                "moved",
                "11",
                "2026-11-25T03:30:21.663679+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "2",
                    "entered_at": "2026-11-25T03:30:21.663679Z",
                },
            ),
        ],
    ),
    (
        "odoo",
        "odoo-captured-17-won.json",
        [
            (
                "won",
                "11",
                "2026-11-25T03:30:26.735857+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "4",
                    "entered_at": "2026-11-25T03:30:26.735857Z",
                    "amount": "51000.5",
                    "expected_close": None,
                },
            ),
        ],
    ),
    (
        "odoo",
        "odoo-captured-18-moved.json",
        [
            (
                "moved",
                "11",
                "2026-11-25T03:30:22.279577+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "2",
                    "entered_at": "2026-11-25T03:30:22.279577Z",
                },
            ),
        ],
    ),
    (
        "odoo",
        "odoo-captured-19-moved.json",
        [
            (
                "moved",
                "13",
                "2026-11-25T03:30:22.156963+00:00",
                {
                    **ODOO_CAPTURED,
                    "stage": "2",
                    "entered_at": "2026-11-25T03:30:22.156963Z",
                },
            ),
        ],
    ),
    (
        "attio",
        "attio-record-updated.json",
        [
            ("changed", "67a6469b-7fc8-524d-9586-5ef7bfc7cbb1", NOW.isoformat(), {}),
        ],
    ),
    (
        "copper",
        "copper-opportunity-update.json",
        [
            ("moved", "27140001", "2026-03-10T09:00:00+00:00", {"stage": "4", "amount": "48500"}),
        ],
    ),
    (
        "monday",
        "monday-change-column-value.json",
        [
            (
                "moved",
                "1772000001",
                "2026-03-10T09:00:00.368000+00:00",
                {"name": "Müller & Söhne", "stage": "Proposal"},
            ),
        ],
    ),
]
