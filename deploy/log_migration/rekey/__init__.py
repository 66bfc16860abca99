"""`rollcall rekey`: moves the log to another reconciliation key, number of partitions, or both."""
