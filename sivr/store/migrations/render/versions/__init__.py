"""The versions of the render role's tables."""
