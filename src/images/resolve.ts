import {
  type Alternatives,
  formatAlternatives,
  formatRelation,
  type PackageRelation,
  versionMatches,
} from '../formats/debianDependency.ts';
import { VmbuildError } from '../model/errors.ts';
import type { IndexedPackage, PackageIndex } from './packageIndex.ts';

/** A package in the result, and what asked for it first. */
export interface ChosenPackage {
  readonly package: IndexedPackage;
  /** The package that depends on it; undefined if it was wanted by name or is essential. */
  readonly neededBy: string | undefined;
  /** The relation in the words of the index, or why it is wanted. */
  readonly reason: string;
}

type Chosen = ReadonlyMap<string, ChosenPackage>;
type Clause = { readonly by: string; readonly clause: Alternatives };

/** Dead ends after which the search gives up: real sets of packages need none or a few. */
const MAX_DEAD_ENDS = 2000;

/** Lower comes first where several packages provide the same. */
const PRIORITIES = ['required', 'important', 'standard', 'optional', 'extra'];

/**
 * The packages to install for `wanted`: these, all essential ones, and what they need by Depends and Pre-Depends;
 * Recommends and Suggests are not followed. The same index and wishes give the same result, in whatever order
 * either comes.
 *
 * What has only one solution is settled first. Then, clause by clause in the order of package names, the first
 * alternative that leads to a whole solution is taken: one that is already chosen before any other, then in the
 * order of the clause; where several provide a virtual package, by priority and name. Conflicts and Breaks hold.
 *
 * @returns sorted by name.
 * @throws VmbuildError IMAGE_RESOLVE that names the first chain of packages which cannot be satisfied.
 */
export function resolvePackages(wanted: readonly string[], index: PackageIndex): readonly ChosenPackage[] {
  const essential = index.essential().map((found) => found.name);
  const roots = new Map([
    ...essential.map((name): [string, string] => [name, 'it is essential']),
    ...wanted.map((name): [string, string] => [name, 'it is in image.json']),
  ]);
  const chosen = new Solver(index).solve(roots);
  return [...chosen.values()].sort((a, b) => (a.package.name < b.package.name ? -1 : 1));
}

/** What does not fit, with the chain that led there. */
class Contradiction extends Error {}

class Solver {
  readonly #index: PackageIndex;
  #deadEnds = 0;

  constructor(index: PackageIndex) {
    this.#index = index;
  }

  solve(roots: ReadonlyMap<string, string>): Chosen {
    try {
      const chosen = new Map<string, ChosenPackage>();
      const open: Clause[] = [];
      for (const [name, reason] of [...roots].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const found = this.#index.newest(name);
        if (found === undefined) throw new Contradiction(`there is no package ${name}, but ${reason}`);
        this.#add(chosen, open, found, undefined, reason);
      }
      return this.#complete(chosen, open);
    } catch (error) {
      if (!(error instanceof Contradiction)) throw error;
      throw new VmbuildError('IMAGE_RESOLVE', `the packages cannot be resolved: ${error.message}`, {
        hints: ['Name one of the alternatives in image.json, or leave one of the packages out.'],
      });
    }
  }

  /** Settles clauses until none is open. Changes its arguments; a choice is tried on copies. */
  #complete(chosen: Map<string, ChosenPackage>, open: readonly Clause[]): Chosen {
    let pending = [...open];
    for (;;) {
      const added: Clause[] = [];
      const choices: { readonly clause: Clause; readonly candidates: readonly IndexedPackage[] }[] = [];
      for (const clause of pending) {
        if (isSatisfied(clause.clause, chosen)) continue;
        const candidates = this.#candidates(clause.clause);
        const [only, second] = candidates;
        if (only === undefined) throw new Contradiction(this.#missing(clause, chosen));
        if (second === undefined) this.#add(chosen, added, only, clause.by, formatAlternatives(clause.clause));
        else choices.push({ clause, candidates });
      }
      pending = [...choices.map(({ clause }) => clause), ...added];
      if (added.length > 0) continue;
      // Every clause was looked at again since the last package came in, unless one of this round was late.
      const still = choices.filter(({ clause }) => !isSatisfied(clause.clause, chosen));
      if (still.length === 0) return chosen;
      const [first] = still.sort((a, b) => compareClauses(a.clause, b.clause));
      if (first !== undefined) return this.#choose(chosen, pending, first.clause, first.candidates);
    }
  }

