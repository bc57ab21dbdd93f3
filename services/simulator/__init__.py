"""A simulated CRM: posts months of deals in two pipelines as webhooks, with disruptions; deterministic for a seed."""
