"""Throughput and lag over the last day: a sample a minute in Postgres, and the lag as it is now.

Owns `rollcall_api.throughput_sample`, which all API processes write and which outlives them.
Promises a sample for each minute in which one of them ran and Kafka answered, and no other.
May import `auth`, `openapi`, `web`, `postgres`.
"""
