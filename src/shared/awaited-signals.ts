/**
 * How many signals of a wait have come. The store knows it of conditions that it evaluates. A handler evaluates its own:
 * its worker writes the numbers into the label of the suspension, where `explain` reads them.
 */
import type { AwaitedSignals } from '../../model/suspension/condition.js';
import { LIMITS } from '../../model/limits.js';

/** The label; parts that have no room are left out. */
export function labelOf(parts: readonly AwaitedSignals[]): string {
  for (let end = parts.length; end > 0; end--) {
    const label = JSON.stringify(
      parts.slice(0, end).map(({ names, received, needed }) => [received, needed, ...names]),
    );
    if (Buffer.byteLength(label) <= LIMITS.maxSignalTextBytes) return label;
  }
  return '';
}

/** The parts in a label; undefined for a label that another program wrote. */
export function partsIn(label: string): readonly AwaitedSignals[] | undefined {
  try {
    const rows: unknown = JSON.parse(label);
    return Array.isArray(rows) && rows.length > 0 ? rows.map(partOf) : undefined;
  } catch {
    return undefined;
  }
}

function partOf(row: unknown): AwaitedSignals {
  const [received, needed, ...names] = row as unknown[];
  const isPart = typeof received === 'number' && typeof needed === 'number' && names.every(isText);
  if (!isPart) throw new TypeError('not a part');
  return { names: names as string[], received, needed };
}

const isText = (name: unknown): boolean => typeof name === 'string';
