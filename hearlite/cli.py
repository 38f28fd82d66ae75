"""The command line. A command parses, calls one function of a stage, and prints a table or, with --json, data on stdout; logs go to stderr.

Exit codes: 0 ok, 1 a bug, 2 usage, 3 bad input, 4 a quality gate failed, 5 a missing extra. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hearlite import __version__
from hearlite.errors import HearliteError, MissingExtraError, UsageError
from hearlite.spec import AUROC_MARGIN, DISTILL_HOP_S

BUG_EXIT = 1
EXTRAS = {"tensorflow": "train", "tf_keras": "train", "tensorflow_model_optimization": "train", "tflite_runtime": "compat", "ray": "cluster"}
PROBES = ("logistic", "svm", "forest", "boosting", "mlp")  # of benchmarks/classifiers.py, which is slow to import
PLATFORMS = ("android", "ios", "flutter", "react-native", "web", "python")  # export/package.py's, which is not imported for --help
DATA = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print data as JSON on stdout.")
teacher_option = click.option(
    "--teacher", default="spectral", show_default=True, help="spectral | hear:DIR | saved-model:DIR | tflite:FILE[#OUTPUT] | embeddings:FILE.parquet"
)
labels_option = click.option("--label", "label_columns", multiple=True, default=("label",), show_default=True, help="Label column; may be repeated.")
framing_option = click.option(
    "--framing", type=click.Choice(["context", "zero-pad"]), default="context", show_default=True, help="What stands around a short event."
)
hop_option = click.option("--hop", "hop_s", type=float, default=2.0, show_default=True, help="Seconds between windows of long sounds.")
size_option = click.option("--size", type=click.Choice(["tiny", "small", "base"]), default="small", show_default=True)
force_option = click.option("--force", is_flag=True, help="Go on past a failed gate, or replace files; marked in the output.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hearlite")
def cli() -> None:
    """Make health-acoustic encoders such as Google's HeAR small enough for a phone: distill, quantize, export, measure.

    A research tool, never a diagnostic.
    """


@cli.command()
@click.option("--data", type=DATA, help="Folder or manifest CSV; default: synthetic sounds.")
@teacher_option
@labels_option
@click.option("--size", type=click.Choice(["tiny", "small", "base"]), default="tiny", show_default=True)
@click.option("--steps", type=click.IntRange(min=1), help="Training steps; default: the preset's.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=DATA, default=Path("quickstart"), show_default=True, help="Folder for everything.")
@force_option
@json_option
def quickstart(
    data: Path | None, teacher: str, label_columns: tuple[str, ...], size: str, steps: int | None, seed: int, out: Path, force: bool, as_json: bool
) -> None:
    """The main job: recordings in, an int8 .tflite with its report out."""
    from hearlite.quickstart import run_quickstart

    result = run_quickstart(data=data, teacher=teacher, label_columns=label_columns, size=size, steps=steps, seed=seed, out=out, force=force)
    _print(result, as_json=as_json)


@cli.command()
@click.argument("data", type=DATA, nargs=-1, required=True)
@click.option("--run", "folder", type=DATA, required=True, help="Run folder; the same command resumes it.")
@teacher_option
@size_option
@click.option("--config", type=DATA, help="TOML with training settings; default: the preset of the size.")
@click.option("--steps", type=click.IntRange(min=1), help="Training steps, instead of the config's.")
@click.option("--seed", type=int, help="Seed, instead of the config's.")
@click.option("--records", type=DATA, help="Folder of the record cache, to share it between runs; default: inside the run.")
@click.option("--hop", "hop_s", type=float, default=DISTILL_HOP_S, show_default=True, help="Seconds between windows.")
@click.option("--events-only", is_flag=True, help="Learn from the manifest's annotated events only, not from whole recordings.")
@click.option("--actors", type=click.IntRange(min=0), default=0, show_default=True, help="Make the records by this many Ray actors; 0: here.")
@json_option
def distill(
    data: tuple[Path, ...],
    folder: Path,
    teacher: str,
    size: str,
    config: Path | None,
    steps: int | None,
    seed: int | None,
    records: Path | None,
    hop_s: float,
    events_only: bool,
    actors: int,
    as_json: bool,
) -> None:
    """Train a student on the recordings of every DATA (folder or manifest CSV) to give the teacher's embeddings; no labels are used."""
    from hearlite.check import check_embedder, require
    from hearlite.dataset import combine, load_dataset
    from hearlite.distill.presets import load_preset
    from hearlite.distill.train import distill as run_distill
    from hearlite.records import read_records
    from hearlite.student import StudentEmbedder
    from hearlite.teacher import open_teacher

    dataset = combine([load_dataset(path, hop_s=hop_s, events=events_only) for path in data])
    train = load_preset(size, teacher=teacher, config=config, steps=steps, seed=seed)
    finished = (folder / "weights.npz").is_file()
    if "TF_CONFIG" in os.environ:  # several processes: TensorFlow must know before a teacher uses it
        from hearlite.distill.distribute import strategy

        strategy()
    if actors and not finished:
        from hearlite.cluster import write_records_on_ray
        from hearlite.records import Views

        views = Views(train.views, spec=train.view)
        write_records_on_ray(dataset, teacher=teacher, folder=records or folder / "records", views=views, actors=actors)
    run = run_distill(dataset, teacher=open_teacher(teacher), size=size, train=train, folder=folder, records_folder=records)
    if finished:
        click.echo(f"{folder} is finished already: nothing to do", err=True)
    made = read_records(run.records)
    _report_dataset(dataset, skipped=made.skipped, silent=made.silent)
    require(check_embedder(StudentEmbedder(run), precision="f32"), what=f"the student of {folder}")
    metrics = json.loads(run.metrics.read_text())
    _print({"run": str(folder), **metrics}, as_json=as_json)


