"""Sessions of people at the page: a cookie for a password, until it expires or is ended."""
