"""Uploads over HTTP become events in Kafka, and what was projected from them is read."""
