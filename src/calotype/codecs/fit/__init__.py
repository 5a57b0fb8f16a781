"""A picture as latent grids and small networks that were fitted to it alone; needs no weights."""
