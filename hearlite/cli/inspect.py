"""The commands `models` and `get` for ready models, `info` and `check` for files, and those for this installation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from hearlite.cli.options import OVERWRITE, echo, json_option, print_data
from hearlite.errors import UsageError
from hearlite.models.option import MODEL
from hearlite.text import listed

_MOST_CLASSES = 4  # of a model's that a line of `models` names


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the models that can be used by name.

    They came with hearlite, or `hearlite get` installed them.
    """
    from hearlite.models.registry import list_models

    found = []
    for item in list_models():
        if isinstance(item, str):
            echo(f"note: {item}")
        else:
            found.append(item)
    if as_json:
        return print_data([dataclasses.asdict(item) for item in found], as_json=True)
    if not found:
        return echo(
            "there are no models yet: 'hearlite get SOURCE' installs one, 'hearlite get --help' says from where"
        )
    rows = [
        {
            "name": item.name,
            "size": f"{item.bytes / 1e6:.2f} MB",
            "precision": item.precision,
            "dim": item.dim,
            "classes": listed(item.classes, _MOST_CLASSES),
            "teacher": item.teacher,
            "licence": item.licence,
            "place": "comes with hearlite" if item.packaged else str(Path(item.file).parent),
        }
        for item in found
    ]
    return print_data(rows, as_json=False, wrap=False)


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option("--name", help="Name of the model from now on; default: that of SOURCE, without its suffix.")
@click.option("--sha256", default="", metavar="HEX", help="Hash that the .zip, or else the .tflite, must have.")
@click.option("--overwrite", is_flag=True, help=OVERWRITE)
@json_option
def get(source: str, name: str | None, sha256: str, overwrite: bool, as_json: bool) -> None:
    """Install a model, to be used by name.

    SOURCE is an exported .tflite with its other files beside it, a folder or .zip with one in it, or the https://
    address of such a .tflite or .zip. The model is checked as `hearlite check` does before it is there. Exits with 4
    if a check fails.
    """
    from hearlite.models.install import install, require_name
    from hearlite.models.registry import known
    from hearlite.models.source import read_source

    if source in known() and not Path(source).exists():
        raise UsageError(f"{source} is installed already", "use it by this name, or name a file, folder or address")
    if name is not None:
        require_name(name)  # before anything is downloaded
    found = read_source(source, sha256=sha256)
    name = found.name.lower() if name is None else name
    file, manifest = install(found, name=name, overwrite=overwrite)
    if not manifest.gate_passed:
        echo(f"warning: {name} failed its quality gate when it was exported")
    facts = {
        "name": name,
        "teacher": manifest.teacher.name,
        "licence": manifest.licence,
        "notice": manifest.notice,
        "source": found.where,
        "sha256": found.sha256,
        "file": str(file),
    }
    print_data(facts, as_json=as_json)


@click.command()
@click.argument("model", type=MODEL)
@json_option
def info(model: Path, as_json: bool) -> None:
    """Show operators, parameters and manifest of a .tflite.

    MODEL is any .tflite file, or the name of a model. Facts from the manifest are shown if it is beside the file.
    """
    from hearlite.bundle import describe

    print_data(describe(model), as_json=as_json)


@click.command()
@click.argument("model", type=MODEL)
@json_option
def check(model: Path, as_json: bool) -> None:
    """Run the self-test of an exported .tflite.

    MODEL is a .tflite that `hearlite export` wrote, or the name of a model. Checks the hash, finite outputs,
    repeatability, insensitivity to gain, batches, the golden embedding and, with a classifier, its scores. Exits with 4
    if a check fails.
    """
    from hearlite.bundle import check_scores, open_bundle
    from hearlite.embedders.self_test import check_embedder, require

    embedder, manifest = open_bundle(model)
    results = check_embedder(embedder, precision=manifest.precision, golden=manifest.golden_embedding)
    results += check_scores(model, manifest)
    print_data([dataclasses.asdict(result) for result in results], as_json=as_json)
    require(results, what=model.name)


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Show what is installed and whether it works here.

    If TensorFlow is installed, trains a student for one step, converts a network and runs the file; takes seconds.
    Exits with 4 if something that is installed fails.
    """
    from hearlite.cli.doctor import examine
    from hearlite.errors import GateError

    findings = examine()
    print_data([dataclasses.asdict(finding) for finding in findings], as_json=as_json)
    failed = [finding.what for finding in findings if finding.ok is False]
    if failed:
        raise GateError(
            f"{', '.join(failed)} failed on this machine",
            "the table shows how; reinstall the package it names, or report it with the table",
        )


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script for shell completion.

    To enable completion in bash, run: eval "$(hearlite completion bash)"
    """
    from click.shell_completion import get_completion_class

    from hearlite.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "hearlite", "_HEARLITE_COMPLETE").source())
