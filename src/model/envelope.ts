import * as v from 'valibot';

/** A signed payload: an envelope of DSSE v1.0.2 (https://github.com/secure-systems-lab/dsse, envelope.md). */
export interface Envelope {
  readonly payloadType: string;
  /** Base64. */
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const envelopeSchema = v.looseObject({
  payloadType: v.string(),
  payload: v.pipe(v.string(), v.regex(BASE64)),
  signatures: v.pipe(
    v.array(v.looseObject({ keyid: v.string(), sig: v.pipe(v.string(), v.regex(BASE64)) })),
    v.minLength(1),
    // Each costs a verification, and nobody has that many.
    v.maxLength(16),
  ),
});

/** True for a parsed JSON value that is an envelope. */
export function isEnvelope(value: unknown): value is Envelope {
  return v.is(envelopeSchema, value);
}

/** The envelope in a line of JSON, without members that are none of its; undefined if there is none. */
function parseEnvelope(line: string): Envelope | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (!isEnvelope(value)) return undefined;
    const { payloadType, payload, signatures } = value;
    return { payloadType, payload, signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig })) };
  } catch {
    return undefined;
  }
}

/** Envelopes as lines of JSON. */
export function formatEnvelopes(envelopes: readonly Envelope[]): string {
  return envelopes.map((envelope) => `${JSON.stringify(envelope)}\n`).join('');
}

/** The envelopes of such lines. @throws TypeError that names the first line which is none. */
export function parseEnvelopes(text: string): readonly Envelope[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line, index) => {
    const envelope = parseEnvelope(line);
    if (envelope === undefined) throw new TypeError(`line ${index + 1} is no signed statement`);
    return envelope;
  });
}

/** The envelopes of such lines, and how many lines are none: for who only looks at what others have published. */
export function readEnvelopes(text: string): { readonly envelopes: readonly Envelope[]; readonly unreadable: number } {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const envelopes = lines.flatMap((line) => parseEnvelope(line) ?? []);
  return { envelopes, unreadable: lines.length - envelopes.length };
}

/** The bytes that an envelope carries; nobody has vouched for them yet. */
export function payloadOf({ payload }: Envelope): Buffer {
  return Buffer.from(payload, 'base64');
}
