import { readFileSync } from 'node:fs';
import { VmbuildError } from '../model/errors.ts';

/** Something in an image. A file's content is in a blob on disk, or is text made here. */
export type ImageNode =
  | { readonly type: 'directory'; readonly sticky: boolean }
  | {
      readonly type: 'file';
      readonly executable: boolean;
      readonly content: { readonly blob: string } | { readonly text: string };
    }
  | { readonly type: 'symlink'; readonly target: string };

/** A directory without the sticky bit. */
export const DIRECTORY: ImageNode = { type: 'directory', sticky: false };

/** A text file as the fix-ups make them. */
export function textFile(text: string): ImageNode {
  return { type: 'file', executable: false, content: { text } };
}

/**
 * An image before it is written: path → node. Paths are relative to the root, with `/` between names. It
 * never holds anything below a file or a link, so that writing it cannot lead out of its folder.
 */
export class ImageTree {
  readonly #nodes = new Map<string, ImageNode>();

  get(path: string): ImageNode | undefined {
    return path === '' ? DIRECTORY : this.#nodes.get(path);
  }

  has(path: string): boolean {
    return this.get(path) !== undefined;
  }

  /**
   * Puts a node in place of whatever is there, and makes the directories above it.
   *
   * @throws VmbuildError IMAGE_ASSEMBLY if something above is not a directory, or a directory would be replaced.
   */
  set(path: string, node: ImageNode): void {
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      const parent = path.slice(0, slash);
      const found = this.#nodes.get(parent);
      if (found?.type === 'directory') break;
      if (found !== undefined) throw refused(`/${path} cannot be in the image: /${parent} is a ${found.type}`);
      this.#nodes.set(parent, DIRECTORY);
    }
    const old = this.#nodes.get(path);
    if (old?.type === 'directory' && node.type !== 'directory') {
      throw refused(`/${path} cannot be a ${node.type}: packages ship it as a directory`);
    }
    this.#nodes.set(path, node);
  }

  /** Takes a node away, with all that is below it. */
  remove(path: string): void {
    if (this.#nodes.get(path)?.type === 'directory') this.removeBelow(path);
    this.#nodes.delete(path);
  }

  /** Takes away all that is below a directory; the whole tree for the root. */
  removeBelow(folder: string): void {
    for (const path of this.#nodes.keys()) {
      if (folder === '' || path.startsWith(`${folder}/`)) this.#nodes.delete(path);
    }
  }

  /** All nodes, sorted by path; a directory comes before what is in it. */
  sorted(): readonly (readonly [string, ImageNode])[] {
    return [...this.#nodes].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Paths of what is directly in a directory, sorted. */
  children(folder: string): readonly string[] {
    return [...this.#nodes.keys()]
      .filter((path) => path.startsWith(`${folder}/`) && !path.includes('/', folder.length + 1))
      .sort();
  }

  /** Content of a file, or undefined if there is no file at this path. */
  read(path: string): Buffer | undefined {
    const node = this.#nodes.get(path);
    if (node?.type !== 'file') return undefined;
    return 'blob' in node.content ? readFileSync(node.content.blob) : Buffer.from(node.content.text);
  }
}

/** The error for an image that cannot be put together. */
export function refused(message: string): VmbuildError {
  return new VmbuildError('IMAGE_ASSEMBLY', message);
}
