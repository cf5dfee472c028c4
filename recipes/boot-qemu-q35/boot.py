"""Boots a ROM in QEMU, in plain emulation, and waits until its serial console has shown every mark in the given order.

  /in/rom/vmboot-qemu-q35.rom, /in/disks/<name>.img
  $ROUNDS     how often each disk is booted
  $DISKS      names of disks
  $MARKS      texts, one a line
  $TIMEOUT    seconds for one boot
  -> /out/verdict.json: what was seen, and nothing that varies; times and transcripts are printed.
"""
import json
import os
import re
import subprocess
import sys
import time

ROM = '/in/rom/vmboot-qemu-q35.rom'
# What a terminal would not show: escape sequences, carriage returns and NUL bytes.
INVISIBLE = re.compile(rb'\x1b\[[0-9;?]*[A-Za-z]|\x1b[()=>][0-9A-B]?|[\r\0]')


class Failed(Exception):
    """A boot without all of its marks; the message says why."""


def qemu(disk):
    """Always TCG, never the machine's KVM: what is to be proved needs a processor with SVM and nested paging."""
    return [
        'qemu-system-x86_64', '-M', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'EPYC,+svm', '-m', '2G', '-smp', '2',
        '-nodefaults', '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot', '-bios', ROM,
        # snapshot: what is written goes to a file of $TMPDIR
        '-drive', f'file=/in/disks/{disk}.img,format=raw,if=none,id=d,snapshot=on', '-device', 'ide-hd,drive=d,bus=ide.0',
    ]


def watch(console, marks, deadline, started):
    """Reads the console until the last mark; returns all that it said, also to a caller that gets Failed."""
    said = bytearray()
    position = 0
    for mark in marks:
        while (found := said.find(mark.encode(), position)) < 0:
            if time.monotonic() > deadline:
                raise Failed(f'timed out, waiting for {mark!r}', said)
            os.set_blocking(console.fileno(), False)
            chunk = console.read(65536)
            if chunk == b'':
                raise Failed(f'QEMU ended, waiting for {mark!r}', said)
            if chunk is None:
                time.sleep(0.05)
                continue
            said += INVISIBLE.sub(b'', chunk)
        position = found + len(mark)
        print(f'{time.monotonic() - started:7.1f} s  {mark}', flush=True)
    return said


def boot(disk, marks, timeout):
    """One boot from power-on to the last mark."""
    started = time.monotonic()
    with open('qemu.log', 'wb') as errors:
        machine = subprocess.Popen(
            qemu(disk), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, bufsize=0,
            env={**os.environ, 'TMPDIR': '/build'})
    try:
        return watch(machine.stdout, marks, started + timeout, started)
    finally:
        machine.kill()
        machine.wait()


def main():
    rounds, timeout = int(os.environ['ROUNDS']), int(os.environ['TIMEOUT'])
    disks, marks = os.environ['DISKS'].split(), os.environ['MARKS'].split('\n')
    if rounds < 1 or not disks or not all(marks):
        sys.exit('boot: nothing to do')
    for disk in disks:
        for number in range(1, rounds + 1):
            print(f'boot: {disk}, round {number} of {rounds}', flush=True)
            try:
                said = boot(disk, marks, timeout)
            except Failed as failure:
                why, said = failure.args
                with open('qemu.log', encoding='utf-8', errors='replace') as log:
                    # What TCG lacks of an EPYC is a dozen lines, and never the reason.
                    errors = [line for line in log if "TCG doesn't support requested feature" not in line]
                print(said.decode('utf-8', 'replace'), *errors, sep='\n')
                sys.exit(f'boot: {disk}, round {number}: {why}; the console said the above')
        print(f'--- the console of the last round\n{said.decode("utf-8", "replace")}\n---')
    verdict = {'format': 1, 'verdict': 'boots', 'rounds': rounds, 'boots': [{'disk': d, 'marks': marks} for d in disks]}
    with open('/out/verdict.json', 'w', encoding='utf-8') as out:
        json.dump(verdict, out, indent=2)
        out.write('\n')


if __name__ == '__main__':
    main()
