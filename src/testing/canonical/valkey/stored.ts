/** What the keys of a partition hold, as it is read key by key, before it is put together. */
import { present } from '../../../../model/core/present.js';
import type { ReadonlyExecution } from '../../../../model/execution/facts.js';
import { executionIdIn } from '../../../../model/ids.js';
import type { Admission } from '../../../../model/metering/entity.js';
import type { Reader } from '../../../../model/reader/entity.js';
import type { Tally } from '../../../../model/schedule/counts.js';
import { emptyHeader, type EntityKind, type EntityOf, type Header } from '../../../../model/state.js';
import type { StepRecord } from '../../../../model/step/facts.js';
import type { StreamContents } from '../../../../model/stream/contents.js';
import type { Client } from '../../../valkey/connection/clients.js';
import { RECORD_KINDS } from '../../../valkey/records/record.js';
import { FlowIndexes } from './flows.js';

/** A member of the queues, with its score. */
type Scored = [string, number];

export class StoredPartition {
  /** Items that belong to nothing. */
  readonly strays: string[] = [];

  // Of the whole partition.
  header: Header = emptyHeader();
  /** Number of paused or draining lanes, from the header. */
  statedLanes = 0;
  /** The position up to which no reader needs the log, from the header. */
  floor: number | undefined;
  logEnd: [sequence: number, time: number] = [0, 0];
  timers: Scored[] = [];
  lanes: string[] = [];
  readonly queues: [string, Scored[]][] = [];
  readonly listedQueues: string[] = [];
  readonly tallies = new Map<string, Tally>();
  /** Suspended executions, with the times of their timeouts. */
  suspended: Scored[] = [];
  retention: string[] = [];
  readonly slots: [string, string[]][] = [];
  /** The index of ids: the names of its leaves, and the members of each. */
  leafNames: string[] = [];
  readonly leaves = new Map<string, string[]>();
  /** `<leaf>:<shelf>` -> ids; and these names, as the shelves have them. */
  readonly shelved = new Map<string, string[]>();
  readonly shelfLeaves: string[] = [];
  readonly flowIndexes = new FlowIndexes();
  readonly keys: { name: string; executionId: string; expiresAt: number }[] = [];
  readonly usageKeys: { name: string; expiresAt: number }[] = [];
  admissions: readonly Admission[] = [];
  readers: ReadonlyMap<string, Reader> = new Map();
  /** Signing keys, with the end of each grace period. */
  kids: Readonly<Record<string, string>> = {};
  /** Instance ids in the list of workers. */
  workerIds: string[] = [];
  budgetIds: string[] = [];

  // Of executions, by id.
  readonly executions: ReadonlyExecution[] = [];
  readonly inputs: [string, Uint8Array][] = [];
  readonly results: [string, Uint8Array][] = [];
  readonly dependencies = new Map<string, ReadonlyMap<string, string>>();
  /** Suspensions and waitpoints. */
  readonly waits = new Map<string, ReadonlyMap<string, string>>();
  /** Payloads of signals. */
  readonly payloads = new Map<string, ReadonlyMap<string, Uint8Array>>();
  readonly steps = new Map<string, { readonly records: StepRecord[] }>();
  /** Facts of executions that are stored with their steps. */
  readonly stepTotals = new Map<string, Pick<ReadonlyExecution, 'stepCount' | 'stepBytes'>>();
  /** Keys of long values of steps, and those of them that steps name. */
  readonly valueKeys: string[] = [];
  readonly namedValueKeys: string[] = [];

  // Of other kinds.
  readonly streams = new Map<string, StreamContents>();
  private readonly others = new Map<EntityKind, object[]>(RECORD_KINDS.map(({ kind }) => [kind, []]));

  constructor(
    readonly client: Client,
    private readonly partition: string,
  ) {}

  /** The entities of a kind that has records of its own. */
  entitiesOf<Kind extends EntityKind>(kind: Kind): readonly EntityOf<Kind>[] {
    return present(this.others.get(kind)) as EntityOf<Kind>[];
  }

  add(kind: EntityKind, entity: object): void {
    present(this.others.get(kind)).push(entity);
  }

  /** The entities of every kind that has records of its own. */
  byKind(): readonly (readonly [EntityKind, readonly object[]])[] {
    return [...this.others];
  }

  /** The id of an execution from the short one in this partition. */
  idOf(member: string): string {
    return executionIdIn(this.partition, member);
  }
}
