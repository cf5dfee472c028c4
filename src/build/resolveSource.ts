import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseGoSum } from '../formats/goModule.ts';
import { type Digest, isDigest } from '../model/digest.ts';
import { errorMessage, VmbuildError } from '../model/errors.ts';
import type { Location, Source } from '../model/source.ts';
import type { HttpsSource, SourceDeclaration } from '../model/sourceDeclaration.ts';

/** For messages and for paths that are relative to the recipe. */
interface Context {
  readonly mount: string;
  readonly folder: string;
  /** `<recipe file>: sources.<mount>` */
  readonly field: string;
}

/**
 * Turns what a recipe says of a source into the one form that fetchers know.
 *
 * @throws VmbuildError RECIPE_INVALID that names the field.
 */
export async function resolveSource(declared: SourceDeclaration, context: Context): Promise<Source> {
  switch (declared.type) {
    case 'debian': {
      const location: Location = { type: 'debian', path: declared.path, snapshot: declared.snapshot };
      return file(basename(declared.path), declared.sha256, declared.size, [location]);
    }
    case 'https': {
      const locations = declared.urls.map((url): Location => ({ type: 'https', url }));
      return file(
        nameOf(declared.urls[0] ?? '', context),
        await httpsDigest(declared, context),
        declared.size,
        locations,
      );
    }
    case 'local': {
      const location: Location = { type: 'local', path: join(context.folder, declared.path) };
      if ((declared.sha256 === undefined) === (declared.tree === undefined)) {
        throw invalid(context, 'needs either sha256 (a file) or tree (a folder)');
      }
      const source = file(basename(declared.path), declared.sha256 ?? (declared.tree as string), undefined, [location]);
      return declared.tree === undefined ? source : { ...source, kind: 'tree' };
    }
    case 'gomod':
      return {
        kind: 'tree',
        digest: declared.tree as Digest,
        name: context.mount,
        locations: [{ type: 'gomod', modules: readGoSum(join(context.folder, declared.sum), context) }],
      };
    case 'gotoolchain':
      return {
        kind: 'tree',
        digest: declared.tree as Digest,
        name: declared.version,
        locations: [{ type: 'gotoolchain', version: declared.version, h1: declared.h1 }],
      };
  }
}

function file(name: string, sha256: string, size: number | undefined, locations: readonly Location[]): Source {
  return { kind: 'file', digest: sha256 as Digest, name, size, locations };
}

function nameOf(url: string, context: Context): string {
  if (!URL.canParse(url)) throw invalid(context, `${JSON.stringify(url)} is not a URL`);
  return basename(new URL(url).pathname) || context.mount;
}

async function httpsDigest(declared: HttpsSource, context: Context): Promise<string> {
  if ((declared.sha256 === undefined) === (declared.integrity === undefined)) {
    throw invalid(context, 'needs either sha256 or integrity');
  }
  if (declared.sha256 !== undefined) return declared.sha256;
  const { default: ssri } = await import('ssri');
  // Only sha256 can name something in the store; a stronger algorithm beside it would go unchecked.
  const integrity = ssri.parse(declared.integrity as string, { strict: true, single: true });
  const digest = integrity?.algorithm === 'sha256' ? integrity.hexDigest() : undefined;
  if (!isDigest(digest)) throw invalid(context, 'integrity must be one sha256-… string');
  return digest;
}

function readGoSum(path: string, context: Context): ReturnType<typeof parseGoSum> {
  try {
    return parseGoSum(readFileSync(path, 'utf8'));
  } catch (error) {
    throw invalid(context, `${path} cannot be used: ${errorMessage(error)}`);
  }
}

function invalid(context: Context, problem: string): VmbuildError {
  return new VmbuildError('RECIPE_INVALID', `${context.field}: ${problem}`);
}
