"""Enricher: reads from CRMs through their APIs what webhooks left out, lost, or sent before Andon listened."""
