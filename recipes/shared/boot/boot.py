"""
Boots a ROM through scenarios, and checks for each that the console shows its marks in their order.

  /in/rom/vmboot-qemu-q35.rom, /in/qemu/bin/qemu-system-x86_64, and the disks that the scenarios name, as paths below /in
  /recipe/scenarios.json
  -> /out/verdict.json: what was seen, and nothing that varies; times and transcripts are printed.

With $VMBUILD_MACHINE, which `vmbuild boot` sets, it boots one machine instead, whose console is the socket /out/console:
JSON with the number of `disks`, which are /in/disk-1 and so on, and arguments of machine.command.

scenarios.json has `timeout`, seconds for one boot, and `scenarios`, each with

  name       what the scenario is called
  rounds     how often it has to go well
  disks      paths below /in; what is written to them is lost, unless the scenario has `written`
  machine    what is unusual about the machine: arguments of machine.command
  steps      in their order: a text, the mark that has to appear; {"type": text}, what is typed then;
             {"enter": text}, the same, and once it is on the console the Enter key, as a person does;
             {"ends": true}, the machine switches itself off
  written    afterwards there is a file in the last disk's file system: {"partition": number, "file": path}, and beside it
             one with `.sha256` at its end and its digest inside
"""
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys

from machine import Failed, Machine, command

ROM = '/in/rom/vmboot-qemu-q35.rom'
# Option ROMs and the like, which Debian's packages have.
QEMU = ['/in/qemu/bin/qemu-system-x86_64', '-L', '/usr/share/qemu']


def boot(scenario, timeout):
    """One boot from power-on to the last step. Throws Failed, after printing what the console has shown."""
    disks = [(os.path.join('/in', disk), False) for disk in scenario.get('disks', [])]
    if 'written' in scenario:
        shutil.copyfile(disks[-1][0], 'written.img')
        disks[-1] = ('written.img', True)
    with Machine(command(ROM, disks, qemu=QEMU, **{'steady': True, **scenario.get('machine', {})}), timeout) as machine:
        try:
            for step in scenario['steps']:
                take(machine, step)
        except Failed:
            print(machine.said.decode('utf-8', 'replace'), *machine.errors(), sep='\n')
            raise
        print(f'--- the console\n{machine.said.decode("utf-8", "replace")}\n---')
    if 'written' in scenario:
        check_written('written.img', **scenario['written'])


def serve(disks, **machine):
    """Becomes QEMU, which waits until somebody is at the console."""
    paths = [(f'/in/disk-{number}', False) for number in range(1, disks + 1)]
    line = command(ROM, paths, qemu=QEMU, **machine, serial='unix:/out/console,server=on,wait=on')
    os.environ['TMPDIR'] = os.getcwd()
    os.execvp(line[0], line)


def take(machine, step):
    if isinstance(step, str):
        machine.wait_for(step)
        print(f'{machine.elapsed():7.1f} s  {step}', flush=True)
    elif 'type' in step:
        machine.type(step['type'])
    elif 'enter' in step:
        machine.type(step['enter'])
        machine.wait_for(step['enter'])
        machine.type('\r')
    elif step.get('ends'):
        machine.wait_for_end()
        print(f'{machine.elapsed():7.1f} s  the machine is off', flush=True)
    else:
        sys.exit(f'boot: no such step: {step}')


def check_written(disk, partition, file):
    """Checks the file system of a disk with a GPT, and that a file in it has the digest that stands beside it."""
    with open(disk, 'rb') as image:
        image.seek(2 * 512 + (partition - 1) * 128 + 32)
        begin = struct.unpack('<Q', image.read(8))[0] * 512
    where = f'{disk}?offset={begin}'
    checked = subprocess.run(['e2fsck', '-fn', where], capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        raise Failed(f'the file system is damaged afterwards:\n{checked.stdout}{checked.stderr}')
    content, digest = (
        subprocess.run(['debugfs', '-R', f'cat {path}', where], capture_output=True, check=True).stdout
        for path in (file, f'{file}.sha256'))
    if not content or hashlib.sha256(content).hexdigest() != digest.decode().strip():
        raise Failed(f'{file} has {len(content)} bytes, and not those that were written')
    print(f'boot: {file} has what was written, and the file system is clean', flush=True)


def main():
    if 'VMBUILD_MACHINE' in os.environ:
        serve(**json.loads(os.environ['VMBUILD_MACHINE']))
    with open('/recipe/scenarios.json', encoding='utf-8') as file:
        plan = json.load(file)
    seen = []
    for scenario in plan['scenarios']:
        for number in range(1, scenario['rounds'] + 1):
            print(f'boot: {scenario["name"]}, round {number} of {scenario["rounds"]}', flush=True)
            try:
                boot(scenario, plan['timeout'])
            except Failed as failure:
                sys.exit(f'boot: {scenario["name"]}, round {number}: {failure}; the console said the above')
        seen.append({name: scenario[name] for name in ('name', 'rounds', 'steps', 'written') if name in scenario})
    if not seen or any(not scenario['rounds'] or not scenario['steps'] for scenario in seen):
        sys.exit('boot: nothing to do')
    with open('/out/verdict.json', 'w', encoding='utf-8') as out:
        json.dump({'format': 2, 'verdict': 'boots', 'scenarios': seen}, out, indent=2)
        out.write('\n')


if __name__ == '__main__':
    main()
