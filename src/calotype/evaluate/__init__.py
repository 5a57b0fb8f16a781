"""Measuring: codecs and their rivals on images, tables of what was found, reports.

`rivals` and `tables` stand alone, `measure` fills tables, `report` shows them; an import goes no other way.
"""
