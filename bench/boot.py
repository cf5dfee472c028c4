#!/usr/bin/env python3
"""
Measures the time from power-on to EDK2's shell, in stages, beside the chain of stock parts and beside OVMF without any chain, each in
turn, in the same QEMU. Of each stage, the time by the clock and the processors' time, which depends less on what else the computer does.

  bench/boot.py [--rounds N] [--stock COMMIT | --no-stock]

The emulator is the recipe `qemu`, with the libraries of its image. Needs VMBUILD_STORE, and for OVMF the Debian package ovmf. The stock
chain is what the recipes made at COMMIT: u-root's own vmboot, gokvm without patches, EDK2 with its countdown. It is built if the store
does not have it, toolchain and all; --no-stock leaves it out.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'recipes', 'shared', 'boot'))
from machine import Failed, Machine, command  # noqa: E402 # pylint: disable=wrong-import-position

# The last commit whose ROM is made of stock parts.
STOCK = 'b3cb709'
OVMF = '/usr/share/ovmf/OVMF.fd'
TIMEOUT = 300

# What a stage is called, and the text on the console that ends it. A chain that does not say it does not have the stage.
STAGES = [
    ('coreboot, kernel loaded', 'Linux version'),
    ('kernel', 'Welcome to u-root'),
    ('vmboot: firmware found', 'vmboot: starting a machine'),
    ('EDK2: shell', 'UEFI Interactive Shell'),
    ('prompt', 'Shell>'),
]


def artifact(checkout, target):
    """The path of a target's artifact, which is made if it is not there."""
    lines = subprocess.run([os.path.join(checkout, 'bin', 'vmbuild'), 'realize', target, '--json'], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return next(event['path'] for event in map(json.loads, lines) if event['type'] == 'result')


def emulator():
    """QEMU of the recipe, by the image's own loader, since this machine may have other libraries."""
    # Name and digest, and on a line of its own the folder.
    root = subprocess.run([os.path.join(ROOT, 'bin', 'vmbuild'), 'image', 'build', 'qemu'], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.splitlines()[1].strip()
    libraries = os.path.join(root, 'usr/lib/x86_64-linux-gnu')
    return (os.path.join(libraries, 'ld-linux-x86-64.so.2'), '--library-path', libraries,
            os.path.join(artifact(ROOT, 'qemu'), 'bin/qemu-system-x86_64'), '-L', os.path.join(root, 'usr/share/qemu'))


def chain(checkout):
    """ROM and disk of a checkout."""
    rom = os.path.join(artifact(checkout, 'rom-qemu-q35'), 'vmboot-qemu-q35.rom')
    return rom, os.path.join(artifact(checkout, 'efi-disks'), 'xfs.img')


def stock_chain(commit, work):
    """ROM and disk of the stock parts."""
    checkout = os.path.join(work, 'stock')
    subprocess.run(['git', 'clone', '-q', ROOT, checkout], check=True)
    subprocess.run(['git', '-C', checkout, 'checkout', '-q', commit], check=True)
    subprocess.run(['npm', 'ci', '--silent', '--prefer-offline'], cwd=checkout, check=True)
    return chain(checkout)


def measure(qemu, rom, disk, marks):
    """For each mark, the seconds from power-on to it: by the clock, and of processors."""
    with Machine(command(rom, [(disk, False)], qemu=qemu), TIMEOUT) as machine:
        times = {}
        for mark in marks:
            machine.wait_for(mark)
            times[mark] = machine.elapsed(), machine.cpu_seconds()
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=5)
    stock = parser.add_mutually_exclusive_group()
    stock.add_argument('--stock', default=STOCK)
    stock.add_argument('--no-stock', action='store_true')
    options = parser.parse_args()
    os.environ.setdefault('VMBUILD_STORE', os.path.join(ROOT, 'cache'))
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        texts = [text for _, text in STAGES]
        qemu = emulator()
        ours = chain(ROOT)
        runs = {'vmbuild': (ours, texts)}
        if not options.no_stock:
            runs['stock'] = stock_chain(options.stock, work), [text for text in texts if not text.startswith('vmboot:')]
        if os.path.exists(OVMF):
            runs['OVMF'] = (OVMF, ours[1]), texts[-2:]
        else:
            print(f'{OVMF} is not there: without OVMF', file=sys.stderr)
        times = {name: [] for name in runs}
        for number in range(options.rounds):
            for name, ((rom, disk), marks) in runs.items():
                try:
                    times[name].append(measure(qemu, rom, disk, marks))
                except Failed as failure:
                    print(f'{name}, round {number + 1}: {failure}', file=sys.stderr)
    report(times)


def report(times):
    """Prints medians of the seconds since power-on, and how the chains compare."""
    print(f'load {os.getloadavg()[0]:.1f}; seconds since power-on: by the clock / of processors; medians of '
          f'{", ".join(str(len(rounds)) for rounds in times.values())} rounds')
    print(f'{"":28}' + ''.join(f'{name:>16}' for name in times))
    for stage, text in STAGES:
        cells = []
        for rounds in times.values():
            clock, processors = median(rounds, text)
            cells.append(f'{clock:8.1f} /{processors:6.1f}' if clock else f'{"-":>16}')
        print(f'{stage:28}' + ''.join(cells))
    ours = median(times['vmbuild'], 'Shell>')
    for name, rounds in times.items():
        theirs = median(rounds, 'Shell>')
        if name != 'vmbuild' and ours[0] and theirs[0]:
            print(f'vmbuild / {name}: {ours[0] / theirs[0]:.2f} by the clock, {ours[1] / theirs[1]:.2f} of processors')


def median(rounds, mark):
    """Medians of both times of a mark, or nothing twice."""
    seen = [times[mark] for times in rounds if mark in times]
    return tuple(map(statistics.median, zip(*seen))) if seen else (None, None)


main()
