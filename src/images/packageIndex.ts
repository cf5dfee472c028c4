import { parseDeb822, type Stanza } from '../formats/deb822.ts';
import { type Alternatives, parseDependencies } from '../formats/debianDependency.ts';
import { compareDebianVersions } from '../formats/debianVersion.ts';
import { errorMessage } from '../model/errors.ts';
import { type LockedDeb, toLockedDeb } from './lockFile.ts';

/** A package as an index describes it; the relations are parsed when they are first asked for. */
export class IndexedPackage {
  readonly name: string;
  readonly version: string;
  readonly #stanza: Stanza;
  #relations: Partial<Record<'depends' | 'conflicts' | 'breaks' | 'provides', readonly Alternatives[]>> = {};

  /** @throws TypeError if a field that every package has is missing. */
  constructor(stanza: Stanza) {
    this.#stanza = stanza;
    this.name = this.#field('package');
    this.version = this.#field('version');
  }

  /** Digest of its file as the index writes it, for an order among equal versions. */
  get sha256(): string {
    return this.#stanza.get('sha256') ?? '';
  }

  get essential(): boolean {
    return this.#stanza.get('essential') === 'yes';
  }

  get priority(): string {
    return this.#stanza.get('priority') ?? 'optional';
  }

  /** Depends and Pre-Depends together: an image is never half configured. */
  get depends(): readonly Alternatives[] {
    this.#relations.depends ??= [...this.#parse('pre-depends'), ...this.#parse('depends')];
    return this.#relations.depends;
  }

  get conflicts(): readonly Alternatives[] {
    this.#relations.conflicts ??= this.#parse('conflicts');
    return this.#relations.conflicts;
  }

  get breaks(): readonly Alternatives[] {
    this.#relations.breaks ??= this.#parse('breaks');
    return this.#relations.breaks;
  }

  /** One relation per clause; its version, if any, is the one that is provided. */
  get provides(): readonly Alternatives[] {
    this.#relations.provides ??= this.#parse('provides');
    return this.#relations.provides;
  }

  /** What a lock says about it. @throws TypeError if the index says it wrong, or not at all. */
  locked(): LockedDeb {
    try {
      return toLockedDeb({
        name: this.name,
        version: this.version,
        architecture: this.#field('architecture'),
        path: this.#field('filename'),
        size: Number(this.#field('size')),
        sha256: this.#field('sha256'),
      });
    } catch (error) {
      throw new TypeError(`the package ${this.name} in the index: ${errorMessage(error)}`, { cause: error });
    }
  }

  #field(name: string): string {
    const value = this.#stanza.get(name);
    if (value === undefined) throw new TypeError(`a package in the index has no field ${name}`);
    return value;
  }

  #parse(field: string): Alternatives[] {
    const value = this.#stanza.get(field);
    return value === undefined ? [] : parseDependencies(value);
  }
}

/** The packages of one or more `Packages` files that can be installed on amd64. */
export class PackageIndex {
  /** Name → versions, newest first. */
  readonly #byName = new Map<string, IndexedPackage[]>();
  readonly #byProvided = new Map<string, IndexedPackage[]>();

  /** @throws TypeError if a text is not a valid index. */
  constructor(texts: Iterable<string>) {
    for (const text of texts) {
      for (const stanza of parseDeb822(text)) {
        const architecture = stanza.get('architecture');
        if (architecture !== 'amd64' && architecture !== 'all') continue;
        const found = new IndexedPackage(stanza);
        append(this.#byName, found.name, found);
        if (!stanza.has('provides')) continue;
        for (const [provided] of found.provides)
          if (provided !== undefined) append(this.#byProvided, provided.name, found);
      }
    }
    for (const versions of this.#byName.values()) versions.sort(newestFirst);
  }

  /** All versions of a package, newest first. */
  versions(name: string): readonly IndexedPackage[] {
    return this.#byName.get(name) ?? [];
  }

  newest(name: string): IndexedPackage | undefined {
    return this.#byName.get(name)?.[0];
  }

  /** What provides a name, in no order. */
  providers(name: string): readonly IndexedPackage[] {
    return this.#byProvided.get(name) ?? [];
  }

  /** The newest version of each essential package, sorted by name. */
  essential(): readonly IndexedPackage[] {
    return [...this.#byName.values()]
      .flatMap(([newest]) => (newest?.essential ? [newest] : []))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** Two files of one version (a rebuild that went wrong) still have one order. */
function newestFirst(a: IndexedPackage, b: IndexedPackage): number {
  return compareDebianVersions(b.version, a.version) || (a.sha256 < b.sha256 ? -1 : 1);
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
