"""Losses, samplers, the one training loop, checkpoints and calibration."""
