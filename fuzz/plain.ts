/** A value in comparable form. */

/** The value as JSON represents it: undefined members are left out, and bytes are texts. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, member: unknown) => {
      if (member instanceof Uint8Array) return `bytes:${Buffer.from(member).toString('hex')}`;
      if (typeof member === 'object' && member !== null && (member as { type?: unknown }).type === 'Buffer')
        return `bytes:${Buffer.from((member as unknown as { data: number[] }).data).toString('hex')}`;
      return member;
    }) ?? 'null',
  );
}
