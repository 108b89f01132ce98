"""Training of a small promptable SAM on rendered streets."""
