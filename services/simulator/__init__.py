"""A simulated CRM: months of two pipelines in which things go wrong, the same for the same seed, posted as webhooks."""
