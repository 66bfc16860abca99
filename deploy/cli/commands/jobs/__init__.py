"""`rollcall import`, `jobs`, `status`, `errors`, `proof`, `undo` and `redo`."""
