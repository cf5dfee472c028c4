import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { uniqueMarker } from '../../support/processes.ts';
import { type Client, SECRET } from '../runner/client.ts';

/** What is laid out on the machine for a step to reach, as attempts.pl takes it; each server and file says "leak". */
export type Baits = Readonly<Record<string, string | number>>;

/** Lays out everything that a test can, and takes it away again with `used`. */
export async function layBaits(client: Client, used: AsyncDisposableStack): Promise<Baits> {
  const marker = uniqueMarker();
  const socket = join(client.folder, 'socket');
  const home = file(join(client.folder, 'home', 'user', 'private'));
  const baits: Record<string, string | number | undefined> = {
    marker,
    secret: SECRET,
    vmbuild: client.process.pid,
    // A process of the client's user.
    victim: await victim(client),
    home,
    store: file(join(client.folder, 'store', 'artifacts', 'other', 'file')),
    abstract: marker,
    socket,
    port: await server({ port: 0, host: '127.0.0.1' }, used),
    port6: await server({ port: 0, host: '::1' }, used).catch(() => undefined),
    udp: await udpServer(used),
    docker: process.env['DOCKER_HOST']?.replace(/^unix:\/\//, ''),
    nameservers: nameServers().join(','),
    descriptors: 'yes',
    handle: process.getuid?.() === 0 ? fileHandle(home) : undefined,
  };
  await server({ path: `\0${marker}` }, used);
  await server({ path: socket }, used);
  chmodSync(socket, 0o777);
  Object.assign(baits, systemV(used), messageQueue(marker, used));
  return Object.fromEntries(
    Object.entries(baits).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  );
}

function file(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, 'leak\n');
  return path;
}

async function server(at: object, used: AsyncDisposableStack): Promise<number> {
  const listening = createServer((client) => client.on('error', () => {}).end('leak')).listen(at);
  await once(listening, 'listening');
  used.defer(() => void listening.close());
  return (listening.address() as AddressInfo).port;
}

async function udpServer(used: AsyncDisposableStack): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (_, from) => socket.send('leak', from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  used.defer(() => void socket.close());
  return socket.address().port;
}

/** A process of the same user as vmbuild's, which ends with the client. */
async function victim(client: Client): Promise<number> {
  const { output } = await client.run({ outside: true, command: ['perl', '-e', VICTIM, String(client.process.pid)] });
  return Number(output);
}

/** Forks; the child waits until the runner is gone. */
const VICTIM = `my $child = fork; if ($child) { print $child; exit } close STDOUT; sleep 1 while kill 0, $ARGV[0]`;

function nameServers(): string[] {
  if (!existsSync('/etc/resolv.conf')) return [];
  return [...readFileSync('/etc/resolv.conf', 'utf8').matchAll(/^nameserver\s+([\d.]+)/gm)].map(
    ([, address]) => address as string,
  );
}

/** name_to_handle_at(2) as bytes in hexadecimal; undefined on a file system that has no handles. */
function fileHandle(path: string): string | undefined {
  const program = `my $h = pack 'I i x128', 128, 0; my $m = pack 'i', 0;
    print syscall(303, -100, $ARGV[0], $h, $m, 0) == -1 ? '' : unpack 'H*', $h`;
  return execFileSync('perl', ['-e', program, path], { encoding: 'utf8' }) || undefined;
}

function systemV(used: AsyncDisposableStack): { shm: number } {
  const shm = 1_000_000 + process.pid;
  const id = execFileSync('perl', ['-e', `print shmget(${shm}, 4096, 01666)`], { encoding: 'utf8' });
  used.defer(() => void execFileSync('perl', ['-e', `shmctl(${id}, 0, 0)`])); // IPC_RMID
  return { shm };
}

/** Through perl, since Node has none; empty where the kernel has none. */
function messageQueue(name: string, used: AsyncDisposableStack): { queue?: string } {
  const open = `umask 0; my $name = '${name}'; exit syscall(240, $name, 0100, 0666, 0) == -1`; // mq_open with O_CREAT
  if (spawnedWell(['-e', open])) {
    used.defer(() => void spawnedWell(['-e', `my $name = '${name}'; syscall(241, $name)`])); // mq_unlink
    return { queue: name };
  }
  return {};
}

function spawnedWell(args: readonly string[]): boolean {
  try {
    execFileSync('perl', args);
    return true;
  } catch {
    return false;
  }
}
