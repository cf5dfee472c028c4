import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { awsIdentity } from '../../src/cli/awsIdentity.ts';
import { temporary } from '../support/temporary.ts';

/** An environment with files of Amazon's tools. */
async function environment(files: { credentials?: string; config?: string }): Promise<Record<string, string>> {
  const folder = await temporary();
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return {
    AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'),
    AWS_CONFIG_FILE: join(folder, 'config'),
  };
}

const CREDENTIALS = `# a comment
[default]
aws_access_key_id = A
aws_secret_access_key=B=/+
[ci]
aws_access_key_id=C
aws_secret_access_key=D
aws_session_token = E
`;

it('comes from the environment before the files, and from the named profile', async () => {
  const files = await environment({ credentials: CREDENTIALS, config: '[profile ci]\nregion = eu-test-1\n' });
  const given = { AWS_ACCESS_KEY_ID: 'X', AWS_SECRET_ACCESS_KEY: 'Y', AWS_REGION: 'here' };
  expect(awsIdentity({ ...files, ...given })).toEqual({
    credentials: { accessKeyId: 'X', secretAccessKey: 'Y', sessionToken: undefined },
    region: 'here',
  });
  expect(awsIdentity(files)).toEqual({
    credentials: { accessKeyId: 'A', secretAccessKey: 'B=/+', sessionToken: undefined },
    region: undefined,
  });
  expect(awsIdentity({ ...files, AWS_PROFILE: 'ci' })).toEqual({
    credentials: { accessKeyId: 'C', secretAccessKey: 'D', sessionToken: 'E' },
    region: 'eu-test-1',
  });
});

it('is nobody where nothing is said; half of it, and a profile that is not there, are errors', async () => {
  const files = await environment({});
  expect(awsIdentity(files)).toEqual({ credentials: undefined, region: undefined });
  expect(() => awsIdentity({ ...files, AWS_ACCESS_KEY_ID: 'X' })).toThrow('must both be set');
  expect(() => awsIdentity({ ...files, AWS_PROFILE: 'other' })).toThrow('no profile "other"');
});
