"""What the detector publishes: problems, measures, stages, gauges."""
