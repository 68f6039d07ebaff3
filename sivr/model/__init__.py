"""The nouns: frozen structures without input or output."""
