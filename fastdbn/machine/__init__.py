"""The Restricted Boltzmann Machine as mathematics: energies, conditionals, pseudo-likelihood."""
