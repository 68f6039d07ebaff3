"""What survives a restart: SQL (SQLAlchemy Core), blobs and the inbox."""
