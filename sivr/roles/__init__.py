"""Wiring of the four roles: settings in, a running application out."""
