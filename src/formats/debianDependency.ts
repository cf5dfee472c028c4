import { satisfiesVersion, type VersionRelation } from './debianVersion.ts';

/** One alternative of a dependency: `name:qualifier (>= version) [architectures]`. */
export interface PackageRelation {
  readonly name: string;
  /** `any`, `native` or an architecture, if one is given. */
  readonly qualifier?: string | undefined;
  readonly version?: { readonly relation: VersionRelation; readonly version: string } | undefined;
}

/** Alternatives, best first. One of them must hold. */
export type Alternatives = readonly PackageRelation[];

const RELATION =
  /^([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9][a-z0-9-]*))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([A-Za-z0-9.+:~-]+)\s*\))?\s*(?:\[([^\]]*)\])?$/;

/**
 * Parses the value of Depends, Pre-Depends, Conflicts, Breaks, Replaces or Provides (Debian policy §7.1):
 * commas separate what must all hold, bars what is enough. Alternatives whose architecture restriction
 * excludes `architecture` are left out, and so is a clause of which none remains.
 *
 * Build profiles (`<…>`) only occur in source packages and are refused.
 *
 * @throws TypeError that shows the part which cannot be read.
 */
export function parseDependencies(field: string, architecture = 'amd64'): Alternatives[] {
  const clauses: Alternatives[] = [];
  for (const clause of field.split(',')) {
    if (clause.trim() === '') continue; // a trailing comma is common
    const alternatives: PackageRelation[] = [];
    for (const part of clause.split('|')) {
      const match = RELATION.exec(part.trim());
      if (match === null) throw new TypeError(`not a package relation: ${JSON.stringify(part.trim())}`);
      const [, name, qualifier, relation, version, architectures] = match;
      if (architectures !== undefined && !appliesTo(architectures, architecture)) continue;
      alternatives.push({
        name: name as string,
        qualifier,
        version: relation === undefined ? undefined : { relation: modern(relation), version: version as string },
      });
    }
    if (alternatives.length > 0) clauses.push(alternatives);
  }
  return clauses;
}

/** The text of a relation, for messages. */
export function formatRelation(relation: PackageRelation): string {
  const name = relation.qualifier === undefined ? relation.name : `${relation.name}:${relation.qualifier}`;
  return relation.version === undefined ? name : `${name} (${relation.version.relation} ${relation.version.version})`;
}

/** The text of a clause, for messages. */
export function formatAlternatives(clause: Alternatives): string {
  return clause.map(formatRelation).join(' | ');
}

/** True if a package with this version (undefined: an unversioned Provides) satisfies the relation's version. */
export function versionMatches(relation: PackageRelation, version: string | undefined): boolean {
  if (relation.version === undefined) return true;
  if (version === undefined) return false; // policy §7.5: only a versioned Provides meets a versioned relation
  return satisfiesVersion(version, relation.version.relation, relation.version.version);
}

/** `[amd64 i386]` or `[!hurd-any]`: a list is all positive or all negative (policy §7.1). */
function appliesTo(list: string, architecture: string): boolean {
  const words = list.trim().split(/\s+/);
  const negative = words[0]?.startsWith('!') ?? false;
  const named = words.some((word) => {
    const name = word.replace(/^!/, '');
    return name === architecture || name === 'any' || name === 'linux-any' || name === `any-${architecture}`;
  });
  return negative ? !named : named;
}

/** `<` and `>` meant `<=` and `>=` (dpkg still reads them so). */
function modern(relation: string): VersionRelation {
  if (relation === '<') return '<=';
  if (relation === '>') return '>=';
  return relation as VersionRelation;
}
