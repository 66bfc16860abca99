"""`./rollcall rekey`: the log with another reconciliation key, number of partitions, or both."""
