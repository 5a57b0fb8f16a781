"""A codec as a third party would install it; the tests put its folder on the path."""
