/** Compares what backends have stored with the specification: the whole state of a partition, and what its log folds to. */
import { canonicalByDefinition, canonicalTables } from '../src/testing/canonical/index.js';
import type { TestEngine } from '../src/testing/engine.js';
import { isKnown, type LoggedEvent } from '../model/events.js';
import { fold } from '../model/evolve.js';
import { LIMITS } from '../model/limits.js';
import { evolve } from '../model/specification/evolve.js';
import { violations } from '../model/specification/invariants.js';
import { emptyState, type Partition, type PartitionState } from '../model/state.js';
import { contentViolations } from '../model/stream/content-invariants.js';
import type { Comparison } from './comparison.js';
import { Divergence } from './divergence.js';
import { revealed } from './plain.js';

/** Every invariant holds, and every backend has stored the state of the specification. @throws Divergence */
export async function compareState(
  comparison: Comparison,
  name: string,
  partition: Partition,
  now: number,
  indexedTags: readonly string[],
): Promise<void> {
  const { steps } = comparison;
  const expected = revealed(canonicalByDefinition(partition, now, indexedTags)) as Record<string, unknown>;
  for (const broken of violations(partition.state, partition.log, now))
    throw new Divergence('the specification', `invariant "${broken.name}"`, 'to hold', broken.because, steps);
  const [broken] = contentViolations(partition.state, partition.streams);
  if (broken !== undefined)
    throw new Divergence('the specification', `an invariant of streams`, 'to hold', broken, steps);
  await comparison.onEach(async (subject) => {
    const got = revealed(await subject.engine.canonicalState(name)) as Record<string, unknown>;
    for (const part of Object.keys(expected))
      comparison.expectEqual(subject, `the stored ${part} of ${name}`, expected[part], got[part]);
  });
}

/** The log of every backend, folded in place and with immer, gives the state of the specification. @throws Divergence */
export async function compareReplay(comparison: Comparison, name: string, { state }: Partition): Promise<void> {
  const expected = revealed(tablesOf(state));
  await comparison.onEach(async (subject) => {
    const log = await wholeLog(subject.engine, name);
    const inPlace = emptyState();
    for (const { event } of log) fold(inPlace, event);
    comparison.expectEqual(subject, 'the state that its log folds to', expected, revealed(tablesOf(inPlace)));
    const pure = log.reduce((folded, { event }) => evolve(folded, event), emptyState());
    comparison.expectEqual(
      subject,
      'the two ways to fold its log',
      revealed(tablesOf(inPlace)),
      revealed(tablesOf(pure)),
    );
  });
}

function tablesOf(state: PartitionState): unknown {
  return canonicalTables({ state }, Number.NEGATIVE_INFINITY);
}

/** Every entry of a log. */
async function wholeLog({ backend }: TestEngine, partition: string): Promise<LoggedEvent[]> {
  const log: LoggedEvent[] = [];
  let after: string | undefined;
  for (;;) {
    const { events, next, atEnd } = await backend.readLog({ partition, after, limit: LIMITS.maxPageSize });
    log.push(...events.filter(isKnown));
    after = next;
    if (atEnd) return log;
  }
}
