"""Measurements, for people: they print tables of ratios. `make bench` runs them."""
