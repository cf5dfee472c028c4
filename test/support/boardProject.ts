import { type Fixture, fixture } from './fixture.ts';
import { BIOS, CHIP, SLOTS } from './testRom.ts';

/** Text of a module that exports what `define` makes of `value`. */
function module(define: string, value: string): string {
  return `import { ${define} } from 'vmbuild';\nexport default ${define}(${value});\n`;
}

/** A project with the platform `board`: the chip and the slots of test images. */
export async function boardProject(): Promise<Fixture> {
  const platform = {
    description: 'a board',
    flash: { size: CHIP, taken: { vendor: BIOS }, budget: 100_000 },
    kernelCommandLine: '',
    blobs: SLOTS,
  };
  return fixture({ 'platforms/board/platform.ts': module('definePlatform', JSON.stringify(platform)) });
}

/** Text of a recipe for platforms; it takes the blobs of its platform if `takes` says so. */
export function platformRecipe(recipe: Readonly<Record<string, unknown>>, takes = false): string {
  const fields = JSON.stringify({ description: 'a test', image: 'base', ...recipe });
  return module('definePlatformRecipe', `(platform) => ({ ...${fields}${takes ? ', takes: platform.blobs' : ''} })`);
}
