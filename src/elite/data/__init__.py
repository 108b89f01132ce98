"""Training samples: cropped, augmented and batched frames."""
