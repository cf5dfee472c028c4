import { execFileSync } from 'node:child_process';

/** One line of a listing of a daemon, with the labels that vmbuild gives to everything. */
interface Labelled {
  readonly name: string;
  /** `<boot>.<process>.…`: who made it. */
  readonly run: string;
  readonly content: string;
  readonly volume: string;
}

/**
 * Containers and volumes of a daemon that these processes have made, and that nothing needs: volumes of finished content,
 * which a record names, are there to stay.
 */
export function dockerLeaks(pids: ReadonlySet<number>, host: string | undefined): readonly string[] {
  const volumes = list(['volume', 'ls'], '{{.Name}}', host);
  const recorded = new Set(volumes.filter(({ run }) => run === '').map(({ volume }) => volume));
  const ours = ({ run }: Labelled): boolean => pids.has(Number(run.split('.')[1]));
  return [
    ...list(['container', 'ls', '--all'], '{{.Names}} ({{.Status}})', host)
      .filter(ours)
      .map(({ name }) => `container ${name}`),
    ...volumes.filter((volume) => ours(volume) && !recorded.has(volume.name)).map(({ name }) => `volume ${name}`),
  ];
}

/** Removes the volumes of these contents (digests) and an image, so that a daemon of others is as it was. */
export function forgetContents(digests: readonly string[], image: string): void {
  const volumes = list(['volume', 'ls'], '{{.Name}}', undefined);
  const names = volumes.flatMap(({ name, content }) => (digests.includes(content.split(':')[1] ?? '') ? [name] : []));
  if (names.length > 0) docker(undefined, 'volume', 'rm', '--force', ...names);
  const images = docker(undefined, 'image', 'ls', '--no-trunc', '--quiet').split('\n');
  if (images.includes(`sha256:${image}`)) docker(undefined, 'image', 'rm', '--force', `sha256:${image}`);
}

function list(command: readonly string[], name: string, host: string | undefined): readonly Labelled[] {
  const labels = ['run', 'content', 'volume'].map((label) => `{{.Label "vmbuild.${label}"}}`);
  return docker(host, ...command, '--format', [name, ...labels].join('\t'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [found = '', run = '', content = '', volume = ''] = line.split('\t');
      return { name: found, run, content, volume };
    });
}

function docker(host: string | undefined, ...args: readonly string[]): string {
  const env = host === undefined ? process.env : { ...process.env, DOCKER_HOST: host };
  return execFileSync('docker', args, { encoding: 'utf8', env });
}
