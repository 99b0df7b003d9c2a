"""Backbones, their weights, and the heads put on them."""
