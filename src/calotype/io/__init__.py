"""Images in files <-> `Image`.

A file's structure says what it holds; Pillow decodes, and the libraries of the extra `deep-colour` where Pillow would
reduce. What goes in comes out, or is refused with a reason; or, where viewers do so, is converted or left out with a
warning.
The orientation stays in Exif and the pixels as they are stored, but for TIFF, whose pixels Pillow turns.
"""

from .files import write_bytes, written_aside
from .pillow import from_pillow, info_of, to_pillow
from .read import READ_FORMATS, read_image
from .write import IMAGE_ENDINGS, WRITE_FORMATS, encode_image, format_of, write_image

__all__ = [
    "IMAGE_ENDINGS", "READ_FORMATS", "WRITE_FORMATS", "encode_image", "format_of", "from_pillow", "info_of",
    "read_image", "to_pillow", "write_bytes", "write_image", "written_aside",
]  # fmt: skip
