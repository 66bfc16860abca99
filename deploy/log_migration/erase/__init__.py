"""`rollcall erase`: removes a data subject's records from the log and all tables."""
