"""The TLS listener in front of the applications."""
