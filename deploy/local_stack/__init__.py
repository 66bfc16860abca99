"""A real Kafka and a real Postgres on this machine, without Docker and without root.

`stack.LocalStack` composes `postgres` (PostgreSQL out of a wheel) and `kafka` (Apache Kafka's
jars, fetched once by `kafka_jars` and checked against `kafka-jars.lock`, on the Java that `java`
finds). All their data is in one folder; `data_dir` says where.

Owns the data folder and the servers' processes.
Promises that nothing outlives its parent, and that a folder has one user at a time.
May import `api_client`, `processes`.
"""
