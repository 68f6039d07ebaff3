"""Use cases: may he? do it, write it down. No protocol, no SQL text, no GL call."""
