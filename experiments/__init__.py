"""Experiments on accuracy: each script trains or scores, and appends its scores to a CSV file in results/."""
