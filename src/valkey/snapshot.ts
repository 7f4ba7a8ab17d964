/** Pages of a snapshot. */
import { EngineError } from '../../model/errors.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { executionIdIn, memberOf } from '../../model/ids.js';
import type { ParsedArgsOf } from '../../model/machine.js';
import { NO_NOTICES } from '../../model/partition/notices.js';
import { snapshotPlaceOf } from '../../model/partition/snapshot.js';
import { decodeDependencies } from './dependencies.js';
import { pairsOf, viewOf, type Fetch } from './fetch.js';
import { flowsFrom } from './flows.js';
import { decodeRecord } from './record.js';
import { textOf, type WireReply } from './reply.js';
import { decodeWaits } from './waits.js';

/** An execution with all its stored facts; undefined if it is unreadable. */
function executionOf(partition: string, row: WireReply): ReadonlyExecution | undefined {
  const [id = null, ...parts] = row as WireReply[];
  // One of its keys has the wrong type.
  if (parts.slice(0, 4).includes(null)) return undefined;
  try {
    const [core, details, waits, dependencies] = parts.slice(0, 4).map(pairsOf) as unknown as readonly [
      Pairs,
      Pairs,
      Pairs,
      Pairs,
    ];
    const execution = decodeRecord(executionIdIn(partition, textOf(id)), { core, details });
    const [stepCount = 0, stepBytes = 0] = parts[4] ? textOf(parts[4]).split('\t').map(Number) : [];
    return (
      execution && {
        ...execution,
        ...{ stepCount, stepBytes },
        waiting: decodeWaits(waits),
        dependencies: decodeDependencies(dependencies),
      }
    );
  } catch (error) {
    if (error instanceof EngineError && error.code === 'corruption') return undefined;
    throw error;
  }
}

type Pairs = ReadonlyMap<string, string>;

export const readSnapshot: Fetch<ParsedArgsOf<'readSnapshot'>> = {
  request({ cursor, limit }) {
    const { kind, after } = snapshotPlaceOf(cursor);
    return ['read_snapshot', kind, after === undefined ? '' : memberOf(after), String(limit)];
  },
  view(reply, { partition, cursor }) {
    const [rows, last, generation, sequence, time] = reply as [WireReply[], ...WireReply[]];
    const header = {
      ...{ generation: textOf(generation ?? null), sequence: Number(textOf(sequence ?? null)) },
      ...{ time: Number(textOf(time ?? null)), applier: undefined, notices: NO_NOTICES },
    };
    const log = { header, readers: new Map(), read: () => [] };
    if (snapshotPlaceOf(cursor).kind === 'flow') return viewOf({ log, flows: flowsFrom(rows) });
    const executions = rows.flatMap((row) => executionOf(partition, row) ?? []);
    const next = last ? executionIdIn(partition, textOf(last)) : undefined;
    return viewOf({ log, executions: { whole: () => ({ executions, next }) } });
  },
};
