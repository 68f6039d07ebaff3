"""Versions of the tables, one folder per role; applied by ``sivr.store.database`` when a role starts."""
