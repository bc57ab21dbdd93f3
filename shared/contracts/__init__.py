"""Every message that crosses Kafka: one file per topic, plus the envelope that all share."""