@cli.command(name="import")
@click.argument("name", metavar="DATASET")
@click.argument("source", type=DATA)
@click.option("--out", type=DATA, help="Manifest, in SOURCE or in a folder above it; default: SOURCE/manifest.csv.")
@force_option
@json_option
def import_(name: str, source: Path, out: Path | None, force: bool, as_json: bool) -> None:
    """Write a manifest for SOURCE, your own copy of a public DATASET: sprsound, sprsound-records, sprsound-asthma, icbhi, esc50, coswara, coughvid or
    fsd50k."""
    from hearlite.benchmarks.tasks import import_dataset, write_manifest

    _print(write_manifest(import_dataset(name, source), out or source / "manifest.csv", force=force), as_json=as_json)


@cli.command()
@click.argument("run_folder", metavar="RUN", type=DATA)
@click.option("--recipe", default="auto", show_default=True, help="One of quantize/recipes, a .json file, or auto: the first that passes its gate.")
@click.option("--data", type=DATA, help="Labelled recordings: gate the AUROC loss too, on subjects that are not in test.")
@click.option("--label", "label_columns", multiple=True, help="Label column of --data; may be repeated.  [default: label]")
@framing_option
@force_option
@json_option
def quantize(run_folder: Path, recipe: str, data: Path | None, label_columns: tuple[str, ...], framing: str, force: bool, as_json: bool) -> None:
    """Quantize the network of a finished RUN, to int8 where that passes its gate, and compare with the float32 one through both files."""
    from hearlite.check import check_embedder, require
    from hearlite.distill.supply import Supply
    from hearlite.quantize import ptq
    from hearlite.quantize.gate import summary
    from hearlite.quantize.recipe import AUTO, find_recipe
    from hearlite.run import open_run
    from hearlite.runtime import TfliteEmbedder
    from hearlite.spec import PRECISIONS
    from hearlite.verdict import read_verdict

    run = open_run(run_folder)
    recipes = [find_recipe(name) for name in (AUTO if recipe == "auto" else (recipe,))]
    training, quality = Supply(run), _quality(data, label_columns=label_columns, framing=framing)
    if recipe == "auto":
        attempts = ptq.quantize_auto(run, recipes=recipes, force=force, training=training, quality=quality)
        for reason in filter(None, (attempt.reason for attempt in attempts)):
            click.echo(reason, err=True)
        (chosen,) = (known for known in recipes if known.recipe == attempts[-1].recipe)
    else:
        (chosen,) = recipes
        ptq.quantize(run, recipe=chosen, force=force, training=training, quality=quality)
    folder = run.quantized(chosen.recipe)
    checks = check_embedder(TfliteEmbedder(folder / "model.tflite"), precision=PRECISIONS[chosen.weights, chosen.activations])
    if not force:
        require(checks, what=str(folder / "model.tflite"))
    _print({"recipe": chosen.recipe, "folder": str(folder), **summary(read_verdict(folder / "compare.json"))}, as_json=as_json)


@cli.command()
@click.argument("source", metavar="RUN|FILE", type=DATA)
@click.option("--to", type=DATA, required=True, help="Folder for the bundle.")
@click.option("--recipe", "names", multiple=True, help="A recipe of RUN, or float32; default: float32 and the first that passed.")
@click.option("--for", "platform", type=click.Choice(PLATFORMS), help="Also a folder for an app, with a snippet. FILE: an exported .tflite.")
@force_option
@json_option
def export(source: Path, to: Path, names: tuple[str, ...], platform: str | None, force: bool, as_json: bool) -> None:
    """Write self-contained .tflite files of a RUN: audio in, embedding out, with manifest, model card and NOTICE."""
    if source.suffix == ".tflite":
        if platform is None or names:
            raise UsageError(f"{source} is exported already", f"name what for: --for {PLATFORMS[0]}; recipes are of a run")
        files = [source]
    else:
        from hearlite.export.tflite import export_files
        from hearlite.quantize.recipe import AUTO
        from hearlite.run import open_run

        files = export_files(open_run(source), to=to, names=names, preferred=AUTO, force=force)
    if platform is not None:
        from hearlite.export.package import package

        files = [part for file in files for part in package(file, platform=platform, to=to / f"{file.stem}_{platform}", force=force)]
    _print([{"file": str(file), "bytes": file.stat().st_size} for file in files], as_json=as_json)


