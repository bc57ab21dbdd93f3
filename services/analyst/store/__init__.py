"""SQL of schema `analysis`."""
