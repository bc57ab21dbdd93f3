"""Enricher: asks CRMs over their APIs for what their webhooks left out, lost, or told before Andon listened."""
