"""Write the demo's page as a folder that any web server can serve, in any place and without headers of its own."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hearlite.errors import InputError
from hearlite.export.demo.litertjs import VERSION
from hearlite.export.demo.server import policy
from hearlite.writing import require_not_interrupted, write_error

_RUNTIME = f"""
This folder also has LiteRT.js {VERSION} (@litertjs/core and @litertjs/wasm-utils of npm, copyright Google LLC), and the
page of hearlite. Both are under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""


def require_free(folder: Path, *, overwrite: bool) -> None:
    """Raise InputError when a page can't be written to `folder` because of what is there.

    With `overwrite` a page of before may be there, and nothing else.
    """
    if not (folder.exists() or folder.is_symlink()):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise InputError(f"{folder} is no folder", "name a new one, or an empty one")
    there = sorted(path.name for path in folder.iterdir())
    if there and not overwrite:
        raise InputError(
            f"{folder} is not empty: it has {there[0]}",
            "name another folder, or pass --overwrite to replace a page of before",
        )
    if there and not {"index.html", "demo.json", "model.tflite"} <= set(there):
        raise InputError(f"{folder} has {there[0]}, and is no page of hearlite demo", "name another folder")


def write_page(files: Mapping[str, bytes], folder: Path, *, notice: bytes, overwrite: bool) -> list[str]:
    """Write what the server would serve to `folder`, all of it or nothing, and return the files' names.

    Parameters
    ----------
    files : mapping of str to bytes
        What `make_files` has made.
    folder : Path
        A new or empty folder; with `overwrite`, also one with a page of before.
    notice : bytes
        The model's NOTICE, whose terms travel with it.
    overwrite : bool
        Replace a page of before, with all that is in its folder.

    Raises
    ------
    InputError
        When something else is there, or the folder can't be written.
    """
    require_free(folder, overwrite=overwrite)
    written = {path.removeprefix("/") or "index.html": content for path, content in files.items()}
    written["index.html"] = _with_policy(written["index.html"])
    written["NOTICE.txt"] = notice + _RUNTIME.encode()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            built, before = Path(scratch) / "page", Path(scratch) / "before"
            for name, content in written.items():
                (built / name).parent.mkdir(parents=True, exist_ok=True)
                (built / name).write_bytes(content)
            require_not_interrupted()
            if folder.is_dir():
                folder.replace(before)
            try:
                built.replace(folder)
            except OSError:
                if before.is_dir():
                    before.replace(folder)
                raise
    except OSError as error:
        raise write_error(folder, error) from error
    return sorted(written)


def _with_policy(index: bytes) -> bytes:
    """Return the page with its policy inside: its server may send none.

    It stands before all scripts, and lacks what browsers take from headers alone.
    """
    inside = re.sub(r"; frame-ancestors [^;]*", "", policy(index))
    tags = (
        f'<meta http-equiv="Content-Security-Policy" content="{inside}">\n<meta name="referrer" content="no-referrer">'
    )
    return index.replace(b'<meta charset="utf-8">', b'<meta charset="utf-8">\n' + tags.encode(), 1)
