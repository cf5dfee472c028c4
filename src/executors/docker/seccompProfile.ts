import {
  ALLOWED_CALLS,
  EAFNOSUPPORT,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  NEW_NAMESPACES,
  PERSONALITIES,
  REFUSED_CALLS,
  SOCKET_FAMILIES,
  TERMINAL_REQUESTS,
  UNSUPPORTED_CALLS,
} from '../systemCalls.ts';

/**
 * A condition on an argument: its bits that are set in `value` are those of `valueTwo`. Several conditions on one
 * argument are alternatives. Registers have 64 bits, and of these arguments the kernel looks at the lower 32, so a
 * condition must do so, too.
 */
interface Condition {
  readonly index: number;
  readonly value: number;
  readonly valueTwo: number;
  readonly op: 'SCMP_CMP_MASKED_EQ';
}

interface Rule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly Condition[];
}

const allow = (names: readonly string[], args?: readonly Condition[]): Rule => {
  return { names, action: 'SCMP_ACT_ALLOW', ...(args && { args }) };
};
const refuse = (names: readonly string[], errnoRet: number, args?: readonly Condition[]): Rule => {
  return { names, action: 'SCMP_ACT_ERRNO', errnoRet, ...(args && { args }) };
};
const bits = (index: number, value: number, valueTwo: number): Condition => {
  return { index, value, valueTwo, op: 'SCMP_CMP_MASKED_EQ' };
};
const oneOf = (index: number, values: readonly number[]): Condition[] =>
  values.map((value) => bits(index, 0xffffffff, value));

/** Everything but these values: each condition is for all numbers that begin with bits with which none of them begins. */
function noneOf(index: number, values: readonly number[], length = 0, prefix = 0): Condition[] {
  if (values.length === 0) return [bits(index, 2 ** 32 - 2 ** (32 - length), prefix)];
  if (length === 32) return [];
  const next = 2 ** (31 - length);
  return [prefix, prefix + next].flatMap((longer) =>
    noneOf(
      index,
      values.filter((value) => value >= longer && value < longer + next),
      length + 1,
      longer,
    ),
  );
}

const SOCKETS = ['socket', 'socketpair'];

/**
 * The same system calls as in the namespace executor, as a seccomp profile of Docker: the daemon's own depends on its
 * version, and older ones let a step use AF_VSOCK, which no network namespace confines, and io_uring. `personality`: one
 * that the step may ask for as well.
 */
export function seccompProfile(personality?: number): string {
  const personalities = [...PERSONALITIES, ...(personality === undefined ? [] : [personality])];
  return JSON.stringify({
    defaultAction: 'SCMP_ACT_ERRNO',
    // Daemons before Docker 22 do not know this, and answer EPERM instead.
    defaultErrnoRet: ENOSYS,
    // Programs for any other, as 32-bit x86, are killed.
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: [
      allow(ALLOWED_CALLS),
      refuse(Object.keys(REFUSED_CALLS), EPERM),
      refuse(Object.keys(UNSUPPORTED_CALLS), EOPNOTSUPP),
      refuse(['clone3'], ENOSYS),
      allow(['clone'], [bits(0, NEW_NAMESPACES, 0)]),
      refuse(['clone'], EPERM, namespaceBits()),
      allow(['personality'], oneOf(0, [...new Set(personalities)])),
      allow(SOCKETS, oneOf(0, SOCKET_FAMILIES)),
      refuse(SOCKETS, EAFNOSUPPORT, noneOf(0, SOCKET_FAMILIES)),
      allow(['ioctl'], noneOf(1, TERMINAL_REQUESTS)),
      refuse(['ioctl'], EPERM, oneOf(1, TERMINAL_REQUESTS)),
    ] satisfies Rule[],
  });
}

function namespaceBits(): Condition[] {
  const flags = Array.from({ length: 32 }, (_, bit) => 2 ** bit).filter((flag) => (NEW_NAMESPACES & flag) !== 0);
  return flags.map((flag) => bits(0, flag, flag));
}
