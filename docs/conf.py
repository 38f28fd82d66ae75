"""Sphinx: Markdown pages, and reference pages generated from the code before each build."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from reference_pages import write_pages

import hearlite

project = "hearlite"
author = "The hearlite contributors"
copyright = f"2026, {author}"
release = version = hearlite.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["notebooks", "reference/generated"]
html_theme = "furo"
html_title = f"hearlite {release}"
html_copy_source = False
autodoc_typehints = "none"  # the numpydoc sections say types, and units too
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
default_role = "code"  # single backticks in docstrings

write_pages(Path(__file__).parent / "reference" / "generated")
