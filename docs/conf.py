"""The docs site: `make docs` builds it into build/docs, and takes every warning for an error.

Pages are the Markdown of this folder, as it reads on GitHub too; nothing comes from the network.
"""

from typing import Any

project = "Calotype"
author = "The Calotype authors"
html_title = project
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
highlight_language = "none"  # where a block names none

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["results/files"]

myst_heading_anchors = 4  # the anchors of GitHub, for links such as design.md#why-integers-decide

default_role = "code"  # docstrings write `name`, as Markdown does
smartquotes = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"Pixels": "Pixels"}
maximum_signature_line_length = 90
numpydoc_show_class_members = False


def setup(app: Any) -> None:
    """Write the alias in a signature, not what Sphinx puts in its place inside brackets."""

    def plain(*event: Any) -> tuple[str | None, str | None]:
        signature, returned = event[-2:]
        return signature, returned and returned.replace("TypeAliasForwardRef('Pixels')", "Pixels")

    app.connect("autodoc-process-signature", plain)
