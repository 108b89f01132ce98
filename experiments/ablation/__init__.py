"""Ablation: the same student, seeds and steps with more and more parts of ELiTe, on rendered streets."""
