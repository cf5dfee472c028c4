import { mkdtempSync } from 'node:fs';
import { mkdir, mkdtemp, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createImageCatalog } from '../../src/build/images.ts';
import { AXES, axesNamed } from '../../src/build/verify/axes.ts';
import { describeMachine, memoryFolderFor } from '../../src/build/verify/machine.ts';
import { verifyTargets } from '../../src/build/verify/verify.ts';
import type { StepVerdict } from '../../src/build/verify/verifyStep.ts';
import { projectRoots, storeFolder } from '../../src/cli/settings.ts';
import { createDockerExecutor } from '../../src/executors/docker/dockerExecutor.ts';
import type { Executor, ExecutorName } from '../../src/executors/executor.ts';
import { createNamespaceExecutor } from '../../src/executors/namespace/namespaceExecutor.ts';
import { removeTree } from '../../src/io/files.ts';
import { sha256 } from '../../src/model/digest.ts';
import { findImage } from '../../src/store/images.ts';
import { openStore, type Store } from '../../src/store/openStore.ts';
import { buildSuite, cannotBuild, type Fixture, fixture, run, storeWithImage } from '../support/fixture.ts';
import { PROBE_PREFIX } from '../support/probePrefix.ts';
import { EVERY_BUILD, IMPOSSIBLE, type Kind, KINDS } from './kinds.ts';

const docker = cannotBuild === undefined ? await createDockerExecutor().probe(PROBE_PREFIX) : undefined;
const firmware = cannotBuild === undefined ? await imageWithCompiler() : undefined;

/** The image with a compiler, if some store has it: it takes minutes to make. */
async function imageWithCompiler(): Promise<{ readonly digest: string; readonly folder: string } | undefined> {
  const locked = await createImageCatalog(projectRoots({ recipes: [] }))('firmware', fileURLToPath(import.meta.url));
  const store = await openStore(await storeFolder({ recipes: [] }));
  const found = await findImage(store, locked.digest);
  return found && { digest: found.digest, folder: store.layout.image(found.digest) };
}

const scratch = mkdtempSync(join(tmpdir(), 'vmbuild-zoo-'));
const machine = { ...describeMachine(scratch, 2), memoryFolder: await memoryFolderFor(1024 * 1024) };
afterAll(() => removeTree(scratch));

/** Why this machine cannot show a kind in an executor, if it cannot: no libfaketime, one processor, no tmpfs. */
function lacks({ axis: name }: Kind, executor: ExecutorName): string | undefined {
  const axis = AXES.find((each) => each.name === name);
  const reorderedImage =
    machine.memoryFolder === undefined ? undefined : { digest: sha256(''), rootfs: '', config: '' };
  const change = axis?.vary({ ...machine, executor, firstExecutor: undefined, reorderedImage });
  return change !== undefined && 'impossible' in change ? change.impossible : undefined;
}

/** Text of a recipe; its input is a folder with names. */
function recipe(script: string, image = 'base'): string {
  const command = ['bash', '-euc', script];
  const inputs = { names: 'names' };
  return `import { defineRecipe } from 'vmbuild';\nexport default defineRecipe(${JSON.stringify({ description: 'of the zoo', image, command, inputs })});\n`;
}

const NAMES = `import { defineRecipe } from 'vmbuild';
export default defineRecipe({ description: 'names', image: 'base', command: ['bash', '-euc', 'for n in $(seq 30); do echo $n > /out/$n; done'] });
`;

let folder: string | undefined;
let project: Fixture;
let store: Store;

beforeAll(async () => {
  if (cannotBuild !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), 'vmbuild-zoo-'));
  const wanted = KINDS.filter(({ image }) => image === undefined || firmware !== undefined);
  project = await fixture(
    {
      'names/recipe.ts': NAMES,
      ...Object.fromEntries(Object.entries(IMPOSSIBLE).map(([name, script]) => [`${name}/recipe.ts`, recipe(script)])),
      'rare/recipe.ts': recipe('echo $((RANDOM % 2)) > /out/v'),
      ...Object.fromEntries(
        wanted.flatMap(({ name, broken, cured, image }) => [
          [`${name}/recipe.ts`, recipe(broken, image)],
          [`${name}-cured/recipe.ts`, recipe(cured, image)],
        ]),
      ),
    },
    join(folder, 'project'),
  );
  store = await storeWithImage(join(folder, 'store'));
  if (firmware !== undefined) {
    await mkdir(join(store.layout.root, 'images'), { recursive: true });
    await symlink(firmware.folder, store.layout.image(firmware.digest as never));
    await symlink(join(import.meta.dirname, '../../docker/firmware'), join(project.root.images, 'firmware'));
  }
}, 120_000);

