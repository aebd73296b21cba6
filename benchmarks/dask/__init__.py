"""Training on a Dask cluster: killed workers, quality, time and its model."""
