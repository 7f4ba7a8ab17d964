/** Compares subjects with the specification, and ends the run at the first difference. */
import { isDeepStrictEqual } from 'node:util';
import type { TestEngine } from '../src/testing/engine.js';
import { Divergence, type Step } from './divergence.js';
import type { Ears } from './wakes/ears.js';

/** A backend that is compared with the specification. */
export interface Subject {
  readonly name: string;
  readonly engine: TestEngine;
  /** Whether it can crash and restart in the middle of a run. */
  readonly restarts?: true;
  /** What it announces; without them its announcements are not compared. */
  readonly ears?: Ears;
}

export class Comparison {
  constructor(
    readonly subjects: readonly Subject[],
    /** The run so far, for the story of a difference. */
    readonly steps: readonly Step[],
  ) {}

  /** Checks all subjects concurrently. @throws Divergence the first, when all are done */
  async onEach(check: (subject: Subject) => Promise<void>): Promise<void> {
    const checks = await Promise.allSettled(this.subjects.map(check));
    for (const result of checks) if (result.status === 'rejected') throw result.reason;
  }

  /** @throws Divergence if the two differ */
  expectEqual(subject: Subject, what: string, expected: unknown, got: unknown): void {
    if (!isDeepStrictEqual(expected, got)) throw new Divergence(subject.name, what, expected, got, this.steps);
  }
}
