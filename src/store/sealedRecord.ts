import { sha256 } from '../model/digest.ts';

/** The last member of a record: the digest of the record's text without it. */
const SEAL = /,\n "check": "([0-9a-f]{64})"\n\}\n$/;

/** The text of a record with a seal, by which every bit that turns over later is noticed. */
export function sealRecord(record: object): string {
  const text = JSON.stringify(record, null, 1);
  return `${text.slice(0, -2)},\n "check": "${sha256(text)}"\n}\n`;
}

/**
 * The record in a text, without its seal; undefined if it is no JSON object, or not what its seal says. Records of older
 * vmbuilds have no seal: they are believed if all their members are among `members`, so that a damaged seal is not taken
 * for none.
 */
export function unsealRecord(text: string, members: readonly string[]): Readonly<Record<string, unknown>> | undefined {
  const seal = SEAL.exec(text);
  if (seal !== null && sha256(`${text.slice(0, seal.index)}\n}`) !== seal[1]) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { check, ...record } = value as Readonly<Record<string, unknown>>;
  if (seal !== null) return record;
  return check === undefined && Object.keys(record).every((name) => members.includes(name)) ? record : undefined;
}
