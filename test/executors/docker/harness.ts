import { execFile, execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import type { MountedContent, StepRequest } from '../../../src/executors/executor.ts';
import { listTree, treeDigest } from '../../../src/io/tree.ts';
import { sha256 } from '../../../src/model/digest.ts';
import { makeTinyImage, type TestImage } from './tinyImage.ts';

const SCRIPT = resolve(import.meta.dirname, '../../../scripts/docker.sh');

/** Part of the titles of what is skipped where no daemon answers. */
export const NEEDS_DAEMON = '(needs a docker daemon: scripts/docker.sh start)';

/**
 * True if a daemon answers: that of DOCKER_HOST, the default one, or the one that scripts/docker.sh started; then
 * DOCKER_HOST says which.
 */
export async function daemonAnswers(): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)(SCRIPT, ['status']);
    const host = /^DOCKER_HOST=([^;]+);/m.exec(stdout)?.[1];
    if (host !== undefined) process.env['DOCKER_HOST'] = host;
    return true;
  } catch {
    return false;
  }
}

/** A folder of this test file, in the image and inputs of which everything belongs to root where the tests run as root. */
export class Harness {
  readonly folder = mkdtempSync(join(tmpdir(), 'vmbuild-docker-test-'));
  readonly image: TestImage;
  readonly recipe = join(this.folder, 'recipe');

  readonly #steps: StepRequest[] = [];

  constructor() {
    chmodSync(this.folder, 0o755);
    this.image = makeTinyImage(this.folder, { Env: ['IMAGE_VARIABLE=1', 'PATH=/nowhere'], Entrypoint: ['/no/such'] });
    mkdirSync(this.recipe);
    writeFileSync(join(this.recipe, 'hello.txt'), 'hello\n');
  }

  /** A step that runs a bash script; the name is unique, so that its containers and volumes can be counted. */
  step(script: string, changes: Partial<StepRequest> & { readonly env?: Record<string, string> } = {}): TestStep {
    const { env = {}, ...rest } = changes;
    const scratch = mkdtempSync(join(this.folder, 'scratch-'));
    const output = new Collector();
    const name = `step-${randomUUID()}`;
    const request: StepRequest = {
      name,
      buildKey: sha256(name),
      document: {
        format: 1,
        platform: 'linux/amd64',
        sandbox: 1,
        image: sha256((rest.image ?? this.image).config),
        command: ['/bin/bash', '-c', script],
        env,
        recipe: treeDigest(this.recipe, listTree(this.recipe)),
        sourceDateEpoch: 315532800,
        inputs: {},
      },
      image: this.image,
      recipe: this.recipe,
      inputs: {},
      scratch,
      conditions: { cores: 2, limits: {} },
      output,
      signal: new AbortController().signal,
      ...rest,
    };
    this.#steps.push(request);
    return { request, out: join(scratch, 'out'), text: () => output.text() };
  }

  /** Removes the folder, and what the steps brought into the daemon: images, contents and their records. */
  dispose(): void {
    rmSync(this.folder, { recursive: true });
    const present = (...args: string[]) => new Set(docker(...args).split('\n'));
    const volumes = present(
      'volume',
      'ls',
      '--format',
      '{{.Name}}\t{{.Label "vmbuild.step"}}\t{{.Label "vmbuild.content"}}',
    );
    const names = new Set(this.#steps.map(({ name }) => name));
    const remove: string[] = [];
    for (const [name = '', step = '', content = ''] of [...volumes].map((line) => line.split('\t'))) {
      if (names.has(step)) remove.push(name, `vmbuild-${content.replace(':', '-')}`);
    }
    if (remove.length > 0) docker('volume', 'rm', '--force', ...remove);
    const images = present('image', 'ls', '--no-trunc', '--quiet');
    const loaded = new Set(this.#steps.map(({ document }) => `sha256:${document.image}`));
    const ours = [...loaded].filter((id) => images.has(id));
    try {
      if (ours.length > 0) docker('image', 'rm', '--force', ...ours);
    } catch {
      // Another test file, which has the same image, is using it: then that removes it.
    }
  }

  /** A tree with the given files. */
  tree(files: Record<string, string | Uint8Array>): MountedContent {
    const path = mkdtempSync(join(this.folder, 'tree-'));
    chmodSync(path, 0o755);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(path, name)), { recursive: true });
      writeFileSync(join(path, name), content);
    }
    return { kind: 'tree', digest: treeDigest(path, listTree(path)), path };
  }

  file(content: string): MountedContent {
    const path = join(mkdtempSync(join(this.folder, 'file-')), 'name in the store');
    writeFileSync(path, content);
    return { kind: 'file', digest: sha256(content), path };
  }
}

export interface TestStep {
  readonly request: StepRequest;
  readonly out: string;
  /** What the step printed. */
  text(): string;
}

class Collector extends Writable {
  readonly #chunks: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  text(): string {
    // bash complains about the C.UTF-8 locale that the tiny image lacks.
    return Buffer.concat(this.#chunks)
      .toString()
      .replace(/^.*warning: setlocale.*\n/gm, '');
  }
}

/** What the docker command prints. */
export function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8' }).trim();
}

/** Containers and volumes that a label filter finds, as the docker command sees them. */
export function objectsLabelled(label: string): { containers: string[]; volumes: string[] } {
  const list = (...args: string[]) =>
    docker(...args, '--quiet', '--filter', `label=${label}`)
      .split('\n')
      .filter((line) => line !== '');
  return { containers: list('ps', '--all'), volumes: list('volume', 'ls') };
}

/** Waits until `condition` holds; fails after ten seconds. */
export async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !condition();) {
    if (Date.now() > end) throw new Error('waited in vain');
    await new Promise((done) => setTimeout(done, 20));
  }
}
