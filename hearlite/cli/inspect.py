"""The commands `info` and `check` for files, `doctor` and `completion` for this installation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from hearlite.cli.options import DATA, json_option, print_data


@click.command()
@click.argument("model", type=DATA)
@json_option
def info(model: Path, as_json: bool) -> None:
    """Show operators, parameters and manifest of a .tflite.

    MODEL is any .tflite file. Facts from the manifest are shown if it is beside the file.
    """
    from hearlite.bundle import describe

    print_data(describe(model), as_json=as_json)


@click.command()
@click.argument("model", type=DATA)
@json_option
def check(model: Path, as_json: bool) -> None:
    """Run the self-test of an exported .tflite.

    MODEL is a .tflite that `hearlite export` wrote. Checks the hash, finite outputs, repeatability, insensitivity to
    gain, batches, the golden embedding and, with a classifier, its scores. Exits with 4 if a check fails.
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
