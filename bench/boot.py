#!/usr/bin/env python3
"""
Measures the time from power-on to EDK2's shell, in stages, beside the chain of stock parts and beside OVMF without any chain, each in
turn, in the same QEMU.

  bench/boot.py [--rounds N] [--stock COMMIT]

Needs the Debian packages qemu-system-x86 and ovmf, and VMBUILD_STORE. The stock chain is what the recipes made at COMMIT: u-root's own
vmboot, gokvm without patches, EDK2 with its countdown. It is built if the store does not have it.
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


def chain(checkout):
    """ROM and disk of a checkout."""
    rom = os.path.join(artifact(checkout, 'rom-qemu-q35'), 'vmboot-qemu-q35.rom')
    return rom, os.path.join(artifact(checkout, 'efi-disks'), 'xfs.img')


def measure(rom, disk, marks):
    """Seconds from power-on to each mark, or None."""
    with Machine(command(rom, [(disk, False)]), TIMEOUT) as machine:
        times = []
        for mark in marks:
            machine.wait_for(mark)
            times.append(machine.elapsed())
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--stock', default=STOCK)
    options = parser.parse_args()
    os.environ.setdefault('VMBUILD_STORE', os.path.join(ROOT, 'cache'))
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        stock = os.path.join(work, 'stock')
        subprocess.run(['git', 'clone', '-q', ROOT, stock], check=True)
        subprocess.run(['git', '-C', stock, 'checkout', '-q', options.stock], check=True)
        subprocess.run(['npm', 'ci', '--silent', '--prefer-offline'], cwd=stock, check=True)
        ours, theirs = chain(ROOT), chain(stock)
        texts = [text for _, text in STAGES]
        runs = {
            'vmbuild': (ours, texts),
            'stock': (theirs, [text for text in texts if not text.startswith('vmboot:')]),
            'OVMF': ((OVMF, ours[1]), texts[-2:]),
        }
        times = {name: [] for name in runs}
        for number in range(options.rounds):
            for name, ((rom, disk), marks) in runs.items():
                try:
                    times[name].append(dict(zip(marks, measure(rom, disk, marks))))
                except Failed as failure:
                    print(f'{name}, round {number + 1}: {failure}', file=sys.stderr)
    report(times)


def report(times):
    """Prints medians: seconds since power-on, and of each stage alone."""
    print(f'load {os.getloadavg()[0]:.1f}; seconds since power-on, medians of {", ".join(str(len(t)) for t in times.values())} rounds')
    print(f'{"":28}' + ''.join(f'{name:>12}' for name in times))
    for stage, text in STAGES:
        cells = []
        for rounds in times.values():
            seen = [round[text] for round in rounds if text in round]
            cells.append(f'{statistics.median(seen):12.1f}' if seen else f'{"-":>12}')
        print(f'{stage:28}' + ''.join(cells))
    ends = {name: statistics.median(round['Shell>'] for round in rounds) for name, rounds in times.items() if rounds}
    for name in ('stock', 'OVMF'):
        if name in ends and 'vmbuild' in ends:
            print(f'vmbuild / {name}: {ends["vmbuild"] / ends[name]:.2f}')


main()
