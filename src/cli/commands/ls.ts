import { refusal } from '../../build/plan.ts';
import { errorMessage } from '../../model/errors.ts';
import { openContext } from '../context.ts';
import { formatBytes, formatTable } from '../format.ts';
import type { GlobalOptions } from '../settings.ts';

/** `vmbuild ls`: every target, and whether the store has it. A recipe that is wrong is listed with what is wrong. */
export async function lsCommand(options: GlobalOptions & { readonly json?: boolean }): Promise<void> {
  const { project, evaluator, plan: planOf } = await openContext(options, 'read');
  const rows: { target: string; state: string; size: number | undefined; description: string }[] = [];
  for (const target of await project.targets()) {
    try {
      const step = await evaluator.evaluate(target);
      const plan = await planOf([step]);
      const planned = plan.find((candidate) => candidate.step === step);
      const statement = planned?.decision === 'reuse' ? planned.statement : undefined;
      const size = statement?.subject[0]?.annotations.size;
      // A target that its platform has no room for is there on purpose, to say so.
      const refused = refusal(plan);
      const state = refused !== undefined ? 'refused' : statement === undefined ? '-' : 'in store';
      rows.push({ target, state, size, description: refused === undefined ? step.description : firstLine(refused) });
    } catch (error) {
      rows.push({ target, state: 'error', size: undefined, description: firstLine(error) });
    }
  }
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const table = rows.map(({ target, state, size, description }) => [
    target,
    state,
    size === undefined ? '' : formatBytes(size),
    description,
  ]);
  process.stdout.write(formatTable(table));
}

function firstLine(error: unknown): string {
  return errorMessage(error).split('\n')[0]?.replace(/:$/, '') ?? '';
}
