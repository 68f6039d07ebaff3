"""The tables of each role as SQLAlchemy metadata; ``columns`` holds the types they share."""
