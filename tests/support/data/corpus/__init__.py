"""Bad input, and what must come of it."""
