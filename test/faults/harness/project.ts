import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listTree, treeDigest } from '../../../src/io/tree.ts';
import type { Digest } from '../../../src/model/digest.ts';
import { sha256 } from '../../../src/model/digest.ts';
import { scriptRecipe } from '../../support/fixture.ts';
import { IMAGE, writeImage } from './image.ts';

/** The step that needs all others but `broken`. */
export const TARGET = 'end';

/** The steps that TARGET needs, itself included. */
export const STEPS = ['files', 'large', 'links', 'join', TARGET] as const;

/** A folder with recipes, the image that they use, and its packages. */
export interface Project {
  readonly recipes: string;
  /** For --source-dir. */
  readonly debs: string;
  readonly image: Digest;
  /** Every step prints this text, which no other process of the machine has in its arguments. */
  readonly marker: string;
}

/**
 * Five small steps of different shapes (many small files; one larger file; links and modes; one that reads them all;
 * one small file), two local sources, a step that fails, and one that
 * takes a gigabyte of memory.
 */
export async function writeProject(folder: string): Promise<Project> {
  const recipes = join(folder, 'recipes');
  const marker = `fault-${process.pid}-${Date.now()}`;
  const image = await writeImage(folder);
  const write = (path: string, text: string): void => {
    const file = join(recipes, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
  };
  const recipe = (name: string, script: string, fields: object = {}): void =>
    write(`${name}/recipe.ts`, scriptRecipe(`: ${marker}\n${script}`, { image: IMAGE, ...fields }));

  for (let i = 0; i < 20; i += 1) write(`files/tree/d${i % 4}/f${i}`, `source ${i}\n`.repeat(50));
  const tree = join(recipes, 'files', 'tree');
  for (const path of ['.', 'd0', 'd1', 'd2', 'd3']) chmodSync(join(tree, path), 0o755);
  write('files/words', 'words\n');
  recipe('files', SCRIPTS.files, {
    sources: {
      tree: { type: 'local', path: 'tree', tree: treeDigest(tree, listTree(tree)) },
      words: { type: 'local', path: 'words', sha256: sha256('words\n') },
    },
  });
  recipe('large', SCRIPTS.large, { inputs: { files: 'files' } });
  recipe('links', SCRIPTS.links, { inputs: { files: 'files' } });
  recipe('join', SCRIPTS.join, { inputs: { files: 'files', large: 'large', links: 'links' } });
  recipe(TARGET, SCRIPTS.end, { inputs: { join: 'join', large: 'large' } });
  recipe('broken', 'cat /in/files/n/7/1; echo about to fail; exit 7', { inputs: { files: 'files' } });
  // It ends by itself where nobody ends it.
  recipe(
    'hungry',
    'x=$(head -c 1000000 /dev/zero | tr "\\0" x); for i in 1 2 3 4 5 6 7 8 9 10; do x=$x$x; done; exit 9',
  );
  return { recipes, debs: join(folder, 'debs'), image, marker };
}

const SCRIPTS = {
  files: `
    cp -r /in/tree /out/tree
    mkdir /out/n
    for ((i = 0; i < 10; i++)); do
      mkdir /out/n/$i
      for ((j = 0; j < 20; j++)); do printf 'file %d %d\\n' $i $j >/out/n/$i/$j; done
      echo "folder $i"
    done
    cp /in/words /out/words`,
  large: `
    yes "$(cat /in/files/n/3/4)" | head -c 8000000 >/build/half
    cat /build/half /build/half >/out/large
    sha256sum /out/large`,
  links: `
    cp /in/files/words /out/first
    chmod 755 /out/first
    ln /out/first /out/second
    ln -s first /out/link
    mkdir -p /out/deep/er
    ln -s ../../first /out/deep/er/link`,
  join: `
    cd /in
    sha256sum files/n/*/* files/tree/*/* large/large links/first links/link links/deep/er/link >/out/sums
    wc /out/sums`,
  end: `sha256sum /in/join/sums /in/large/large >/out/end; cat /out/end`,
} as const;
