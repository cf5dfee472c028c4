import {
  ALLOWED_CALLS,
  EAFNOSUPPORT,
  ENOSYS,
  EPERM,
  NEW_NAMESPACES,
  PERSONALITIES,
  REFUSED_CALLS,
  SOCKET_FAMILIES,
  TERMINAL_REQUESTS,
} from '../systemCalls.ts';

/** A condition on an argument; several conditions on one argument are alternatives. */
interface Condition {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_LT' | 'SCMP_CMP_GT' | 'SCMP_CMP_MASKED_EQ';
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
const oneOf = (index: number, values: readonly number[]): Condition[] =>
  values.map((value) => ({ index, value, op: 'SCMP_CMP_EQ' }));

/** Everything but these values. */
function noneOf(index: number, values: readonly number[]): Condition[] {
  const sorted = values.toSorted((a, b) => a - b);
  const [least = 0, most = 0] = [sorted[0], sorted.at(-1)];
  const between = Array.from({ length: most - least }, (_, offset) => least + offset);
  const rest = oneOf(
    index,
    between.filter((value) => !values.includes(value)),
  );
  return [{ index, value: least, op: 'SCMP_CMP_LT' }, ...rest, { index, value: most, op: 'SCMP_CMP_GT' }];
}

const SOCKETS = ['socket', 'socketpair'];

/**
 * The same system calls as in the namespace executor, as a seccomp profile of Docker: the daemon's own depends on its
 * version, and older ones let a step use AF_VSOCK, which no network namespace confines, and io_uring.
 */
export const SECCOMP_PROFILE = JSON.stringify({
  defaultAction: 'SCMP_ACT_ERRNO',
  // Daemons before Docker 22 do not know this, and answer EPERM instead.
  defaultErrnoRet: ENOSYS,
  // Programs for any other, as 32-bit x86, are killed.
  architectures: ['SCMP_ARCH_X86_64'],
  syscalls: [
    allow(ALLOWED_CALLS),
    refuse(Object.keys(REFUSED_CALLS), EPERM),
    refuse(['clone3'], ENOSYS),
    allow(['clone'], [{ index: 0, value: NEW_NAMESPACES, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }]),
    refuse(['clone'], EPERM, namespaceBits()),
    allow(['personality'], oneOf(0, PERSONALITIES)),
    allow(SOCKETS, oneOf(0, SOCKET_FAMILIES)),
    refuse(SOCKETS, EAFNOSUPPORT, noneOf(0, SOCKET_FAMILIES)),
    allow(['ioctl'], noneOf(1, TERMINAL_REQUESTS)),
    refuse(['ioctl'], EPERM, oneOf(1, TERMINAL_REQUESTS)),
  ] satisfies Rule[],
});

function namespaceBits(): Condition[] {
  const bits = Array.from({ length: 32 }, (_, bit) => 2 ** bit).filter((bit) => (NEW_NAMESPACES & bit) !== 0);
  return bits.map((bit) => ({ index: 0, value: bit, valueTwo: bit, op: 'SCMP_CMP_MASKED_EQ' }));
}