afterAll(async () => {
  if (folder !== undefined) await removeTree(folder);
});

interface Options {
  readonly axes?: readonly string[];
  readonly rounds?: number;
  readonly bisect?: boolean;
}

/** Realises targets of the zoo in the namespace executor, and verifies them in the given one. */
async function verify(targets: readonly string[], executor: Executor, options: Options = {}): Promise<StepVerdict[]> {
  await run(project, targets, { store });
  const evaluator = project.evaluator();
  const steps = [];
  for (const target of targets) steps.push(await evaluator.evaluate(target));
  const verdicts = await verifyTargets(steps, {
    store,
    fetch: { sourceDirs: [], debianMirrors: [], offline: true },
    emit: () => {},
    signal: new AbortController().signal,
    executors: [executor],
    axes: axesNamed(options.axes),
    rounds: options.rounds ?? 1,
    strict: true,
    bisect: options.bisect ?? false,
    depth: 0,
    only: undefined,
    jobs: 2,
    cores: 2,
    vmbuildVersion: 'test',
    onStep: () => {},
  });
  return [...verdicts];
}

const named = (name: string, verdicts: readonly StepVerdict[]): StepVerdict =>
  verdicts.find(({ subject }) => subject.step.target === name) as StepVerdict;

describe.skipIf(cannotBuild !== undefined).each([
  { name: 'namespace' as const, make: createNamespaceExecutor, why: cannotBuild },
  {
    name: 'docker' as const,
    make: createDockerExecutor,
    why: docker?.available === false ? docker.reason : cannotBuild,
  },
])(buildSuite('the zoo, built again by $name'), { timeout: 300_000 }, ({ name: executorName, make, why }) => {
  const reasonToSkip = (kind: Kind): string | undefined =>
    why ??
    lacks(kind, executorName) ??
    (kind.image !== undefined && firmware === undefined ? 'the image firmware is in no store' : undefined);
  const executor = make();
  let verdicts: readonly StepVerdict[] = [];

  beforeAll(async () => {
    if (why !== undefined) return;
    const here = KINDS.filter((kind) => reasonToSkip(kind) === undefined);
    verdicts = await verify(
      [...Object.keys(IMPOSSIBLE), ...here.flatMap(({ name }) => [name, `${name}-cured`])],
      executor,
    );
  }, 300_000);

  for (const kind of KINDS) {
    const { name, axis } = kind;
    const skip = reasonToSkip(kind);
    const title = skip === undefined ? name : `${name} (skipped: ${skip})`;

    it.skipIf(skip !== undefined)(`${title}: differs, and its cured twin does not`, () => {
      expect(named(name, verdicts).verdict).toBe('differs');
      expect(named(name, verdicts).other).toBeDefined();
      expect(named(`${name}-cured`, verdicts)).toMatchObject({ verdict: 'reproduced', other: undefined });
    });

    // The same code finds it out with every executor; one of them for all kinds is enough.
    if (executorName === 'docker' && !['kernel-version', 'umask', 'address'].includes(name)) continue;
    it.skipIf(skip !== undefined)(`${title}: because of ${axis}, and of nothing else`, async () => {
      if (axis === EVERY_BUILD || axis === 'aslr') {
        const [alone] = await verify([name], executor, { axes: ['umask', 'aslr'], bisect: true });
        expect(alone?.differsUnvaried).toBe(true);
        expect(alone?.mattering.map((each) => each.name)).toEqual(axis === 'aslr' ? ['aslr'] : []);
        return;
      }
      const [withIt] = await verify([name], executor, { axes: ['umask', axis], bisect: true });
      expect(withIt?.mattering.map((each) => each.name)).toEqual([axis]);
      const others = AXES.map((each) => each.name).filter(
        (each) => each !== axis && kind.also?.includes(each) !== true,
      );
      const [without] = await verify([name], executor, { axes: others });
      expect(without).toMatchObject({ verdict: 'reproduced' });
    });
  }

  it.skipIf(why !== undefined).each(Object.keys(IMPOSSIBLE))('%s: a step cannot have it, so it is the same', (name) => {
    expect(named(name, verdicts)).toMatchObject({ verdict: 'reproduced' });
  });

  it.skipIf(why !== undefined)(
    'what happens in one of two builds is found in many rounds, and the rounds are told',
    async () => {
      const [verdict] = await verify(['rare'], executor, { rounds: 20, axes: ['jobs'] });
      expect(verdict?.verdict).toBe('differs');
      const { rounds = [], subject } = verdict ?? {};
      rounds.forEach((round, index) => {
        expect(round).toMatchObject({ kind: 'built' });
        expect(round.kind === 'built' && round.digest === subject?.artifact).toBe(index < rounds.length - 1);
      });
    },
  );
});
