"""Pillow opens and saves `.calo` files once this module is imported.

    import calotype.interop.pillow

    image = Image.open("photo.calo")
    image.load(realism=1)  # of models that can choose; without, the most faithful picture is decoded
    image.save("smaller.calo", quality=30)

Options of `save` are those of `calotype.encode` (`quality`, `model`, `lossless`, `effort` ...), and `icc_profile`,
`exif`, `xmp`, `dpi`, which are taken from the image's `info` if they are not given (None leaves them out). Others,
which Pillow hands to every format, are left out with a warning.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import fields
from typing import IO, Any

from PIL import Image, ImageFile

from .. import api
from ..container import is_calotype, unpack
from ..errors import CalotypeError, CalotypeWarning, CorruptFile, UnsupportedFile
from ..image import MODES
from ..io import info_of, to_pillow
from ..model import metadata_of
from ..options import EncodeOptions

FORMAT = "CALOTYPE"
MIME = "image/x-calotype"

_OPTIONS = {"model", *(entry.name for entry in fields(EncodeOptions))}
_INFO_KEYS = ("icc_profile", "exif", "xmp", "dpi")


class CalotypeImageFile(ImageFile.ImageFile):
    """A file whose checksums are checked when it is opened and whose pixels are decoded by `load`."""

    format = FORMAT
    format_description = "Calotype learned image"

    def _open(self) -> None:
        assert self.fp is not None
        data = self.fp.read()
        try:
            header, chunks = unpack(data, max_pixels=None)  # Pillow has its own limit
        except CorruptFile as error:  # Pillow's sign that another plugin may try
            raise SyntaxError(str(error)) from None
        except UnsupportedFile as error:
            raise OSError(str(error)) from error
        *views, height, width, channels = header.shape
        if views or header.depth not in (8, 16) or (header.depth == 16 and channels > 1):
            raise OSError(f"Pillow has no images of shape {header.shape} and {header.depth} bits")
        self._size = (width, height)
        self._mode = "I;16" if header.depth == 16 else MODES[channels]
        self.info.update(info_of(metadata_of(chunks)))
        self._data: bytes | None = data
        self.tile = []

    def load(self, realism: float | None = None) -> Any:
        """Decode the pixels, once, as natural as is asked for (0 to 1).

        Raises
        ------
        OSError
            The file cannot be decoded, or not so; its cause says why. Or the pixels are decoded already.
        """
        if self._data is None and realism is not None:
            raise OSError("the pixels are decoded already; open the file again and load it first with that realism")
        if self._data is not None:
            try:
                image = api.decode_image(self._data, realism=realism, max_pixels=None)
            except CalotypeError as error:
                raise OSError(str(error)) from error
            self._data = None
            if self.fp is not None and getattr(self, "_exclusive_fp", False):
                self.fp.close()
            self.fp = io.BytesIO(to_pillow(image).tobytes())
            self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]
        return super().load()


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    wanted: dict[str, Any] = image.encoderinfo
    copy = image.copy()
    for key in _INFO_KEYS:
        block = wanted.get(key, image.info.get(key))
        block = block.tobytes() if isinstance(block, Image.Exif) else block
        copy.info = {name: value for name, value in copy.info.items() if name != key}
        if block:
            copy.info[key] = block
    options = {name: value for name, value in wanted.items() if name in _OPTIONS}
    if unknown := sorted(wanted.keys() - _OPTIONS - {*_INFO_KEYS}):
        warnings.warn(CalotypeWarning(f"{FORMAT} files have no option {', '.join(unknown)}; left out"), stacklevel=3)
    try:
        data = api.encode(copy, **options)
    except CalotypeError as error:
        raise OSError(str(error)) from error
    file.write(data)


Image.register_open(FORMAT, CalotypeImageFile, is_calotype)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, api.ENDING)
Image.register_mime(FORMAT, MIME)
