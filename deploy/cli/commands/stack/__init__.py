"""`rollcall up`, `demo`, `serve`, `process`, `setup`, `settings`, `psql` and `test`."""
