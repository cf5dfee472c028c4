"""A machine in QEMU, in plain emulation, and its serial console."""
import os
import re
import select
import subprocess
import time

# What a terminal would not show: escape sequences, carriage returns and NUL bytes.
INVISIBLE = re.compile(rb'\x1b\[[0-9;?]*[A-Za-z]|\x1b[()=>][0-9A-B]?|[\r\0]')
# An escape sequence whose end has not come yet.
UNFINISHED = re.compile(rb'\x1b(\[[0-9;?]*|[()=>])?$')


class Failed(Exception):
    """A boot that did not go as it should; the message says why."""


def command(rom, disks, memory=2048, cpus=2, processor='EPYC,+svm', network=False, serial='stdio', steady=False,
            qemu=('qemu-system-x86_64',)):
    """
    The command line of QEMU. `disks` are pairs of a path and whether what is written to it stays there; `memory` is in MiB.

    Always TCG, never the machine's KVM: what is to be proved needs a processor with SVM and nested paging.

    `qemu` is the program, and arguments that it always gets.

    All its processors share one thread. With a thread for each, a boot takes a seventh less, but one in seven has a triple fault in QEMU's
    AMD-V.

    `steady`: the machine's time passes by the instructions that it executes (8 ns each), and by the clock only while it has nothing to
    do. So on a busy computer its timers do not overtake what it gets done.
    """
    line = [
        *qemu, '-M', 'q35', '-accel', 'tcg,thread=single', '-cpu', processor, '-m', f'{memory}M',
        '-smp', str(cpus), '-nodefaults', '-display', 'none', '-monitor', 'none', '-serial', serial, '-no-reboot',
        '-bios', rom,
    ]
    if steady:
        line += ['-icount', 'shift=3']
    for number, (path, stays) in enumerate(disks):
        # snapshot: what is written goes to a file of $TMPDIR
        line += ['-drive', f'file={path},format=raw,if=none,id=d{number},snapshot={"off" if stays else "on"}',
                 '-device', f'ide-hd,drive=d{number},bus=ide.{number}']
    if network:
        # restrict: nothing leaves this machine; QEMU itself answers DHCP.
        line += ['-netdev', 'user,id=n,restrict=on', '-device', 'e1000e,netdev=n,romfile=']
    return line


class Machine:
    """A running machine; `said` is what its console has shown so far."""

    def __init__(self, line, deadline):
        self.started = time.monotonic()
        self.deadline = self.started + deadline
        self.said = bytearray()
        self.position = 0
        self._rest = b''
        self._errors = open('qemu.log', 'w+', encoding='utf-8', errors='replace')
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                                         bufsize=0,
                                         env={**os.environ, 'TMPDIR': os.getcwd()})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def errors(self):
        """What QEMU itself said. What TCG lacks of an EPYC is a dozen lines, and never the reason."""
        self._errors.seek(0)
        return [line for line in self._errors if "TCG doesn't support requested feature" not in line]

    def elapsed(self):
        return time.monotonic() - self.started

    def cpu_seconds(self):
        """How long processors have worked for this machine: on a busy computer that says more than the clock."""
        with open(f'/proc/{self._process.pid}/stat', encoding='utf-8') as file:
            user, system = file.read().rpartition(')')[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')

    def wait_for(self, mark):
        """Reads the console until it shows the mark, after the last one."""
        while (found := self.said.find(mark.encode(), self.position)) < 0:
            if not self._read(f'waiting for {mark!r}'):
                raise Failed(f'QEMU ended, waiting for {mark!r}')
        self.position = found + len(mark.encode())

    def wait_for_end(self):
        """Waits until the machine switches itself off."""
        while self._read('waiting for its end'):
            pass
        status = self._process.wait()
        if status != 0:
            raise Failed(f'QEMU ended with {status}')

    def type(self, text):
        self._process.stdin.write(text.encode())

    def _read(self, waiting):
        """Reads what there is, or waits for it; False at the end."""
        left = self.deadline - time.monotonic()
        if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
            raise Failed(f'timed out, {waiting}')
        chunk = self._process.stdout.read(65536)
        text = self._rest + chunk
        unfinished = UNFINISHED.search(text) if chunk else None
        self._rest = unfinished.group() if unfinished else b''
        self.said += INVISIBLE.sub(b'', text[:len(text) - len(self._rest)])
        return chunk != b''
