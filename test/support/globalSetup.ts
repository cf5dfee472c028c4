import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { createImageCatalog } from '../../src/build/images.ts';
import { createProvisioner } from '../../src/build/provision.ts';
import { projectRoots, storeFolder } from '../../src/cli/settings.ts';
import { errorMessage } from '../../src/model/errors.ts';
import { openStore } from '../../src/store/openStore.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The image that test recipes run in, or why there is none. */
    baseImage: { readonly digest: string; readonly folder: string } | { readonly unavailable: string };
  }
}

/** Assembles the image `base` once for all tests; its packages come from the store or the machine's mirrors. */
export default async function setup({ provide }: TestProject): Promise<void> {
  try {
    const store = await openStore(await storeFolder({ recipes: [] }));
    const locked = await createImageCatalog(projectRoots({ recipes: [] }))('base', fileURLToPath(import.meta.url));
    const provisioner = createProvisioner({
      store,
      fetch: { sourceDirs: [], debianMirrors: [], offline: false },
      emit: () => {},
      signal: new AbortController().signal,
    });
    const image = await provisioner.image(locked);
    provide('baseImage', { digest: image.digest, folder: store.layout.image(image.digest) });
  } catch (error) {
    provide('baseImage', { unavailable: errorMessage(error) });
  }
}
