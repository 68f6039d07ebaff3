"""The versions of the institution role's tables."""
