"""The emulated boards: what has to be installed, how their firmware is built, how they are started.

The boards, and their options for QEMU, stand in .cargo/config.toml as cargo's runners.
"""

import os
import pathlib
import shutil
import subprocess
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGETS = {'lm3s6965': 'thumbv7m-none-eabi', 'microbit': 'thumbv6m-none-eabi'}


def install():
    """Gets what is missing: QEMU, and core libraries for the two targets."""
    if not shutil.which('qemu-system-arm'):
        apt_get('qemu-system-arm')
    if rustup_has_targets():
        return
    # Where rustup cannot fetch them, Debian's compiler builds its own core library.
    apt_get('rustc-web', 'cargo-web', 'rust-web-src', 'lld')


def rustup_has_targets():
    if not shutil.which('rustup'):
        return False
    listed = run('rustup', 'target', 'list', '--installed', stdout=subprocess.PIPE, text=True)
    missing = set(TARGETS.values()) - set(listed.stdout.split())
    return not missing or run('rustup', 'target', 'add', *missing, check=False).returncode == 0


def apt_get(*packages):
    run('apt-get', 'update', '-q')
    run('apt-get', 'install', '-yq', '--no-install-recommends', *packages)


def build(board, program, *more):
    """Builds a program for a board; where it lies."""
    target = TARGETS[board]
    command = ['build', '--locked', '--release', '--target', target, '--bin', program, *more]
    if rustup_has_targets():
        run('cargo', *command, cwd=HERE)
        return HERE / 'target' / target / 'release' / program
    environment = {
        'RUSTC': '/usr/bin/rustc',
        'RUSTC_BOOTSTRAP': '1',
        f'CARGO_TARGET_{target.upper().replace("-", "_")}_LINKER': 'ld.lld',
    }
    command += ['-Zbuild-std=core', '--target-dir', 'target/debian']
    run('/usr/bin/cargo', *command, cwd=HERE, env=os.environ | environment)
    return HERE / 'target' / 'debian' / target / 'release' / program


def qemu(board, program, *more, serial):
    """The command that starts a program on a board, with its serial line on `serial`."""
    config = tomllib.loads((ROOT / '.cargo' / 'config.toml').read_text())
    command = config['target'][TARGETS[board]]['runner'].split()
    command[command.index('-serial') + 1] = serial
    return [*command, str(program), *more]


def run(*command, check=True, **more):
    return subprocess.run(command, check=check, **more)
