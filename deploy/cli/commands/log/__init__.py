"""`rollcall verify`, `rebuild`, `projections`, `erase`, `rekey`, `dead-letters` and more."""
