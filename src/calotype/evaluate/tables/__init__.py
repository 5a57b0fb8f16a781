"""What was measured, as tables: rows, means, curves and their differences, published curves, cards."""
