"""Every error that Calotype raises on purpose; all derive from `CalotypeError`."""


class CalotypeError(Exception):
    """Base of all errors a user can act on; the message says the next step."""


class CorruptFile(CalotypeError):
    """The bytes are not an intact Calotype file: damaged, truncated, or not one at all."""


class UnsupportedFile(CalotypeError):
    """An intact file that this version cannot decode: newer format, unknown codec or critical chunk."""


class WeightsNotFound(CalotypeError):
    """A model named by the user or by a file is not installed."""


class Desync(CalotypeError):
    """Decoding went wrong although the file is intact; nothing was returned."""


class LimitExceeded(CalotypeError):
    """A size limit would be exceeded; raised before memory is allocated."""


class Unsupported(CalotypeError):
    """A request that the chosen codec cannot fulfil: bit depth, colour, option."""
