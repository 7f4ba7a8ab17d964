/** A copy of an answer, down to its last member, which its reader may change. Bytes and instances are shared. */
export function copied<Answer>(answer: Answer): Answer {
  return copyOf(answer) as Answer;
}

function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  // Begun with all members, because an assignment does not make one of the name `__proto__`.
  const copy = { ...value } as Record<string, unknown>;
  for (const name of Object.keys(copy)) copy[name] = copyOf(copy[name]);
  return copy;
}
