"""Intake: takes webhooks, verifies them, translates them into events, and answers once Kafka has them."""
