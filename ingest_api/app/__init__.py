"""The API process: start, stop, liveness and readiness (`/health/…`), and a stall of jobs noticed.

Owns the settings of the process, the Sanic application, its server and its start.
Promises that a request waits until the process is ready, and that an unknown error is a 500
without details.
May import every folder of `ingest_api`; nothing imports it.
"""
