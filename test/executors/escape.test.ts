import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processesWith } from '../support/processes.ts';
import type { Client } from './runner/client.ts';
import { type Baits, layBaits } from './sandbox/baits.ts';
import { Clients, SANDBOXES } from './sandbox/sandboxes.ts';

const text = (name: string): string => readFileSync(new URL(`./sandbox/${name}.pl`, import.meta.url), 'utf8');
const PROGRAM = ['attempts', 'network', 'files', 'processes'].map(text).join('\n');
const ATTEMPTS = [...PROGRAM.matchAll(/^(?:attempt|provable) '([^']+)'/gm)].map(([, name]) => name as string);

describe.each(SANDBOXES)('out of the sandbox: $title', (sandbox) => {
  describe.skipIf(sandbox.skip)('a step does not get', () => {
    const used = new AsyncDisposableStack();
    let verdicts: ReadonlyMap<string, string>;
    let controls: ReadonlyMap<string, string>;
    let baits: Baits;

    beforeAll(async () => {
      const clients = used.use(new Clients());
      const client = await clients.client(sandbox);
      baits = { ...(await layBaits(client, used)) };
      await client.begin({ command: ['perl', '-e', text('neighbour')] }, 'ready');
      baits = { ...baits, ...neighbourOf(client, sandbox.executor) };
      const command = ['perl', '-e', PROGRAM, ...Object.entries(baits).map(([name, value]) => `${name}=${value}`)];
      verdicts = told(await client.run({ command, inputs: await inputs(client, sandbox.nobody) }));
      // What only root may: open files by handle, and look into the data of the daemon.
      const beyond = sandbox.nobody ? ['handle', ...(sandbox.executor === 'docker' ? ['build'] : [])] : [];
      const shown = command.filter((argument) => !beyond.some((name) => argument.startsWith(`${name}=`)));
      controls = told(await client.run({ command: [...shown, 'control=yes'], outside: true }));
    });
    afterAll(() => used.disposeAsync());

    it.each(ATTEMPTS)('%s', (name) => {
      expect(verdicts.get(name)).toMatch(/^refused\t/);
    });

    it('a process that outlives it', () => {
      expect(processesWith(`${baits['marker']}`)).toEqual([]);
    });

    it('any of what the same attempts get where there is no sandbox', () => {
      expect(controls.size).toBeGreaterThan(12);
      for (const [name, verdict] of controls) expect(`${name}: ${verdict}`).toMatch(/: escaped\t/);
    });
  });
});

function told({ output, error }: { readonly output: string; readonly error?: unknown }): Map<string, string> {
  if (error !== undefined) throw new Error(JSON.stringify(error));
  return new Map(
    output
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('\t')), line.slice(line.indexOf('\t') + 1)]),
  );
}

async function inputs(client: Client, nobody: boolean) {
  const tree = join(client.folder, 'tree');
  await mkdir(tree);
  await writeFile(join(tree, 'file'), 'content');
  await writeFile(join(client.folder, 'file'), 'content');
  for (const path of [tree, join(tree, 'file'), join(client.folder, 'file')]) {
    if (nobody) chownSync(path, 65534, 65534);
    // Only what the sandbox does keeps a step from changing them.
    chmodSync(path, 0o777);
  }
  return {
    tree: { kind: 'tree', path: tree },
    file: { kind: 'file', path: join(client.folder, 'file') },
  } as const;
}

/** A file of the build that runs beside, as the machine sees it. */
function neighbourOf(client: Client, executor: string): { readonly build?: string } {
  if (executor === 'namespace') {
    const scratch = readdirSync(client.folder).find((name) => name.startsWith('scratch-')) as string;
    return { build: join(client.folder, scratch, 'build', 'neighbour') };
  }
  const list = (...args: string[]) => execFileSync('docker', args, { encoding: 'utf8' }).trim();
  const container = list('ps', '--latest', '--quiet', '--filter', 'label=vmbuild.step=step');
  const source = '{{range .Mounts}}{{if eq .Destination "/build"}}{{.Source}}{{end}}{{end}}';
  return { build: join(list('inspect', '--format', source, container), 'neighbour') };
}
