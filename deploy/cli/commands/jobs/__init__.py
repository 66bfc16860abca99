"""`rollcall import`, `jobs`, `status`, `errors`, `proof`, `undo`, `redo` and `cancel`."""
