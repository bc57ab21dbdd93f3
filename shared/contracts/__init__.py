"""Every message on Kafka: one file per topic, and the envelope that they share."""
