"""Tables as people have them: their cells, their columns, and the files that they are read from."""