@cli.command()
@click.argument("data", type=DATA)
@click.option("--model", "models", type=DATA, multiple=True, required=True, help="An exported .tflite; may be repeated.")
@click.option("--out", type=DATA, required=True, help="Folder for results.json and report.html.")
@teacher_option
@labels_option
@framing_option
@hop_option
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Threads of the latency measurement.")
@click.option("--probe", type=click.Choice(PROBES), default=PROBES[0], show_default=True, help="Classifier on the frozen embeddings.")
@click.option(
    "--protocol",
    type=click.Choice(["subjects", "paper"]),
    default="subjects",
    show_default=True,
    help="paper adds a clip-wise 80/20 split, which LEAKS subjects, and says by how much it flatters.",
)
@click.option(
    "--subgroup", "subgroup_columns", multiple=True, help="Metadata column to compare groups in, such as sex, age or device; may be repeated."
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=AUROC_MARGIN,
    show_default=True,
    help="AUROC that a model may lose and still replace its teacher, or an int8 file its float32 one; set it before the run.",
)
@json_option
def bench(
    data: Path,
    models: tuple[Path, ...],
    out: Path,
    teacher: str,
    label_columns: tuple[str, ...],
    framing: str,
    hop_s: float,
    seed: int,
    threads: int,
    subgroup_columns: tuple[str, ...],
    margin: float,
    probe: str,
    protocol: str,
    as_json: bool,
) -> None:
    """Measure what MODELs keep of the teacher on DATA (probes of frozen embeddings, subjects never shared) and what they cost; writes a report."""
    from hearlite.benchmarks.bench import bench as run_bench
    from hearlite.dataset import load_dataset
    from hearlite.teacher import open_teacher

    columns = tuple(dict.fromkeys((*label_columns, *subgroup_columns)))
    dataset = load_dataset(data, hop_s=hop_s, framing=framing, label_columns=columns)
    _report_dataset(dataset)
    result = run_bench(
        dataset,
        teacher=open_teacher(teacher),
        files=models,
        label_columns=label_columns,
        out=out,
        seed=seed,
        threads=threads,
        framing=framing,
        subgroup_columns=subgroup_columns,
        margin=margin,
        probe=probe,
        protocol=protocol,
        command=command_line(),
    )
    _print(result, as_json=as_json)


@cli.command()
@click.argument("results", type=DATA)
@click.option("--compare", type=DATA, help="results.json of another run, to stand beside it.")
@click.option("--out", type=DATA, required=True, help="The .html to write.")
@json_option
def report(results: Path, compare: Path | None, out: Path, as_json: bool) -> None:
    """Make the report of a results.json again, on its own or beside another run."""
    from hearlite.benchmarks.report import write_report

    write_report(results, out, compare=compare)
    _print({"report": str(out)}, as_json=as_json)


@cli.command()
@click.argument("data", type=DATA)
@click.option("--model", default="spectral", show_default=True, help="Any teacher, or tflite:FILE for an exported student.")
@click.option("--out", type=DATA, required=True, help="A .parquet, to be used as embeddings:FILE.parquet.")
@framing_option
@hop_option
@click.option("--for-distill", is_flag=True, help="The clips that distill takes: whole recordings, a window each second.")
@json_option
def embed(data: Path, model: str, out: Path, framing: str, hop_s: float, for_distill: bool, as_json: bool) -> None:
    """Write the embedding of every clip of DATA, keyed by the clip's content."""
    from hearlite.dataset import load_dataset
    from hearlite.embed import embed_dataset
    from hearlite.teacher import open_teacher

    dataset = load_dataset(data, hop_s=DISTILL_HOP_S, events=False) if for_distill else load_dataset(data, hop_s=hop_s, framing=framing)
    result, skipped = embed_dataset(dataset, embedder=open_teacher(model), out=out)
    _report_dataset(dataset, skipped=skipped, silent=result["silent"])
    _print(result, as_json=as_json)


@cli.command()
@click.argument("model", type=DATA)
@json_option
def info(model: Path, as_json: bool) -> None:
    """What a .tflite file is made of, and what its manifest says."""
    from hearlite.bundle import describe

    _print(describe(model), as_json=as_json)


