"""`rollcall accounts`, `tokens`, `webhooks` and `audit`: who may, who is told, who changed what."""
