"""`rollcall users`, `attributes` and `diff`."""
