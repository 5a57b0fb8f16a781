"""Measuring: metrics, rivals, rate-distortion figures."""
