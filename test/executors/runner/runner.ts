import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createDockerExecutor } from '../../../src/executors/docker/dockerExecutor.ts';
import type { StepRequest, StepResult } from '../../../src/executors/executor.ts';
import { createNamespaceExecutor } from '../../../src/executors/namespace/namespaceExecutor.ts';
import { removeTree } from '../../../src/io/files.ts';
import { listTree, treeDigest } from '../../../src/io/tree.ts';
import { sha256 } from '../../../src/model/digest.ts';
import { errorMessage, systemErrorCode } from '../../../src/model/errors.ts';
import { adoptTree } from '../../../src/store/artifacts.ts';
import { openStore } from '../../../src/store/openStore.ts';
import type { Answer, Question } from './protocol.ts';

/**
 * Runs steps that it is told on standard input, one JSON document a line, and answers on standard output. It is a
 * process of its own so that it can be another user, have secrets in its environment, and be killed.
 *
 * usage: runner.ts FOLDER ROOTFS namespace|docker
 */
const [folder = '', rootfs = '', name = ''] = process.argv.slice(2);
const executor = name === 'docker' ? createDockerExecutor() : createNamespaceExecutor();
const config = await readFile(join(dirname(rootfs), 'config.json'), 'utf8');

async function answer(question: Question): Promise<Answer> {
  if (question.command.length === 0) return { table: await executor.limits(), output: '', out: [] };
  const scratch = await mkdtemp(join(folder, 'scratch-'));
  const recipe = await mkdtemp(join(folder, 'recipe-'));
  await writeFile(join(recipe, 'hello.txt'), 'hello\n');
  await mkdir(join(recipe, 'sub'));
  await chmod(recipe, 0o755);
  const chunks: Buffer[] = [];
  let announced = false;
  const controller = new AbortController();
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (question.brokenOutput === true) {
        setTimeout(done, 1, Object.assign(new Error('no space'), { code: 'ENOSPC' }));
        return;
      }
      chunks.push(chunk);
      if (!announced && question.announce !== undefined && Buffer.concat(chunks).includes(question.announce)) {
        announced = true;
        process.stdout.write(`${JSON.stringify({ id: question.id, announced })}\n`);
      }
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
  const contents = Object.fromEntries(
    await Promise.all(
      Object.entries(inputs).map(
        async ([mount, input]) => [mount, { ...input, digest: await digestOf(input) }] as const,
      ),
    ),
  );
  let ended: Pick<Answer, 'result' | 'error' | 'artifact'>;
  try {
    const request: StepRequest = {
      name: 'step',
      buildKey: sha256('any'),
      document: {
        format: 1,
        platform: 'linux/amd64',
        sandbox: 1,
        image: sha256(config),
        command: question.command,
        env,
        recipe: treeDigest(recipe, listTree(recipe)),
        sourceDateEpoch: 315532800,
        inputs: contents,
      },
      image: { rootfs, config },
      recipe,
      inputs: contents,
      scratch,
      conditions: { cores: 3, limits: question.limits ?? {} },
      output,
      signal: controller.signal,
    };
    ended = { result: question.outside === true ? await runOutside(request) : await executor.run(request) };
    if (question.adopt === true && ended.result?.exitCode === 0) {
      const { digest } = await adoptTree(await openStore(join(folder, 'store')), join(scratch, 'out'));
      ended = { ...ended, artifact: digest };
    }
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

async function digestOf({ kind, path }: { readonly kind: 'tree' | 'file'; readonly path: string }) {
  return kind === 'tree' ? treeDigest(path, listTree(path)) : sha256(await readFile(path));
}

async function runOutside({ document, output }: StepRequest): Promise<StepResult> {
  const [program = '', ...args] = document.command;
  const child = spawn(program, args, { env: { ...process.env, LC_ALL: 'C' }, stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.pipe(output, { end: false });
  const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { exitCode, signal: null };
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line) as Question;
  void answer(question).then((reply) => process.stdout.write(`${JSON.stringify({ ...reply, id: question.id })}\n`));
}
