"""The versions of the toplevel role's tables."""
