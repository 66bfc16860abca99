"""`rollcall up`, `demo`, `serve`, `process`, `settings`, `psql` and `test`."""
