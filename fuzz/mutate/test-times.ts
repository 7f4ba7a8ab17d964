/** How long each test file took, kept for later runs, and how often it noticed a mutant: the order of execution. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ROOT } from './tree.js';

const FILE = `${ROOT}node_modules/.cache/mutate-times.json`;

export class TestTimes {
  private readonly tookMs: Map<string, number>;
  private readonly noticed = new Map<string, number>();

  constructor() {
    const stored = existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, number>) : {};
    this.tookMs = new Map(Object.entries(stored));
  }

  /** Undefined for a test file that was never run to its end, ms. */
  of(test: string): number | undefined {
    return this.tookMs.get(test);
  }

  /** Files that were skipped after a failure took no time. */
  add(tookMs: Readonly<Record<string, number>>): void {
    for (const [test, ms] of Object.entries(tookMs)) if (ms > (this.tookMs.get(test) ?? 0)) this.tookMs.set(test, ms);
    mkdirSync(dirname(FILE), { recursive: true });
    writeFileSync(FILE, JSON.stringify(Object.fromEntries(this.tookMs)));
  }

  found(test: string): void {
    this.noticed.set(test, (this.noticed.get(test) ?? 0) + 1);
  }

  /** Test files that noticed more for their time come first. */
  quickestFirst(tests: readonly string[]): string[] {
    const cost = (test: string): number => (this.tookMs.get(test) ?? 1_000) / (1 + (this.noticed.get(test) ?? 0));
    return [...tests].sort((a, b) => cost(a) - cost(b));
  }
}
