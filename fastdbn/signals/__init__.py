"""From signals to rows for a model: windows of time series, spectra of sound."""
