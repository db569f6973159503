"""Ids to text, incrementally: streams, sequences and stop strings over one set of shared tables."""
