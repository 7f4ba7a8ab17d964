/** Values in comparable form. */
import { WaitpointToken } from '../model/signing/token.js';

/** The value as JSON represents it: undefined members are left out, and bytes are texts. */
export const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_key, member: unknown) => bytesAsText(member)) ?? 'null');

/** The same with tokens in clear, so that they are compared too. */
export function revealed(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, function (this: Record<string, unknown>, key, member: unknown) {
      const raw = this[key];
      return raw instanceof WaitpointToken ? raw.reveal() : bytesAsText(member);
    }) ?? 'null',
  );
}

function bytesAsText(member: unknown): unknown {
  if (member instanceof Uint8Array) return `bytes:${Buffer.from(member).toString('hex')}`;
  if (typeof member === 'object' && member !== null && (member as { type?: unknown }).type === 'Buffer')
    return `bytes:${Buffer.from((member as unknown as { data: number[] }).data).toString('hex')}`;
  return member;
}
