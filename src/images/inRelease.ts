import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDeb822, type Stanza } from '../formats/deb822.ts';
import { exists, temporaryFolder } from '../io/files.ts';
import { run } from '../io/process.ts';
import { errorMessage, systemErrorCode, VmbuildError } from '../model/errors.ts';

/** Where the Debian package debian-archive-keyring puts its keys. */
export const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Verifies an InRelease file with gpgv and returns the signed part, parsed. As apt does, it asks for one good
 * signature of a key in the keyring and no bad one; signatures of unknown keys do not count, because machines
 * have keyrings of different ages. Nothing outside the signed part is ever looked at.
 *
 * @param scratch an existing folder for a temporary file.
 * @throws VmbuildError SIGNATURE_INVALID, also if gpgv or the keyring is missing.
 */
export async function verifyInRelease(
  bytes: Uint8Array,
  options: {
    readonly scratch: string;
    readonly keyring?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Stanza> {
  const keyring = options.keyring ?? DEBIAN_KEYRING;
  refuseOtherText(Buffer.from(bytes).toString('latin1'));
  if (!(await exists(keyring))) {
    throw new VmbuildError(
      'SIGNATURE_INVALID',
      `the keyring ${keyring} does not exist, so the package index cannot be verified`,
      {
        hints: ['Install the Debian package debian-archive-keyring.'],
      },
    );
  }
  await using folder = await temporaryFolder(options.scratch, 'gpgv-');
  const file = join(folder.path, 'InRelease');
  await writeFile(file, bytes);
  // Its own empty home: no keyring or setting of the user has a say.
  const args = ['--homedir', folder.path, '--keyring', keyring, '--status-fd', '2', '--output', '-', file];
  const result = await run('gpgv', args, {
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    signal: options.signal,
  }).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    throw new VmbuildError('SIGNATURE_INVALID', 'gpgv is not installed, so the package index cannot be verified', {
      cause: error,
      hints: ['Install the Debian package gpgv.'],
    });
  });
  judge(result.stderr, result.exitCode);
  try {
    const [release, ...more] = parseDeb822(result.stdout);
    if (release === undefined || more.length > 0)
      throw new TypeError(`${more.length + (release ? 1 : 0)} paragraphs, not one`);
    return release;
  } catch (error) {
    throw new VmbuildError('SIGNATURE_INVALID', `the signed InRelease cannot be read: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

const BEGIN = '-----BEGIN PGP SIGNED MESSAGE-----';
const SIGNATURE = '-----BEGIN PGP SIGNATURE-----';
const END = '-----END PGP SIGNATURE-----';

/** One clear-signed message and nothing else: what surrounds one has misled verifiers before (CVE-2013-1051, CVE-2016-1252). */
function refuseOtherText(text: string): void {
  const count = (marker: string): number => text.split('\n').filter((line) => line.trimEnd() === marker).length;
  const whole = text.startsWith(BEGIN) && text.trimEnd().endsWith(END);
  if (whole && count(BEGIN) === 1 && count(SIGNATURE) === 1 && count(END) === 1) return;
  throw new VmbuildError('SIGNATURE_INVALID', 'the InRelease file is not exactly one signed message', {
    hints: ['A proxy or captive portal may have answered in place of the mirror.'],
  });
}

/** Reads gpgv's status lines (GnuPG doc/DETAILS): the exit code is also non-zero for a signature of an unknown key. */
function judge(status: string, exitCode: number | null): void {
  const words = status
    .split('\n')
    .filter((line) => line.startsWith('[GNUPG:] '))
    .map((line) => line.split(' ')[1] as string);
  const good = words.includes('GOODSIG') && words.includes('VALIDSIG');
  const bad = words.find(
    (word) => word === 'BADSIG' || word === 'BADARMOR' || word === 'NODATA' || word === 'UNEXPECTED',
  );
  const others = words.filter((word) => word === 'ERRSIG').length;
  if (good && bad === undefined && (exitCode === 0 || others > 0)) return;
  const why =
    bad === 'BADSIG'
      ? 'the text was changed after it was signed'
      : words.includes('NO_PUBKEY')
        ? 'none of the keys that signed it is in the keyring'
        : words.some((word) => /^(EXPKEYSIG|EXPSIG|REVKEYSIG)$/.test(word))
          ? 'the key or the signature has expired or was revoked'
          : `gpgv exits with ${exitCode}`;
  throw new VmbuildError('SIGNATURE_INVALID', `the signature of the package index does not verify: ${why}`, {
    hints: ['Update the Debian package debian-archive-keyring, or try another mirror.'],
    cause: new Error(status.trim()),
  });
}
