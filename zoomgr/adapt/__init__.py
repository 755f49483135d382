"""From the tensors of a checkpoint to those of a network: planned on names and shapes, then carried out."""
