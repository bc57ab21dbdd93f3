"""SQL of the detector, one file per group of tables."""
