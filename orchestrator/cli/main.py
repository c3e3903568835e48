"""`orchestrate`: the entry point; commands import what they need when they run, so that --help is quick."""

import errno
import signal
import sys
from contextlib import suppress
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from orchestrator.cli import (
    cluster,
    data,
    doctor,
    evaluate,
    explain,
    init,
    leaderboard,
    machine,
    models,
    predict,
    promotion,
    remove,
    replay,
    report,
    results,
    resume,
    running,
    streams,
    submit,
    sweeps,
    sync,
    train,
)
from orchestrator.errors import DiskFull, Interrupted, OrchestratorError

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("sweep")(sweeps.sweep)
app.command("resume")(resume.resume)
app.command("submit", context_settings=submit.PASSES_ON)(submit.submit)
app.command("status")(running.status)
app.command("logs")(running.logs)
app.command("stop")(running.stop)
app.command("sync")(sync.sync)
app.command("train")(train.train)
app.command("replay")(replay.replay)
app.command("list")(results.list_things)
app.command("leaderboard")(leaderboard.show_leaderboard)
app.command("report")(report.report)
app.command("models")(models.show_models)
app.command("promote")(promotion.promote)
app.command("rollback")(promotion.rollback)
app.command("verify")(promotion.verify)
app.command("predict")(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("explain")(explain.explain)
app.command("init")(init.init)
app.add_typer(cluster.app, name="cluster")
app.add_typer(data.app, name="data")
app.command("gc")(data.gc)
app.command("rm")(remove.remove)
app.command("ui")(machine.ui)
app.command("doctor")(doctor.doctor)


@app.callback()
def orchestrate() -> None:
    """Sweep architectures for a medical imaging task; every run goes to MLflow, the best model to its registry."""
    from orchestrator.cli import environment

    environment.load_own_tasks()


def main() -> NoReturn:
    """Run a command; a fault that the user can mend is one line and an exit code, never a traceback."""
    streams.make_safe()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)  # they end a command as Ctrl-C does
    try:
        exit_code = app(standalone_mode=False)
        sys.stdout.flush()
    except OrchestratorError as error:
        _fail(str(error), error.exit_code)
    except TyperException as error:
        _fail(error.format_message(), 2)
    except SystemExit as ended:  # so typer and rich end a command whose reader is gone
        _end(streams.READER_GONE if isinstance(ended.__context__, BrokenPipeError) else ended.code)
    except BrokenPipeError:
        _end(streams.READER_GONE)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail(f"the disk is full ({error.filename or 'output'}); free some space", DiskFull.exit_code)
        _fail(f"{error.filename or 'input or output'}: {error.strerror or error}", 2)
    if exit_code == Interrupted.exit_code:  # typer's word for Ctrl-C
        _fail("interrupted", Interrupted.exit_code)
    _end(exit_code if isinstance(exit_code, int) else 0)


def _fail(message: str, exit_code: int) -> NoReturn:
    from orchestrator.cli.console import visible

    for line in message.splitlines():
        with suppress(OSError):  # nobody reads it; the exit code still says it
            sys.stderr.write(("" if message.startswith("Usage:") else "orchestrate: ") + visible(line) + "\n")
    _end(exit_code)


def _end(exit_code: int | str | None) -> NoReturn:
    streams.let_go()
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
