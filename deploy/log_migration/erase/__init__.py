"""`./rollcall erase`: a data subject's records out of the log and of every table."""
