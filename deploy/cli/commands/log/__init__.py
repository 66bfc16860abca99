"""Commands about the log, other producers and the tables made from it."""
