import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createNamespaceExecutor } from '../../../src/executors/namespace/namespaceExecutor.ts';
import { removeTree } from '../../../src/io/files.ts';
import { sha256 } from '../../../src/model/digest.ts';
import { errorMessage, systemErrorCode } from '../../../src/model/errors.ts';
import type { Answer, Question } from './protocol.ts';

/**
 * Runs steps that it is told on standard input, one JSON document a line, and answers on standard output. It is a
 * process of its own so that it can be another user, have secrets in its environment, and be killed.
 *
 * usage: runner.ts FOLDER ROOTFS
 */
const [folder = '', rootfs = ''] = process.argv.slice(2);
const executor = createNamespaceExecutor();

async function answer(question: Question): Promise<Answer> {
  const scratch = await mkdtemp(join(folder, 'scratch-'));
  const recipe = await mkdtemp(join(folder, 'recipe-'));
  await writeFile(join(recipe, 'hello.txt'), 'hello\n');
  await mkdir(join(recipe, 'sub'));
  const chunks: Buffer[] = [];
  const controller = new AbortController();
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (question.brokenOutput === true) {
        setTimeout(done, 1, Object.assign(new Error('no space'), { code: 'ENOSPC' }));
        return;
      }
      chunks.push(chunk);
      if (question.abortOnOutput !== undefined && Buffer.concat(chunks).includes(question.abortOnOutput)) {
        controller.abort(new Error('aborted by the test'));
      }
      setTimeout(done, question.slowOutputMs ?? 0);
    },
  });
  output.on('error', () => {});
  if (question.abortAfterMs === 0) queueMicrotask(() => controller.abort(new Error('aborted by the test')));
  else if (question.abortAfterMs !== undefined) {
    setTimeout(() => controller.abort(new Error('aborted by the test')), question.abortAfterMs);
  }
  const { inputs = {}, env = {} } = question;
  const digest = sha256('any');
  const contents = Object.fromEntries(
    Object.entries(inputs).map(([mount, input]) => [mount, { ...input, digest }] as const),
  );
  let ended: Pick<Answer, 'result' | 'error'>;
  try {
    const result = await executor.run({
      name: 'step',
      buildKey: digest,
      document: {
        format: 1,
        platform: 'linux/amd64',
        sandbox: 1,
        image: digest,
        command: question.command,
        env,
        recipe: digest,
        sourceDateEpoch: 315532800,
        inputs: contents,
      },
      image: { rootfs, config: '{}' },
      recipe,
      inputs: contents,
      scratch,
      conditions: { cores: 3, limits: {} },
      output,
      signal: controller.signal,
    });
    ended = { result };
  } catch (error) {
    ended = { error: { code: systemErrorCode(error) ?? '', message: errorMessage(error) } };
  }
  output.end();
  await finished(output).catch(() => {});
  const out = await readdir(join(scratch, 'out')).catch(() => []);
  await removeTree(scratch);
  await removeTree(recipe);
  return { ...ended, out, output: Buffer.concat(chunks).toString() };
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line) as Question;
  void answer(question).then((reply) => process.stdout.write(`${JSON.stringify({ ...reply, id: question.id })}\n`));
}
