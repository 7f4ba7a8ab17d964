/** Pages of a snapshot. */
import type { ReadonlyExecution } from '../../../model/execution/facts.js';
import { executionIdIn, memberOf } from '../../../model/ids.js';
import type { ParsedArgsOf } from '../../../model/machine.js';
import { NO_NOTICES } from '../../../model/partition/notices.js';
import { snapshotPlaceOf } from '../../../model/partition/snapshot.js';
import { decodeDependencies } from '../records/dependencies.js';
import { viewOf, type Fetch } from './fetch.js';
import { listedFlows } from './flows.js';
import { decodeRecord, unlessDamaged } from '../records/record.js';
import { listOf, numberOf, pairsOf, repliesOf, textOf, type WireReply } from '../wire/reply.js';
import { decodeWaits } from '../records/waits.js';

/** An execution with all its stored facts; undefined if it is unreadable. */
function executionOf(partition: string, row: WireReply): ReadonlyExecution | undefined {
  const [id, core, details, waits, dependencies, steps] = repliesOf(row, 6);
  // One of its keys has the wrong type.
  if ([core, details, waits, dependencies].includes(null)) return undefined;
  return unlessDamaged(() => {
    const record = { core: pairsOf(core), details: pairsOf(details) };
    const execution = decodeRecord(executionIdIn(partition, textOf(id)), record);
    const [stepCount = 0, stepBytes = 0] = steps === null ? [] : textOf(steps).split('\t').map(Number);
    return (
      execution && {
        ...execution,
        ...{ stepCount, stepBytes },
        waiting: decodeWaits(pairsOf(waits)),
        dependencies: decodeDependencies(pairsOf(dependencies)),
      }
    );
  });
}

export const readSnapshot: Fetch<ParsedArgsOf<'readSnapshot'>> = {
  request({ cursor, limit }) {
    const { kind, after } = snapshotPlaceOf(cursor);
    return ['read_snapshot', kind, after === undefined ? '' : memberOf(after), String(limit)];
  },
  view(reply, { partition, cursor }) {
    const [page, last, generation, sequence, time] = repliesOf(reply, 5);
    const rows = listOf(page);
    const header = {
      ...{ generation: textOf(generation), sequence: numberOf(sequence), time: numberOf(time) },
      ...{ applier: undefined, notices: NO_NOTICES },
    };
    const log = { header, readers: new Map(), read: () => [] };
    if (snapshotPlaceOf(cursor).kind === 'flow') return viewOf({ log, flows: listedFlows(rows) });
    const executions = rows.flatMap((row) => executionOf(partition, row) ?? []);
    const next = last ? executionIdIn(partition, textOf(last)) : undefined;
    return viewOf({ log, executions: { whole: () => ({ executions, next }) } });
  },
};
