"""The camera's disk: Debian with systemd, and the project's wheel in an environment of its own."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from booted.host import CHECKOUT, quiet
from osnet_edge.cli.progress import step
from osnet_edge.runtime.files import sha256_of

_SUITE, _PYTHON = "bookworm", "3.11"
_PACKAGES = (
    *("usr-is-merged", "systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64", "initramfs-tools"),
    *("python3", "python3-venv", "openssh-server"),
)
#: Where the environment is, and the program that embeds.
ENVIRONMENT, PROGRAM = Path("/opt/osnet-edge"), Path("/opt/camera")
_INSIDE = Path(__file__).with_name("inside")
#: What a cloud's machine does at a boot, and a camera does not.
_MASKED = ("e2scrub_reap.service", "systemd-logind.service", "getty@tty1.service", "apt-daily.timer")
_ROOMS = ("api", "bench", "cli", "engines", "export", "integrate", "runtime", "ship", "train")
_SIZE = "2G"


@dataclass(frozen=True)
class Image:
    """What a machine boots from; nothing of it is written to.

    Attributes:
        disk: raw, one ext4.
        kernel: of it, and
        initrd: which is handed to it by the emulator, without a boot loader.
        key: that its root user lets in.
    """

    disk: Path
    kernel: Path
    initrd: Path
    key: Path


def make_image(folder: Path) -> Image:
    """Make the image of the checkout as it is now, or take the one that is there.

    Args:
        folder: keeps Debian, wheels and images; they are used again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root, key = folder / "debian", folder / "key"
    if not key.exists():
        quiet("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    if not (folder / "debian.made").exists():
        step(f"making a root of Debian {_SUITE}, which takes minutes")
        shutil.rmtree(root, ignore_errors=True)
        _bootstrap(root)
        (folder / "debian.made").touch()
    image = Image(folder / f"camera-{_digest()}.img", folder / "vmlinuz", folder / "initrd", key)
    if not image.disk.exists():
        step("installing the project, and writing the disk")
        _install(root, folder)
        _place(root, key)
        _write(root, image)
    return image


def _bootstrap(root: Path) -> None:
    options = ["--variant=minbase", "--mode=root", "--quiet", f"--include={','.join(_PACKAGES)}"]
    options += ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", '--aptopt=Acquire::Languages "none"']
    options += ["--dpkgopt=force-unsafe-io"]
    options += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    quiet("mmdebstrap", *options, _SUITE, str(root))
    quiet("chroot", str(root), "python3", "-m", "venv", str(ENVIRONMENT))


def _install(root: Path, folder: Path) -> None:
    """Install our own wheel with `[device]`, from a folder of wheels: the camera asks no registry."""
    wheels, own = folder / f"wheels-{sha256_of(CHECKOUT / 'constraints.txt')[:8]}", folder / "own"
    shutil.rmtree(own, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check"]
    quiet(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(own), str(CHECKOUT))
    (wheel,) = own.iterdir()
    if not wheels.exists():
        # As for any machine with glibc 2.36: not this machine's Python, nor its libc.
        tags = [f"--platform=manylinux_2_{minor}_x86_64" for minor in (36, 34, 31, 28, 27, 17)]
        tags += ["--platform=manylinux2014_x86_64", f"--python-version={_PYTHON}", "--implementation=cp"]
        binary = ["--only-binary=:all:", "-c", str(CHECKOUT / "constraints.txt"), "-d", f"{wheels}.part"]
        quiet(*pip, "download", *tags, *binary, f"{wheel}[device]")
        Path(f"{wheels}.part").rename(wheels)
    inside = root / "wheels"
    shutil.copytree(wheels, inside, dirs_exist_ok=True)
    shutil.copy(wheel, inside)
    install = [str(ENVIRONMENT / "bin/pip"), "install", "-qq", "--no-index", "--find-links", "/wheels"]
    quiet("chroot", str(root), *install, "osnet-edge[device]")
    quiet("chroot", str(root), *install, "--no-deps", "--force-reinstall", "osnet-edge")
    shutil.rmtree(inside)


def _place(root: Path, key: Path) -> None:
    """Put our files, and who may come in, into the root."""
    for name, place in (
        ("follow.py", PROGRAM),
        ("camera.service", Path("/etc/systemd/system")),
        ("at-boot.service", Path("/etc/systemd/system")),
        ("wired.network", Path("/etc/systemd/network")),
    ):
        (root / place.relative_to("/")).mkdir(parents=True, exist_ok=True)
        shutil.copy(_INSIDE / name, root / place.relative_to("/"))
    ssh = root / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(f"{key}.pub", ssh / "authorized_keys")
    (root / "etc/hostname").write_text("cam-7\n")
    (root / "etc/environment").write_text(f"PATH={ENVIRONMENT}/bin:/usr/sbin:/usr/bin:/sbin:/bin\n")
    if "\ncamera:" not in (root / "etc/passwd").read_text():
        quiet("chroot", str(root), "useradd", "--system", "camera")
    quiet("chroot", str(root), "systemctl", "enable", "systemd-networkd", "at-boot")
    quiet("chroot", str(root), "systemctl", "mask", *_MASKED)


def _write(root: Path, image: Image) -> None:
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    (initrd,) = (root / "boot").glob("initrd.img-*")
    shutil.copy(kernel, image.kernel)
    shutil.copy(initrd, image.initrd)
    part = image.disk.with_suffix(".part")
    quiet("mke2fs", "-q", "-F", "-t", "ext4", "-d", str(root), str(part), _SIZE)
    part.rename(image.disk)


def _digest() -> str:
    """Tell one state of the checkout, and of what is put inside, from another."""
    files = [path for room in _ROOMS for path in (CHECKOUT / room).rglob("*") if path.is_file()]
    files += [*_INSIDE.iterdir(), Path(__file__), CHECKOUT / "pyproject.toml"]
    told = hashlib.sha256()
    for path in sorted(each for each in files if "__pycache__" not in each.parts):
        told.update(f"{path.relative_to(CHECKOUT)} {sha256_of(path)}\n".encode())
    return told.hexdigest()[:12]
