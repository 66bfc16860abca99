"""`rollcall import`, `jobs`, `status`, `errors`, `notes`, `proof`, `undo`, `redo` and `cancel`."""
