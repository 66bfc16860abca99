"""`rollcall accounts` and `tokens`: who may use the API."""
