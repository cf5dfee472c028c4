import { errorMessage, systemErrorCode, VmbuildError } from '../../model/errors.ts';

/** The HTTP status of an answer that dockerode turned into an error, or undefined. */
export function statusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** The daemon's own words, without dockerode's decoration. */
export function daemonMessage(error: unknown): string {
  const message = (error as { json?: { message?: unknown } } | null)?.json?.message;
  return typeof message === 'string' ? message : errorMessage(error).trim();
}

/** Turns 404 into undefined; for questions about things that may not exist. */
export async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

/** Why no daemon answers, and what would help. */
export interface Trouble {
  readonly reason: string;
  readonly hints: readonly string[];
}

/** `host`: the value of DOCKER_HOST, undefined if it is not set. */
export function connectionTrouble(error: unknown, host: string | undefined): Trouble | undefined {
  const where = host === undefined ? 'the default Docker socket' : `DOCKER_HOST=${host}`;
  const start = 'Start one: `sudo systemctl start docker`, or `sudo scripts/docker.sh start` and eval what it prints.';
  const other = 'If a daemon runs elsewhere, set DOCKER_HOST; contexts of the docker command are not read.';
  switch (systemErrorCode(error)) {
    case 'ENOENT':
      return { reason: `no Docker daemon: ${where} does not exist`, hints: [start, other] };
    case 'ECONNREFUSED':
      return { reason: `no Docker daemon is running behind ${where}`, hints: [start, other] };
    case 'EACCES':
    case 'EPERM':
      return {
        reason: `${where} may not be opened by this user`,
        hints: [
          'Join the group docker: `sudo usermod -aG docker $USER`, then log in again. Members of it are as powerful as root.',
          'Or use `--executor namespace`, which needs no privileges.',
        ],
      };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return {
        reason: `${where} cannot be reached (${errorMessage(error)})`,
        hints: ['Check DOCKER_HOST and the network.'],
      };
    case 'ECONNRESET':
    case 'EPIPE':
      return {
        reason: `the Docker daemon behind ${where} closed the connection`,
        hints: ['Look at its log (`journalctl -u docker`), and whether it is still running; then build again.'],
      };
    default:
      return undefined;
  }
}

/** Turns whatever went wrong between us and the daemon into an error that says what to do. */
export function explainDockerError(error: unknown, step: string | undefined, host: string | undefined): unknown {
  if (error instanceof VmbuildError) return error;
  const trouble = connectionTrouble(error, host);
  if (trouble !== undefined) {
    return new VmbuildError('EXECUTOR_FAILED', trouble.reason, { step, cause: error, hints: trouble.hints });
  }
  const message = daemonMessage(error);
  // The daemon's disk: an ENOSPC of our own carries a code, and is the caller's to explain.
  if (systemErrorCode(error) === undefined && /no space left on device/i.test(message)) {
    return new VmbuildError('DISK_FULL', `no space left where the Docker daemon keeps its data: ${message}`, {
      step,
      cause: error,
      hints: [
        '`docker system df` shows what uses it; docs/docker.md says which of it is vmbuild’s and how to remove it.',
      ],
    });
  }
  if (systemErrorCode(error) !== undefined && statusOf(error) === undefined) return error;
  return new VmbuildError('EXECUTOR_FAILED', `the Docker daemon could not run the step: ${message}`, {
    step,
    cause: error,
    hints: ['docs/docker.md lists what the docker executor needs.'],
  });
}
