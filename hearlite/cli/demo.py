"""The command `demo`, which runs an exported file in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.cli.options import DATA, default_model, echo
from hearlite.errors import UsageError
from hearlite.models.option import MODEL
from hearlite.spec import DISTILL_HOP_S

PORT = 8765


@click.command()
@click.argument("model", metavar="[FILE|NAME]", type=MODEL, required=False)
@click.option("--port", type=click.IntRange(0, 65_535), help=f"Port to serve on; 0: any free port.  [default: {PORT}]")
@click.option(
    "--hop",
    "hop_s",
    type=float,
    default=DISTILL_HOP_S,
    show_default=True,
    help="Seconds between windows; those of a file with events follow each other as its events need it.",
)
@click.option(
    "--litert",
    type=DATA,
    help="Folder in which npm installed @litertjs/core; default: download it to the user's cache on first use.",
)
@click.option(
    "--registry", help="npm registry to download it from; default: npm's own setting, or NPM_CONFIG_REGISTRY."
)
@click.option(
    "--static",
    "folder",
    metavar="OUT",
    type=DATA,
    help="Write the page to this folder, for any web server, and serve nothing.",
)
@click.option("--overwrite", is_flag=True, help="With --static: replace a page that was written there before.")
def demo(
    model: Path | None,
    port: int | None,
    hop_s: float,
    litert: Path | None,
    registry: str | None,
    folder: Path | None,
    overwrite: bool,
) -> None:
    """Try an exported FILE in the browser, or a model by its NAME.

    Takes the microphone or recordings and shows the events of a FILE that finds any, the spectrogram and a map of
    embeddings. The server is reachable from this machine only; Ctrl-C stops it.
    """
    from hearlite.export.demo.server import make_files, open_server

    model = model or default_model()
    if folder is not None:
        if port is not None:
            raise UsageError(f"--port {port} has no effect with --static", "leave one of them out")
        _write(model, folder, hop_s=hop_s, litert=litert, registry=registry, overwrite=overwrite)
        return
    if overwrite:
        raise UsageError("--overwrite has no effect without --static", "name a folder with --static")
    with open_server(port=PORT if port is None else port) as server:
        server.files = make_files(model, hop_s=hop_s, litert=litert, registry=registry, log=echo)
        port = server.server_address[1]
        echo(f"a phone on USB opens the same address after: adb reverse tcp:{port} tcp:{port}")
        click.echo(f"open http://localhost:{port} (Ctrl-C stops the server)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            echo("stopped")


def _write(
    model: Path, folder: Path, *, hop_s: float, litert: Path | None, registry: str | None, overwrite: bool
) -> None:
    from hearlite.export.demo.server import make_files
    from hearlite.export.demo.static import require_free, write_page
    from hearlite.export.package import read_notice

    require_free(folder, overwrite=overwrite)  # before the work
    files = make_files(model, hop_s=hop_s, litert=litert, registry=registry, log=echo)
    written = write_page(files, folder, notice=read_notice(model), overwrite=overwrite)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    echo(f"{len(written)} files of {size / 1e6:.1f} MB, for any web server; the microphone needs https, or localhost")
    click.echo(f"{folder / 'index.html'}")
