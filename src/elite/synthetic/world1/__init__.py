"""World 1: the streets that the experiments and their documented scores were made on."""
