/** Finds where two plain values differ, because a person reads only the differences of a long state. */

const MAX_SHOWN = 12;

type Plain = Readonly<Record<string, unknown>>;

const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null;

function* walk(a: unknown, b: unknown, path: string): Generator<string> {
  if (isPlain(a) && isPlain(b) && Array.isArray(a) === Array.isArray(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) yield* walk(a[key], b[key], `${path}.${key}`);
  } else if (a !== b) {
    yield `${path.slice(1)}: expected ${JSON.stringify(a)}, got ${JSON.stringify(b)}`;
  }
}

/** The first differences, one per line. */
export function differencesOf(expected: unknown, got: unknown): string[] {
  const lines: string[] = [];
  for (const line of walk(expected, got, '')) {
    if (lines.push(line) === MAX_SHOWN) break;
  }
  return lines;
}
