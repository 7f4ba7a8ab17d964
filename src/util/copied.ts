/** A copy of an answer, down to its last member, which its reader may change. Bytes and instances are shared. */
export function copied<Answer>(answer: Answer): Answer {
  return copyOf(answer) as Answer;
}

function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf);
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value)) copy[name] = copyOf((value as Record<string, unknown>)[name]);
  return copy;
}
