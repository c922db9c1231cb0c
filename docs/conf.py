"""How `make docs` makes HTML of these pages. They are written to be readable without it."""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.ext.napoleon.docstring import GoogleDocstring

import zebfast

project = "zebfast"
author = copyright = "The zebfast authors"
release = version = zebfast.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 4  # as on GitHub, so that a link holds in both
html_theme = "alabaster"
html_theme_options = {"description": "Texas 42, learned from its own games", "page_width": "70rem"}
html_show_sourcelink = False
nitpicky = True
nitpick_ignore_regex = [("py:class", r"u?int\d+_t")]  # C types in signatures that Cython writes


def setup(app: Sphinx) -> None:
    """Links to files outside docs/ become downloads: the pages themselves say plain paths."""

    def read(_app: Sphinx, _name: str, text: list[str]) -> None:
        text[0] = re.sub(r"\]\((\.\./(?![^)]*\.png\))[^)#]+)[^)]*\)", r"](path:\1)", text[0])

    app.connect("source-read", read)
    # "Dominoes dealt: ascending" is a sentence; of a property, napoleon takes its half as a type.
    GoogleDocstring._parse_attribute_docstring = GoogleDocstring._consume_to_end


autodoc_member_order = "bysource"
autodoc_typehints = "none"  # compiled modules have none; the docstrings say types and shapes
