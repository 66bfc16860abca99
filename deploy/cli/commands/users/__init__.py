"""`rollcall users`, `person`, `attributes` and `diff`."""
