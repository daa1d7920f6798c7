"""Proof of loaders: a hand-made Singer stream of hard cases, loaded and compared value by value."""
