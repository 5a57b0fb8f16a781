"""Measuring: codecs in processes of their own, metrics, clocks, memory."""
