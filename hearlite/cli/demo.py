"""The command `demo`, which runs an exported file in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.cli.options import DATA, echo
from hearlite.models.option import MODEL
from hearlite.spec import DISTILL_HOP_S


@click.command()
@click.argument("model", metavar="FILE|NAME", type=MODEL)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8765,
    show_default=True,
    help="Port to serve on; 0: any free port.",
)
@click.option("--hop", "hop_s", type=float, default=DISTILL_HOP_S, show_default=True, help="Seconds between windows.")
@click.option(
    "--litert",
    type=DATA,
    help="Folder in which npm installed @litertjs/core; default: download it to the user's cache on first use.",
)
@click.option(
    "--registry", help="npm registry to download it from; default: npm's own setting, or NPM_CONFIG_REGISTRY."
)
def demo(model: Path, port: int, hop_s: float, litert: Path | None, registry: str | None) -> None:
    """Try an exported FILE in the browser, or a model by its NAME.

    Takes the microphone or recordings and shows the spectrogram and a map of embeddings. The server is reachable from
    this machine only; Ctrl-C stops it.
    """
    from hearlite.export.demo.server import make_files, open_server

    with open_server(port=port) as server:
        server.files = make_files(model, hop_s=hop_s, litert=litert, registry=registry, log=echo)
        port = server.server_address[1]
        echo(f"a phone on USB opens the same address after: adb reverse tcp:{port} tcp:{port}")
        click.echo(f"open http://localhost:{port} (Ctrl-C stops the server)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            echo("stopped")
