"""Entropy coding: integers and frequency tables to bytes and back, in a native kernel."""

from .checksum import crc32c
from .coder import BitCounter, Coder, Decoder, Encoder
from .mixture import Mixture
from .tables import PRECISION, Tables

__all__ = ["PRECISION", "BitCounter", "Coder", "Decoder", "Encoder", "Mixture", "Tables", "crc32c"]
