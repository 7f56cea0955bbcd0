"""Measurements, for people: they print tables of ratios and judge nothing. `make bench` runs them."""