@cli.command()
@click.argument("model", type=DATA)
@json_option
def check(model: Path, as_json: bool) -> None:
    """Self-test of an exported .tflite: hash, finite, repeatable, gain, batch, golden embedding. Exit 4 when one fails."""
    from hearlite.bundle import open_bundle
    from hearlite.check import check_embedder, require

    embedder, manifest = open_bundle(model)
    results = check_embedder(embedder, precision=manifest.precision, golden=manifest.golden_embedding)
    _print([dataclasses.asdict(result) for result in results], as_json=as_json)
    require(results, what=model.name)


@cli.command()
@json_option
def doctor(as_json: bool) -> None:
    """What is installed, what that allows, and whether the runtime works."""
    from hearlite.doctor import examine

    _print(examine(), as_json=as_json)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: turns errors into messages and exit codes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's C++ chatter; must be set before it is imported
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # tensorflow-model-optimization needs Keras 2
    try:
        cli.main(args=arguments, prog_name="hearlite", standalone_mode=False)
    except click.exceptions.Abort:
        _fail("interrupted; run the same command again to go on", "", 130)
    except click.ClickException as error:
        error.show(sys.stderr)
        sys.exit(error.exit_code)
    except HearliteError as error:
        _fail(error.message, error.hint, error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away, which is no error
        sys.exit(0)
    except OSError as error:
        _fail(
            f"{error.filename or 'a file'}: {error.strerror or error}",
            "check that the path exists, is not a folder or file in the way, and may be written",
            3,
        )
    except UnicodeEncodeError as error:
        _fail(f"a file name can't be written as UTF-8: {error.object!r}", "rename it", 3)
    except Exception as error:
        package = (getattr(error, "name", None) or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if package in EXTRAS:
            missing = MissingExtraError("this command", package.replace("_", "-"), EXTRAS[package])
            _fail(missing.message, missing.hint, missing.exit_code)
        if os.environ.get("HEARLITE_DEBUG"):
            raise
        _fail(f"this is a bug in hearlite: {type(error).__name__}: {error}", "set HEARLITE_DEBUG=1 for the traceback and report it", BUG_EXIT)


def command_line() -> str:
    """The command as the user typed it, for results.json."""
    import shlex

    return shlex.join(["hearlite", *sys.argv[1:]])


def _fail(message: str, hint: str, code: int) -> None:
    click.echo(f"error: {message}" + (f"\n  {hint}" if hint else ""), err=True)
    sys.exit(code)


def _report_dataset(dataset: Any, *, skipped: Sequence[Any] = (), silent: int = 0) -> None:
    """What a user should know about the recordings, on stderr: notes, silence, and everything that was skipped."""
    for note in dataset.notes:
        click.echo(f"note: {note}", err=True)
    if silent:
        click.echo(f"warning: {silent} clips are silent; they are embedded all the same, check those recordings", err=True)
    for item in (*dataset.skipped, *skipped):
        click.echo(f"skipped: {item.file}{'' if item.row is None else f' (row {item.row})'}: {item.reason}", err=True)


def _quality(data: Path | None, *, label_columns: tuple[str, ...], framing: str) -> Any:
    """What measures AUROC loss on labelled recordings, None without any."""
    from hearlite.benchmarks.auroc_loss import AurocLossProbe
    from hearlite.dataset import DEFAULT_LABELS, load_dataset

    if data is None:
        if label_columns:
            raise UsageError(f"--label {label_columns[0]} is of no recordings", "name them with --data")
        return None
    dataset = load_dataset(data, framing=framing, label_columns=label_columns or DEFAULT_LABELS)
    _report_dataset(dataset)
    return AurocLossProbe(dataset, label_columns or DEFAULT_LABELS)


def _print(data: Any, *, as_json: bool) -> None:
    """Data on stdout: JSON, or a table of a list of records, or of one record's keys and values."""
    if as_json:
        click.echo(json.dumps(data, allow_nan=False))  # ASCII: a file name may hold bytes that are no UTF-8
        return
    from rich.console import Console
    from rich.table import Table

    rows = data if isinstance(data, list) else [{"": key, "value": value} for key, value in data.items()]
    table = Table(*(str(key) for key in rows[0])) if rows else Table()
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(soft_wrap=not sys.stdout.isatty()).print(table)


def _cell(value: Any) -> str:
    from rich.markup import escape

    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (dict, list)):
        lines = isinstance(value, list) and value and all(isinstance(item, str) for item in value)
        value = "\n".join(value) if lines else json.dumps(value, ensure_ascii=False)
    return escape(str(value).encode(errors="backslashreplace").decode())


if __name__ == "__main__":
    main()
