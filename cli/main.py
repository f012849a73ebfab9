"""The command `osnet-edge`: exit code 0 on success, 1 on failure, 2 on wrong input."""

from __future__ import annotations

import errno
import logging
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

import click

from osnet_edge.cli.group import CommandGroup
from osnet_edge.cli.progress import say
from osnet_edge.runtime.errors import OsnetEdgeError, first_line, printable

#: The commands in order, each with its module and function.
_COMMANDS = {
    "export": "export:export",
    "calibrate": "calibrate:calibrate",
    "build": "build:build",
    "tune": "tune:tune",
    "recipe": "recipe:recipe",
    "inspect": "inspect:inspect",
    "embed": "embed:embed",
    "integrate": "integrate:integrate",
    "bench": "bench:bench",
    "track": "track:track",
    "doctor": "doctor:doctor",
    "train": "train:train",
    "eval": "eval:evaluate",
    "search": "search:search",
    "data": "data:data",
    "demo": "demo:demo",
    "keys": "keys:keys",
    "publish": "publish:publish",
    "rollout": "publish:rollout",
    "ship": "ship:ship",
    "device": "device:device",
}

#: The extra that installs each library.
_EXTRAS = {
    "cryptography": "fleet",
    "cv2": "opencv",
    "filterpy": "tracking",
    "onnx": "build",
    "ruamel": "integrate",
    "onnxsim": "export",
    "scipy": "tracking",
    "securesystemslib": "device",
    "tensorboardX": "train",
    "tomli": "train",
    "tomli_w": "train",
    "torch": "export",
    "tuf": "device",
}

#: What click raises with a group's help for a message.
_HELP: tuple[type[Exception], ...] = (
    (click.exceptions.NoArgsIsHelpError,) if hasattr(click.exceptions, "NoArgsIsHelpError") else ()
)

#: System errors that depend on the path.
_CHOSEN = {
    errno.EACCES,
    errno.EBUSY,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENOENT,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EPERM,
}


class Commands(CommandGroup):
    """A group that imports a command only when it is run, so that `device status` starts fast."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the commands' names."""
        return sorted(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command; None if there is none with this name."""
        if name not in _COMMANDS:
            return None
        module, function = _COMMANDS[name].split(":")
        command: click.Command = getattr(import_module(f"osnet_edge.cli.{module}"), function)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="osnet-edge")
@click.option("-v", "--verbose", is_flag=True, help="Also show the logs of libraries, such as TensorRT's.")
def cli(verbose: bool) -> None:
    """OSNet person re-identification, from a checkpoint to a measured engine.

    \b
    Example:
      osnet-edge export osnet_x0_25_msmt17.pth -o osnet.onnx
      osnet-edge build  osnet.onnx --target cpu -o osnet-cpu
      osnet-edge bench  osnet-cpu --data viper
    """
    # Our own message includes the library's error; a failure should print only one line.
    level = logging.INFO if verbose else logging.CRITICAL
    logging.basicConfig(level=level, format="%(name)s: %(message)s", stream=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; every expected failure is one line on standard error.

    Args:
        arguments: without the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    if arguments is None:
        # On SIGTERM, clean up as on Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            code = cli.main(args=arguments, prog_name="osnet-edge", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.UsageError as error:
        return _fail_for_usage(error)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted; nothing was left half-written", 1)
    except OsnetEdgeError as error:
        return _fail(str(error), error.exit_code)
    except ImportError as error:
        return _fail_for_module(error)
    except MemoryError:
        return _fail("there is not enough memory for this; ask for smaller batches or images", 1)
    except OSError as error:
        return _fail_for_system(error)


def _note(message: Warning | str, *where: object, **more: object) -> None:
    """Show a warning as one line, without its place in our code."""
    say(f"note: {' '.join(str(message).split())}", indent="")


def _fail(message: str, code: int) -> int:
    click.echo(f"error: {printable(' '.join(message.split()))}", err=True)
    return code


def _fail_for_usage(error: click.UsageError) -> int:
    """Report what was typed wrong; a group without a command shows its help."""
    if isinstance(error, _HELP):
        # A group without a command, since click 8.2; before, click prints the help itself.
        error.show()
        return error.exit_code
    where = error.ctx.command_path if error.ctx else "osnet-edge"
    message = error.format_message().rstrip(".")
    if "PRIVATE KEY" in message:
        # A variable's text in place of its name, which begins like an option.
        message = "expected a key as a file or as env:NAME, got the text of a key itself (not shown here)"
    return _fail(f"{message}{' See' if message.endswith('?') else '; see'} {where} --help", 2)


def _fail_for_module(error: ImportError) -> int:
    missing = (error.name or "").split(".")[0]
    if not isinstance(error, ModuleNotFoundError) and missing != "osnet_edge":
        # Installed, and one of its own libraries cannot be opened, for example.
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        return _fail(f"a library cannot be loaded: {reason}; install it again", 1)
    if missing not in _EXTRAS:
        raise error
    return _fail(
        f"this needs {missing}, which is not installed: pip install 'osnet-edge[{_EXTRAS[missing]}]'", 1
    )


def _fail_for_system(error: OSError) -> int:
    """Report errors such as a full disk or missing permission without a traceback; the user can fix them."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _fail(
            f"the disk is full ({error.filename or error.strerror}); nothing was left half-written", 1
        )
    if error.errno is None:
        return _fail(first_line(error), 1)
    # The caller chooses names and permissions; other errors are the machine's.
    code = 2 if error.errno in _CHOSEN else 1
    return _fail(f"{error.strerror}: {error.filename}; choose another path", code)


if __name__ == "__main__":
    sys.exit(main())
