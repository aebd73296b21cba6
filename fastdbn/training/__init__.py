"""The training algorithms: contrastive divergence, up-down, back-propagation, and what is measured meanwhile."""
