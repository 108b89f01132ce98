"""Builders, oracles and small runs that several test files use."""
