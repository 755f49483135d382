"""The `zoomgr` command: finds the verb, runs it, turns errors into exit codes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from zoomgr.cli.run import Run
from zoomgr.cli.shown import Painted, drawn
from zoomgr.cli.signals import Stopped, tidy_ends
from zoomgr.cli.streams import guard_streams
from zoomgr.errors import ZoomgrError, close_matches, did_you_mean, printable

GROUPS = {
    "Find and fetch": {
        "pull": "fetch weights into the cache",
        "list": "list models by glob",
        "which": "list everything that a name could mean",
        "show": "tell what is known of a model",
        "add": "put a file of your own into the zoo",
        "adopt": "take over what torch hub, Hugging Face, timm and pooch keep here",
        "plugins": "show the installed plugins and what became of them",
    },
    "Networks and pictures": {
        "summary": "show the modules of a network: shapes, parameters, multiplications",
        "graph": "show what feeds what in a network, as a table, SVG or PDF",
        "predict": "name what is on pictures",
        "compare": "set two models side by side: what they cost, what they say of the same pictures",
        "activations": "show where layers are strong on photos, and where what speaks for a class lies",
    },
    "Checkpoints": {
        "plan": "show what a load would do, tensor by tensor",
        "inspect": "list the tensors of a checkpoint, or draw its modules",
        "diff": "compare two checkpoints, key by key and value by value",
        "convert": "write a checkpoint as safetensors, with an architecture's keys or its own",
    },
    "The cache": {
        "path": "print where cached weights lie",
        "rm": "remove weights from the cache",
        "verify": "hash what is in the cache, move altered files aside",
        "gc": "remove what lies in the cache and nothing needs, or nobody has used for long",
        "pin": "keep weights from gc",
        "du": "show what takes how much room in the cache",
    },
    "Behind an air gap": {
        "lock": "write down which weights a project uses, each with its whole digest",
        "sync": "bring the cache to what the lock says",
        "export": "write weights to a bundle, to be carried to where no internet is",
        "import": "prove a bundle, and take its weights into the cache",
        "inventory": "tell what the cache has, for `export --since`",
        "mirror": "put weights where the nodes of a site fetch them: a folder, a store, an OCI registry",
        "expose": "lay out cached weights for torch hub or Hugging Face, so that unchanged code finds them",
        "doctor": "say what this node would miss, and what mends it",
    },
}
"""Verbs and what each is for, by what they are about; a verb is a module of its name."""

VERBS = {verb: purpose for verbs in GROUPS.values() for verb, purpose in verbs.items()}


class Verbs(click.Group):
    """Imports a verb's module when it is run; `--help` needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        """The verbs, in the order of use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb itself; None when there is no such verb."""
        if cmd_name not in VERBS:
            if close := close_matches(cmd_name, tuple(VERBS)):
                ctx.fail(f"No such verb {cmd_name!r}: {did_you_mean(close)}")
            return None
        command: click.Command = importlib.import_module(f"zoomgr.cli.{cmd_name}").command
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's signature)
        formatter: click.HelpFormatter,
    ) -> None:
        """The verbs with their purpose, from the table: click would import every one of them."""
        width = max(map(len, VERBS))
        for about, verbs in GROUPS.items():
            with formatter.section(about):
                formatter.write_dl([(f"{verb:{width}}", purpose) for verb, purpose in verbs.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="zoomgr", prog_name="zoomgr")
def cli() -> None:
    """Find pretrained vision models by name, prove their bytes, load them into the network you want.

    Exit codes: 0 done, 1 of `diff`: they differ, of `doctor`: not ready, 2 usage or configuration, 3 unknown
    or ambiguous name, 4 integrity, 5 network or offline, 6 cannot adapt, 7 plugin, 8 cache or disk.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; exits the process."""
    guard_streams()
    with tidy_ends():
        sys.exit(_exit_code(list(sys.argv[1:] if argv is None else argv), Run()))


def _exit_code(arguments: list[str], run: Run) -> int:
    """Run the verb, and tell what went wrong."""
    try:
        return cli.main(arguments, prog_name="zoomgr", obj=run, standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        run.as_json = "--json" in arguments  # the options were not understood, so none of them is set
        _report_json(run, {"code": "usage", "message": error.format_message()})
        return error.exit_code
    except ZoomgrError as error:
        report(error, run)
        return error.exit_code
    except Stopped as stopped:
        click.echo(f"stopped by {stopped.name}", err=True)
        raise


def report(error: ZoomgrError, run: Run) -> None:
    """Print an error on stderr for people; with `--json` on stdout too, for programs, if that is empty."""
    hints = run.site_hints(error)
    click.echo(drawn(Painted(f"error[{error.code}]", "red")) + f": {error}", err=True)
    for hint in hints:
        click.echo(f"  hint: {printable(hint)}", err=True)
    _report_json(run, {**error.to_dict(), "site_hints": hints})


def _report_json(run: Run, error: dict[str, Any]) -> None:
    if run.as_json and not run.has_answered:
        run.emit({"error": error}, ())
