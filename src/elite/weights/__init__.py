"""Weight files of this and other software, read as data: sizes are checked before memory is allocated."""
