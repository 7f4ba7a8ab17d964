/** How much commands ask of the call that carries them. */
import { SHAPES } from '../../../lua/parameters.js';
import { operationNamed, type ParsedCommand } from '../../../model/machine.js';
import { kept } from '../../util/own-bytes.js';

export interface Weight {
  /** Units of work, as their operations declare them. */
  readonly units: number;
  /** Bytes in their bytes arguments, and in the inputs of their new members. */
  readonly bytes: number;
  /** Characters in their other arguments. */
  readonly text: number;
}

/** Names of bytes arguments, by operation. */
const BYTE_ARGUMENTS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries(SHAPES).map(([name, { each }]) => [
    name,
    each.flatMap((part) => (part.kind === 'argument' && part.field.kind === 'bytes' ? [part.field.name] : [])),
  ]),
);

/** Copies the bytes of commands, which are sent later: their caller may fill the buffer anew when the call is made. */
export function keepBytes(commands: readonly ParsedCommand[]): void {
  for (const { name, args } of commands) {
    const own = args as unknown as Record<string, Uint8Array | undefined>;
    for (const argument of BYTE_ARGUMENTS[name] ?? []) {
      const bytes = own[argument];
      if (bytes !== undefined) own[argument] = kept(bytes);
    }
    for (const member of operationNamed(name).newMembers?.(args as never) ?? [])
      (member as { inputPayload: Uint8Array }).inputPayload = kept(member.inputPayload);
  }
}

export function weightOf(commands: readonly ParsedCommand[]): Weight {
  let units = 0;
  let bytes = 0;
  let text = 0;
  for (const { name, args } of commands) {
    const operation = operationNamed(name);
    units += operation.units?.(args as never) ?? 1;
    for (const argument of BYTE_ARGUMENTS[name] ?? []) {
      bytes += (args as unknown as Record<string, Uint8Array | undefined>)[argument]?.byteLength ?? 0;
    }
    for (const { inputPayload } of operation.newMembers?.(args as never) ?? []) bytes += inputPayload.byteLength;
    text += textIn(args);
  }
  return { units, bytes, text };
}

/** Characters in a value, including the names of its members: those of tags are texts of the caller. */
function textIn(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return 0;
  let text = 0;
  if (Array.isArray(value)) for (const item of value) text += textIn(item);
  else for (const name in value) text += name.length + textIn((value as Record<string, unknown>)[name]);
  return text;
}
