"""Weight files of others and of ours: read as data, sizes compared with the file before memory is taken."""
