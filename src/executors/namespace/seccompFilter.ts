import {
  EAFNOSUPPORT,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  FILTERED_CALLS as CALLS,
  LAST_KNOWN_CALL,
  NEW_NAMESPACES,
  PERSONALITIES,
  REFUSED_CALLS,
  SOCKET_FAMILIES,
  TERMINAL_REQUESTS,
  UNSUPPORTED_CALLS,
} from '../systemCalls.ts';

/** Of <linux/audit.h>. */
const AUDIT_ARCH_X86_64 = 0xc000003e;

/** Numbers from here on are those of the x32 ABI. */
const X32 = 0x40000000;

/** Classic BPF of <linux/bpf_common.h>, and what a filter answers, of <linux/seccomp.h>. */
const LOAD = 0x20;
const IF_EQUAL = 0x15;
const IF_GREATER = 0x25;
const IF_AT_LEAST = 0x35;
const IF_ANY_BIT = 0x45;
const RETURN = 0x06;
const KILL_PROCESS = 0x80000000;
const ALLOW = 0x7fff0000;
const errno = (code: number): number => 0x00050000 | code;

/** Offsets in struct seccomp_data. The kernel uses the low half of the arguments that are looked at here. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const argument = (index: number): number => 16 + 8 * index;

/** Code, jump if true, jump if false (both count the instructions to leave out), value. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

const load = (offset: number): Instruction => [LOAD, 0, 0, offset];
const answer = (value: number): Instruction => [RETURN, 0, 0, value];
/** Goes on with the next instruction if the condition holds, and else after it. */
const when = (condition: number, value: number): Instruction => [condition, 0, 1, value];

/** Rules for one call by one of its arguments. */
function onArgument(call: number, index: number, rules: readonly Instruction[]): Instruction[] {
  return [[IF_EQUAL, 0, rules.length + 1, call], load(argument(index)), ...rules];
}

function assemble(): Buffer {
  const oneOf = (values: readonly number[], then: number): Instruction[] =>
    values.flatMap((value) => [when(IF_EQUAL, value), answer(then)]);
  const socketRules = [...oneOf(SOCKET_FAMILIES, ALLOW), answer(errno(EAFNOSUPPORT))];
  const program: Instruction[] = [
    load(ARCHITECTURE),
    [IF_EQUAL, 1, 0, AUDIT_ARCH_X86_64],
    answer(KILL_PROCESS),
    load(NUMBER),
    when(IF_AT_LEAST, X32),
    answer(KILL_PROCESS),
    when(IF_GREATER, LAST_KNOWN_CALL),
    answer(errno(ENOSYS)),
    when(IF_EQUAL, CALLS.clone3), // its flags are in memory, where a filter cannot look; libc then takes clone
    answer(errno(ENOSYS)),
    ...oneOf(Object.values(REFUSED_CALLS), errno(EPERM)),
    ...oneOf(Object.values(UNSUPPORTED_CALLS), errno(EOPNOTSUPP)),
    ...onArgument(CALLS.clone, 0, [when(IF_ANY_BIT, NEW_NAMESPACES), answer(errno(EPERM)), answer(ALLOW)]),
    ...onArgument(CALLS.personality, 0, [...oneOf(PERSONALITIES, ALLOW), answer(errno(EPERM))]),
    ...onArgument(CALLS.socket, 0, socketRules),
    ...onArgument(CALLS.socketpair, 0, socketRules),
    ...onArgument(CALLS.ioctl, 1, [...oneOf(TERMINAL_REQUESTS, errno(EPERM)), answer(ALLOW)]),
    answer(ALLOW),
  ];
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}

/** The program: an array of struct sock_filter. */
export const SECCOMP_FILTER: Uint8Array = assemble();
