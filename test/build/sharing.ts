import type { SigningKey } from '../../src/attest/keys.ts';
import { NO_TRUST, type Trust } from '../../src/attest/trust.ts';
import { planSteps } from '../../src/build/plan.ts';
import { push, type PushSummary } from '../../src/build/push.ts';
import { createSubstitution, type SubstitutionSettings } from '../../src/build/substitution.ts';
import type { Executor } from '../../src/executors/executor.ts';
import type { Store } from '../../src/store/openStore.ts';
import type { ObjectStore } from '../../src/substituters/objectStore.ts';
import { type CacheContext, NAMED_CACHE_HTTP, openCache } from '../../src/substituters/openCache.ts';
import { openSubstituter } from '../../src/substituters/substituter.ts';
import { type Fixture, fixture, scriptRecipe } from '../support/fixture.ts';

/** `rom` is made of `kernel`, and that with `tool`; each has something of a tree in it. */
export function romProject(recipes: { readonly tool?: string; readonly rom?: string } = {}): Promise<Fixture> {
  const script = (text: string): string =>
    `${text}; mkdir /out/d; echo x > /out/d/run; chmod +x /out/d/run; ln -s d/run /out/link`;
  return fixture({
    'tool/recipe.ts': scriptRecipe(script(recipes.tool ?? 'echo tool > /out/tool')),
    'kernel/recipe.ts': scriptRecipe(script('cat /in/tool/tool > /out/kernel; echo kernel >> /out/kernel'), {
      inputs: { tool: 'tool' },
    }),
    'rom/recipe.ts': scriptRecipe(
      script(`cat /in/kernel/kernel > /out/rom.bin; echo ${recipes.rom ?? 'rom'} >> /out/rom.bin`),
      {
        inputs: { kernel: 'kernel' },
      },
    ),
  });
}

/** An executor on which nothing may be executed. */
export const noExecutor: Executor = {
  name: 'none',
  probe: () => Promise.resolve({ available: true, details: '' }),
  run: ({ name }: { readonly name: string }) => Promise.reject(new Error(`${name} was executed`)),
} as unknown as Executor;

/** Opens a cache as the command line does. */
export function cacheAt(url: string, token?: string, context: Partial<CacheContext> = {}): ObjectStore {
  return openCache(url, {
    credentials: () => (token === undefined ? undefined : { token }),
    // A machine under load must not make a test fail.
    http: { ...NAMED_CACHE_HTTP, backoff: 1, signal: new AbortController().signal },
    ...context,
  });
}

/** Counts what is asked of a cache. */
export function counting(store: ObjectStore): ObjectStore & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    ...store,
    asked,
    read: (path, limit) => (asked.push(path), store.read(path, limit)),
    open: (path) => (asked.push(path), store.open(path)),
    stat: (path) => (asked.push(path), store.stat(path)),
  };
}

/** Asks these caches, and believes these keys. */
export function substituteFrom(
  caches: readonly ObjectStore[],
  trust: Trust,
  { only = false, warnings = [] as string[] } = {},
): SubstitutionSettings {
  const { signal } = new AbortController();
  return { caches: caches.map((cache) => openSubstituter(cache, signal, (text) => warnings.push(text))), trust, only };
}

/** Pushes what a store has of targets. */
export async function pushAll(
  project: Fixture,
  targets: readonly string[],
  store: Store,
  cache: ObjectStore,
  key: SigningKey,
  trust: Trust = NO_TRUST,
  allowDiffers = false,
): Promise<PushSummary & { readonly pushed: readonly string[]; readonly leftOut: readonly string[] }> {
  const evaluator = project.evaluator();
  const steps = [];
  for (const target of targets) steps.push(await evaluator.evaluate(target));
  const pushed: string[] = [];
  const leftOut: string[] = [];
  const summary = await push(
    steps,
    await planSteps(steps, store, createSubstitution(substituteFrom([], trust), { store })),
    {
      store,
      cache,
      key,
      sources: false,
      allowDiffers,
      trust,
      signal: new AbortController().signal,
      onPushed: (path) => pushed.push(path),
      onLeftOut: (what, why) => leftOut.push(`${what}: ${why}`),
    },
  );
  return { ...summary, pushed, leftOut };
}