  #choose(
    chosen: ReadonlyMap<string, ChosenPackage>,
    pending: readonly Clause[],
    { by, clause }: Clause,
    candidates: readonly IndexedPackage[],
  ): Chosen {
    let first: Contradiction | undefined;
    for (const candidate of candidates) {
      const trial = new Map(chosen);
      const open = [...pending];
      try {
        this.#add(trial, open, candidate, by, formatAlternatives(clause));
        return this.#complete(trial, open);
      } catch (error) {
        if (!(error instanceof Contradiction)) throw error;
        // The failure of the preferred alternative is the one that tells a person most.
        first ??= error;
        this.#deadEnds += 1;
        if (this.#deadEnds > MAX_DEAD_ENDS) throw first;
      }
    }
    throw first ?? new Contradiction(this.#missing({ by, clause }, chosen));
  }

  #add(
    chosen: Map<string, ChosenPackage>,
    open: Clause[],
    added: IndexedPackage,
    neededBy: string | undefined,
    reason: string,
  ): void {
    const present = chosen.get(added.name);
    if (present !== undefined) {
      if (present.package === added) return;
      throw new Contradiction(
        `${added.name} is needed in the versions ${present.package.version} and ${added.version}: ${chain(chosen, neededBy, added.name, reason)}`,
      );
    }
    chosen.set(added.name, { package: added, neededBy, reason });
    for (const other of chosen.values()) {
      if (other.package === added) continue;
      refuseConflict(chosen, added, other.package);
      refuseConflict(chosen, other.package, added);
    }
    for (const clause of added.depends) open.push({ by: added.name, clause });
  }

  /** What can satisfy a clause, best first, each package once. */
  #candidates(clause: Alternatives): readonly IndexedPackage[] {
    const found = new Set<IndexedPackage>();
    for (const relation of clause) {
      for (const real of this.#index.versions(relation.name)) if (satisfies(relation, real)) found.add(real);
      const providers = this.#index.providers(relation.name).filter((provider) => satisfies(relation, provider));
      for (const provider of [...providers].sort(compareProviders)) found.add(provider);
    }
    return [...found];
  }

  #missing({ by, clause }: Clause, chosen: Chosen): string {
    const names = clause.flatMap(({ name }) =>
      this.#index.versions(name).map((found) => `${name} is ${found.version}`),
    );
    const known = names.length === 0 ? 'no package has or provides that name' : `in the index ${names.join(', ')}`;
    return `nothing satisfies ${formatAlternatives(clause)} (${known}): ${chain(chosen, by)}`;
  }
}

/** `image.json wants gcc; gcc needs gcc-12 (>= 12.2); …`, from the wish down to `name`. */
function chain(chosen: Chosen, name: string | undefined, last?: string, reason?: string): string {
  const links = last === undefined || name === undefined ? [] : [`${name} needs ${reason ?? last}`];
  for (let at = name; at !== undefined;) {
    const found = chosen.get(at);
    if (found === undefined) break;
    links.unshift(
      found.neededBy === undefined ? `${at} is wanted (${found.reason})` : `${found.neededBy} needs ${found.reason}`,
    );
    at = found.neededBy;
  }
  return links.length === 0 ? (reason ?? 'it is wanted') : links.join('; ');
}

function refuseConflict(chosen: Chosen, by: IndexedPackage, other: IndexedPackage): void {
  for (const [kind, clauses] of [
    ['conflicts with', by.conflicts],
    ['breaks', by.breaks],
  ] as const) {
    for (const relation of clauses.flat()) {
      if (!satisfies(relation, other)) continue;
      throw new Contradiction(
        `${by.name} ${by.version} ${kind} ${formatRelation(relation)}, which is ${other.name} ${other.version} here: ` +
          `${chain(chosen, by.name)}. And: ${chain(chosen, other.name)}`,
      );
    }
  }
}

function isSatisfied(clause: Alternatives, chosen: Chosen): boolean {
  return clause.some((relation) => {
    const named = chosen.get(relation.name);
    if (named !== undefined && satisfies(relation, named.package)) return true;
    for (const { package: candidate } of chosen.values()) {
      if (candidate.provides.some(([one]) => one?.name === relation.name) && satisfies(relation, candidate))
        return true;
    }
    return false;
  });
}

/** By its own name and version, or by what it provides (Debian policy §7.5). */
function satisfies(relation: PackageRelation, candidate: IndexedPackage): boolean {
  // `:any` and `:native` ask nothing more where there is one architecture; another architecture is never there.
  if (relation.qualifier !== undefined && !['any', 'native', 'amd64', 'all'].includes(relation.qualifier)) return false;
  if (relation.name === candidate.name && versionMatches(relation, candidate.version)) return true;
  return candidate.provides.some(
    ([one]) => one?.name === relation.name && versionMatches(relation, one.version?.version),
  );
}

function compareProviders(a: IndexedPackage, b: IndexedPackage): number {
  return PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority) || (a.name < b.name ? -1 : 1);
}

function compareClauses(a: Clause, b: Clause): number {
  if (a.by !== b.by) return a.by < b.by ? -1 : 1;
  return formatAlternatives(a.clause) < formatAlternatives(b.clause) ? -1 : 1;
}
