"""`rollcall accounts`, `tokens` and `audit`: who may use the API, and who changed what."""
