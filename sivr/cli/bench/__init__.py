"""``sivr bench``: how fast this host is, an installation for N physicians, and the paper's tables."""
