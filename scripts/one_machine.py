"""Several machines on one: each has folders and an sshd of its own, and all a network with names.

In Linux namespaces, which end with the script; nothing outside of its scratch folder is changed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

#: What each machine has for itself, by the folder that stands for it.
_OWN = {"lib": "/var/lib", "units": "/etc/systemd/system", "srv": "/srv"}
_SBIN = "/usr/sbin:/sbin:/usr/local/sbin"
_INSIDE = "OSNET_EDGE_INSIDE"


def enter_namespaces() -> None:
    """Run this script again where mounts, processes and the network are its own; return in there.

    Raises:
        SystemExit: something that it needs is missing, or it may not.
    """
    if os.environ.get(_INSIDE):
        _system("ip", "link", "set", "lo", "up")
        return
    os.environ["PATH"] += f":{_SBIN}"
    needed = ("ip", "nginx", "nsenter", "openssl", "rsync", "ssh", "ssh-keygen", "sshd", "systemd-analyze")
    if missing := [name for name in ("unshare", *needed) if shutil.which(name) is None]:
        sys.exit(
            f"this needs {', '.join(missing)}: apt-get install iproute2 nginx-light openssh-server rsync"
        )
    if os.geteuid():
        sys.exit("this needs root, to make namespaces: run it with sudo")
    options = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    os.environ[_INSIDE] = "1"
    os.execvp("unshare", ["unshare", *options, sys.executable, *sys.argv])  # noqa: S606, S607


class Network:
    """Machines that reach each other by ssh.

    Args:
        scratch: folder for all that they have.
        names: of each, after itself, further names of it.
        environment: of whatever runs on one.
    """

    def __init__(
        self, scratch: Path, names: Mapping[str, tuple[str, ...]], environment: Mapping[str, str]
    ) -> None:
        self.scratch, self._environment = scratch, dict(environment)
        for key in ("host", "user"):
            _system("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(scratch / key))
        addresses = {name: f"127.0.1.{at}" for at, name in enumerate(names, 1)}
        hosts = "".join(f"{addresses[name]} {name} {' '.join(more)}\n" for name, more in names.items())
        host_key = " ".join((scratch / "host.pub").read_text().split()[:2])
        self._instead("/etc/hosts", f"127.0.0.1 localhost\n{hosts}")
        (scratch / "known").write_text(f"{','.join(addresses)} {host_key}\n")
        self._instead(
            "/etc/ssh/ssh_config",
            f"Host *\n  IdentityFile {scratch}/user\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {scratch}/known\n",
        )
        self._machines = {name: self._start(name, address) for name, address in addresses.items()}
        for address in addresses.values():
            _wait_for(address, 22)

    def home(self, name: str) -> Path:
        """Return the folder in which a machine's commands run."""
        return self.scratch / name / "home"

    def command(self, name: str, *command: str) -> list[str]:
        """Return what runs a command on a machine."""
        return ["nsenter", "-m", "-t", str(self._machines[name].pid), f"--wd={self.home(name)}", *command]

    def run(self, name: str, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command line on a machine, with more in its environment."""
        return subprocess.run(  # noqa: S603 - what a document says is what is typed
            self.command(name, "bash", "-c", command),
            env={**self._environment, **more},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def start(self, name: str, command: str) -> subprocess.Popen[bytes]:
        """Start what runs on, on a machine."""
        return subprocess.Popen(  # noqa: S603 - as above
            self.command(name, "bash", "-c", command), env=self._environment, stdin=subprocess.DEVNULL
        )

    def serve(self, name: str, folder: str, server_name: str, rules: str) -> Path:
        """Serve a folder of a machine over https; return the certificate of who signed the server's.

        Args:
            name: of the machine.
            folder: there.
            server_name: as clients call it.
            rules: of nginx, within its server.
        """
        key, certificate = self.scratch / "tls.key", self.scratch / "tls.pem"
        names = ("-subj", f"/CN={server_name}", "-addext", f"subjectAltName=DNS:{server_name}")
        files = ("-keyout", str(key), "-out", str(certificate))
        _system("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *names)
        (self.scratch / "nginx.conf").write_text(
            f"daemon off; user root; pid {self.scratch}/nginx.pid; events {{ }}\n"
            f"http {{ access_log {self.scratch}/access.log;\n"
            f"server {{ listen 443 ssl; server_name {server_name}; root {folder};\n"
            f"ssl_certificate {certificate}; ssl_certificate_key {key};\n{rules} }} }}\n"
        )
        self.start(
            name,
            f"mkdir -p /var/lib/nginx && exec nginx -c {self.scratch}/nginx.conf -e {self.scratch}/nginx.log",
        )
        _wait_for(server_name, 443)
        return certificate

    def _instead(self, file: str, content: str) -> None:
        """Put a file in place of one of the system, for all machines."""
        ours = self.scratch / Path(file).name
        ours.write_text(content)
        _system("mount", "--bind", str(ours), file)

    def _start(self, name: str, address: str) -> subprocess.Popen[bytes]:
        folder = self.scratch / name
        for each in (*_OWN, "home"):
            (folder / each).mkdir(parents=True, exist_ok=True)
        config = folder / "sshd_config"
        config.write_text(
            f"ListenAddress {address}\nHostKey {self.scratch}/host\n"
            f"AuthorizedKeysFile {self.scratch}/user.pub\nStrictModes no\nUsePAM no\n"
            f"PermitRootLogin yes\nPidFile none\nSetEnv PATH={self._environment['PATH']}\n"
        )
        mounts = "".join(f"mount --bind {folder}/{own} {place} && " for own, place in _OWN.items())
        run = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && "
        sshd = f'exec "$(command -v sshd)" -D -f {config} -E {folder}/sshd.log'
        command = ["unshare", "--mount", "bash", "-c", mounts + run + sshd]
        return subprocess.Popen(command)  # noqa: S603 - paths of ours


def _system(*command: str) -> None:
    """Run a program of the system, which must succeed."""
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - words of ours


def _wait_for(host: str, port: int) -> None:
    """Wait until something listens."""
    for _ in range(200):
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing listens on {host}:{port}")


def unit_commands(unit: str, kinds: Iterable[str]) -> list[str]:
    """Return the commands of a systemd service, of some kinds such as `ExecStart`, in the order of these."""
    lines = [line.partition("=") for line in unit.splitlines()]
    return [value for kind in kinds for name, _, value in lines if name == kind]
