"""`rollcall import`, `jobs`, `status`, `errors`, `notes`, `proof`, `undo` and `redo`."""
