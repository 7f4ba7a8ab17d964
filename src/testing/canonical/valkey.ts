/**
 * Reads the canonical state of a partition back from a server, key by key. It reads every key of the partition, so it
 * also finds keys that nothing accounts for. Slow; for tests and inspection only.
 */
import {
  FIELDS,
  HEADER_FIELDS,
  KEYS,
  SPILLED,
  STAGED_SEPARATOR,
  STEP_FIELDS,
  QUOTA_SUFFIXES,
  STREAM_SUFFIXES,
  SUFFIXES,
  TIMER_KINDS,
} from '../../../lua/layout.js';
import type { ReadonlyBudget } from '../../../model/budget/facts.js';
import { present } from '../../../model/core/present.js';
import type { ReadonlyExecution } from '../../../model/execution/facts.js';
import { isTerminal } from '../../../model/execution/situation.js';
import { FRAME_MODES, type Frame, type FrameMode, type StreamContents } from '../../../model/stream/contents.js';
import { compareBytes, executionIdIn } from '../../../model/ids.js';
import type { Notices } from '../../../model/partition/notices.js';
import type { Admission } from '../../../model/metering/entity.js';
import { trimFloor, type Reader } from '../../../model/reader/entity.js';
import type { SigningKey } from '../../../model/signing/entity.js';
import { isShortId, uuidOf } from '../../../model/short-id.js';
import type { Tally } from '../../../model/schedule/counts.js';
import type { WorkerRecord } from '../../../model/worker/facts.js';
import { openLane, type Lane } from '../../../model/lane/lane.js';
import { emptyHeader, entityNamed, type EntityKind, type Header } from '../../../model/state.js';
import { primariesOf, type Client } from '../../valkey/connection/clients.js';
import type { StepRecord } from '../../../model/step/facts.js';
import { stepKeyOf } from '../../../model/step/facts.js';
import { stepOf, withValue } from '../../valkey/steps.js';
import { countersOf, frameOf, rateOf } from '../../valkey/streams.js';
import { quotaSetsOf, type QuotaSets } from '../../valkey/quotas.js';
import { decodeTally } from '../../valkey/tally.js';
import { decodeDependencies } from '../../valkey/dependencies.js';
import { decodeWaits } from '../../valkey/waits.js';
import { admissionsOf, decodeRecord, readersOf, RECORD_KINDS, type StoredRecord } from '../../valkey/record.js';
import {
  base64Of,
  canonicalCounts,
  canonicalPayloads,
  canonicalSteps,
  canonicalStreams,
  sortedRecord,
  type CanonicalState,
} from './index.js';
import { FlowIndexes } from './flows.js';
import type { Flow } from '../../../model/flow/facts.js';

const SHORT_LENGTH = 22;

/** The suffix of the keys of bytes that are staged beside a call. */
const STAGED = new RegExp(
  `^(?:${SUFFIXES.input}|${SUFFIXES.result}.{${SHORT_LENGTH}}|${SUFFIXES.value})${STAGED_SEPARATOR}.`,
);

const scoredPairs = (flat: readonly string[]): [string, number][] => {
  const pairs: [string, number][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([present(flat[i]), Number(flat[i + 1])]);
  return pairs;
};

/** Names of all keys with a prefix, on every primary. */
export async function keysUnder(client: Client, start: string): Promise<string[]> {
  const pattern = `${start.replace(/[[\]?*\\]/g, (c) => `\\${c}`)}*`;
  const keys = new Set<string>();
  for (const node of primariesOf(client)) {
    let cursor = '0';
    do {
      const [next, page] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', 1_000);
      for (const key of page) keys.add(key);
      cursor = next;
    } while (cursor !== '0');
  }
  return [...keys].sort(compareBytes);
}

/** Reads one partition. */
class PartitionReader {
  private readonly executions: ReadonlyExecution[] = [];
  /** Entities of other kinds, by kind. */
  private readonly others = new Map<EntityKind, object[]>(RECORD_KINDS.map(({ kind }) => [kind, []]));
  private readonly streams = new Map<string, StreamContents>();
  /** Keys of long values of steps, and those of them that steps name. */
  private readonly valueKeys: string[] = [];
  private readonly namedValueKeys: string[] = [];
  private readonly steps = new Map<string, { readonly records: StepRecord[] }>();
  /** Facts of executions that are stored with their steps. */
  private readonly stepTotals = new Map<string, Pick<ReadonlyExecution, 'stepCount' | 'stepBytes'>>();
  private readonly queues: [string, [string, number][]][] = [];
  private readonly slots: [string, string[]][] = [];
  private readonly keys: { name: string; executionId: string; expiresAt: number }[] = [];
  private readonly usageKeys: { name: string; expiresAt: number }[] = [];
  private budgetIds: string[] = [];
  private readonly inputs: [string, Uint8Array][] = [];
  private readonly results: [string, Uint8Array][] = [];
  private readonly leaves = new Map<string, string[]>();
  private readonly listedQueues: string[] = [];
  private readonly strays: string[] = [];
  private retention: string[] = [];
  private leafNames: string[] = [];
  private timers: [string, number][] = [];
  private lanes: string[] = [];
  private admissions: readonly Admission[] = [];
  private readers: ReadonlyMap<string, Reader> = new Map();
  /** The position up to which no reader needs the log, from the header. */
  private floor: number | undefined;
  /** `<leaf>:<shelf>` -> ids; and these names without the leaf, as the shelves have them. */
  private readonly shelved = new Map<string, string[]>();
  private readonly shelfLeaves: string[] = [];
  /** Suspended executions, with the times of their timeouts. */
  private suspended: [string, number][] = [];
  private readonly tallies = new Map<string, Tally>();
  /** Suspensions and waitpoints of executions, by id. */
  private readonly waits = new Map<string, ReadonlyMap<string, string>>();
  /** Payloads of signals, by execution. */
  private readonly payloads = new Map<string, ReadonlyMap<string, Uint8Array>>();
  private readonly dependencies = new Map<string, ReadonlyMap<string, string>>();
  private readonly flowIndexes = new FlowIndexes();
  /** Signing keys, with the end of each grace period. */
  private kids: Readonly<Record<string, string>> = {};
  /** Instance ids in the list of workers. */
  private workerIds: string[] = [];
  private header: Header = emptyHeader();
  /** Number of paused or draining lanes, from the header. */
  private statedLanes = 0;
  private logEnd: [sequence: number, time: number] = [0, 0];

  constructor(
    private readonly client: Client,
    private readonly start: string,
    private readonly partition: string,
    private readonly now: number,
  ) {}

  async read(): Promise<CanonicalState> {
    // All at once: the client sends the reads of one turn together.
    await Promise.all((await keysUnder(this.client, this.start)).map((key) => this.readKey(key)));
    this.executions.sort((a, b) => compareBytes(a.executionId, b.executionId));
    for (const [id, fields] of this.waits) {
      const at = this.executions.findIndex(({ executionId }) => executionId === id);
      const execution = this.executions[at];
      if (execution === undefined) this.strays.push(`what ${id} waits for`);
      else this.executions[at] = { ...execution, waiting: decodeWaits(fields) };
    }
    for (const [id, fields] of this.dependencies) {
      const at = this.executions.findIndex(({ executionId }) => executionId === id);
      const execution = this.executions[at];
      if (execution === undefined) this.strays.push(`what ${id} depends on`);
      else this.executions[at] = { ...execution, dependencies: decodeDependencies(fields) };
    }
    const flows = (this.others.get('flow') ?? []) as readonly Flow[];
    this.strays.push(...this.flowIndexes.strays(this.executions, flows, this.tallies));
    this.executions.forEach((execution, at) => {
      const totals = this.stepTotals.get(execution.executionId);
      if (totals !== undefined) this.executions[at] = { ...execution, ...totals };
    });
    this.checkAgreement();
    this.strays.push(...difference(this.valueKeys, this.namedValueKeys));
    const known = new Map(this.executions.map((execution) => [execution.executionId, execution]));
    const ids = [...this.leaves].sort(([a], [b]) => compareBytes(a, b)).flatMap(([, members]) => members);
    return {
      tables: {
        execution: this.executions,
        stream: [],
        idempotency_key: this.keys
          .filter(({ expiresAt }) => expiresAt > this.now)
          .sort((a, b) => compareBytes(a.name, b.name)),
        signing_key: [],
        quota_policy: [],
        admission: sortedById('admission', this.admissions),
        worker: [],
        flow: [],
        walk: [],
        budget: [],
        reservation: [],
        ledger: [],
        bill: [],
        usage_key: this.usageKeys
          .filter(({ expiresAt }) => expiresAt > this.now)
          .sort((a, b) => compareBytes(a.name, b.name)),
        reader: sortedById('reader', [...this.readers.values()]),
        ...Object.fromEntries([...this.others].map(([kind, entities]) => [kind, sortedById(kind, entities)])),
        lane: this.allLanes(),
      },
      queues: sortedRecord(this.queues),
      timers: this.timers,
      suspended: this.suspended,
      counts: canonicalCounts(this.tallies),
      slots: sortedRecord(
        this.slots
          .map(([at, members]) => [at, keptIn(members, known, Number(at))] as const)
          .filter(([, members]) => members.length > 0),
      ),
      shelves: sortedRecord(
        this.shelves().map(([name, members]) => [name, members.map((id) => this.idOf(id))] as const),
      ),
      ids: ids.map((id) => this.idOf(id)),
      inputs: base64Of(this.inputs),
      results: base64Of(this.results),
      streams: canonicalStreams(this.streams),
      payloads: canonicalPayloads(this.payloads),
      steps: canonicalSteps(this.steps),
      header: this.header,
      strays: [...this.strays, ...[...this.inputs, ...this.results].map(([id]) => id).filter((id) => !known.has(id))],
    };
  }

  /** Lanes with a record, and lanes that were always open. */
  private allLanes(): readonly object[] {
    const stated = new Map((this.others.get('lane') as Lane[]).map((lane) => [lane.laneId, lane]));
    this.strays.push(...[...stated.keys()].filter((id) => !this.lanes.includes(id)).map((id) => `lane ${id}`));
    const count = [...stated.values()].filter(({ laneState }) => laneState !== 'open').length;
    if (count !== this.statedLanes) this.strays.push(`the header counts ${this.statedLanes} lanes with a state`);
    return this.lanes.sort(compareBytes).map((laneId) => stated.get(laneId) ?? openLane(laneId));
  }

  /** By name: the ids on each shelf. */
  private shelves(): [string, string[]][] {
    const shelves = new Map<string, string[]>();
    for (const [leaf, members] of [...this.shelved].sort(([a], [b]) => compareBytes(a, b))) {
      const shelf = leaf.slice(leaf.indexOf(':') + 1);
      shelves.set(shelf, [...(shelves.get(shelf) ?? []), ...members]);
    }
    return [...shelves];
  }

  private idOf(member: string): string {
    return executionIdIn(this.partition, member);
  }

  private async readKey(key: string): Promise<void> {
    const { client } = this;
    const name = key.slice(this.start.length);
    if (name === KEYS.log) this.logEnd = await lastEntry(client, key);
    else if (name === KEYS.header) this.readHeader(await client.hgetall(key));
    else if (name === KEYS.timers) this.timers = await this.readTimers(key);
    else if (name === KEYS.suspended) this.suspended = await this.queued(key);
    else if (name === KEYS.retention) this.retention = await client.zrange(key, 0, -1);
    else if (name === KEYS.ids) this.leafNames = await client.zrange(key, 0, -1);
    else if (name === KEYS.tagged || name.startsWith(KEYS.watch)) return;
    else if (name === KEYS.workers) this.workerIds = await client.zrange(key, 0, -1);
    else if (name === KEYS.kids) this.kids = await client.hgetall(key);
    else if (name === KEYS.flows) this.flowIndexes.flows = await client.zrange(key, 0, -1);
    else if (name.startsWith(KEYS.members))
      this.flowIndexes.members.set(
        name.slice(KEYS.members.length),
        scoredPairs(await client.zrange(key, 0, -1, 'WITHSCORES')),
      );
    else if (name.startsWith(KEYS.edges))
      this.flowIndexes.edges.set(name.slice(KEYS.edges.length), await client.hgetall(key));
    else if (name === KEYS.lanes) this.lanes = await client.smembers(key);
    else if (name === KEYS.admissions)
      this.admissions = admissionsOf(new Map(Object.entries(await client.hgetall(key))));
    else if (name === KEYS.readers) this.readers = readersOf(new Map(Object.entries(await client.hgetall(key))));
    else if (name.startsWith(KEYS.shelf))
      this.shelfLeaves.push(
        ...(await client.zrange(key, 0, -1)).map((leaf) => `${leaf}:${name.slice(KEYS.shelf.length)}`),
      );
    else if (name.startsWith(KEYS.shelved))
      this.shelved.set(name.slice(KEYS.shelved.length), (await client.lrange(key, 0, -1)).sort(compareBytes));
    else if (name.startsWith(KEYS.counts)) {
      const lane = name.slice(KEYS.counts.length);
      this.tallies.set(lane, decodeTally(lane, new Map(Object.entries(await client.hgetall(key)))));
    } else if (name.startsWith(KEYS.leaf))
      this.leaves.set(name.slice(KEYS.leaf.length), (await client.lrange(key, 0, -1)).sort(compareBytes));
    else if (name.startsWith(KEYS.queue)) this.queues.push([name.slice(KEYS.queue.length), await this.queued(key)]);
    else if (name.startsWith(KEYS.queues)) {
      const lane = name.slice(KEYS.queues.length);
      this.listedQueues.push(...(await client.smembers(key)).map((queue) => `${lane}\t${queue}`));
    } else if (name.startsWith(KEYS.metered)) {
      const lane = name.slice(KEYS.metered.length);
      for (const place of await client.zrange(key, 0, -1)) {
        const [meters, needs, kind] = place.split('\t');
        this.listedQueues.push(`${lane}\t${needs}\t${meters}\t${kind}`);
      }
    } else if (name.startsWith(KEYS.slot)) {
      const members = (await client.lrange(key, 0, -1)).map((id) => this.idOf(id));
      this.slots.push([name.slice(KEYS.slot.length), members.sort(compareBytes)]);
    } else if (name.startsWith(KEYS.idempotency)) {
      const [expiresAt, member = ''] = ((await client.get(key)) ?? '').split('\t');
      const executionId = this.idOf(member);
      this.keys.push({ name: name.slice(KEYS.idempotency.length), executionId, expiresAt: Number(expiresAt) });
    } else if (name === KEYS.budgets) this.budgetIds = await client.zrange(key, 0, -1);
    else if (name.startsWith(KEYS.usage)) {
      const expiresAt = Number(await client.get(key));
      this.usageKeys.push({ name: name.slice(KEYS.usage.length), expiresAt });
    } else await this.readRecordKey(key, name);
  }

  private async readRecordKey(key: string, name: string): Promise<void> {
    const { client } = this;
    const other = RECORD_KINDS.find(({ key: start }) => name.startsWith(start));
    if (other !== undefined) {
      await this.readOther(key, name.slice(other.key.length), other);
      return;
    }
    const member = name.slice(0, SHORT_LENGTH);
    const suffix = name.slice(SHORT_LENGTH);
    if (!isShortId(member)) {
      this.strays.push(key);
      return;
    }
    const executionId = this.idOf(member);
    if (suffix === '') {
      const execution = decodeRecord(executionId, await this.recordAt(key));
      if (execution !== undefined) this.executions.push(execution);
      const [input, result] = await client.hmgetBuffer(key, FIELDS.input, FIELDS.result);
      if (input?.length && input.toString() !== SPILLED) this.inputs.push([executionId, input]);
      if (result && result.toString() !== SPILLED) this.results.push([executionId, result]);
      return;
    }
    // Bytes that no call took over expire by themselves; everything else of an execution must be accounted for.
    if (STAGED.test(suffix) === (await client.pttl(key)) < 0) this.strays.push(key);
    else if (suffix === SUFFIXES.input) this.inputs.push([executionId, (await client.getBuffer(key)) as Buffer]);
    else if (suffix === SUFFIXES.dependencies)
      this.dependencies.set(executionId, new Map(Object.entries(await client.hgetall(key))));
    else if (suffix === SUFFIXES.leading) this.flowIndexes.lead(member, await client.zrange(key, 0, -1));
    else if (suffix === SUFFIXES.only) this.flowIndexes.lead(member, [(await client.get(key)) ?? '']);
    else if (suffix === SUFFIXES.waits) this.waits.set(executionId, new Map(Object.entries(await client.hgetall(key))));
    else if (suffix === SUFFIXES.payloads)
      this.payloads.set(executionId, new Map(Object.entries(await client.hgetallBuffer(key))));
    else if (suffix === SUFFIXES.steps) await this.readStepsOf(executionId, key);
    else if (suffix === SUFFIXES.details) {
      if ((await client.exists(key.slice(0, -suffix.length))) === 0) this.strays.push(key);
    } else if (STAGED.test(suffix)) return;
    else if (suffix.startsWith(SUFFIXES.value)) this.valueKeys.push(key);
    else if (suffix.startsWith(SUFFIXES.result)) {
      this.results.push([executionId, (await client.getBuffer(key)) as Buffer]);
    } else this.strays.push(key);
  }

  private async readStepsOf(executionId: string, key: string): Promise<void> {
    if ((await this.client.exists(key.slice(0, -SUFFIXES.steps.length))) === 0) this.strays.push(key);
    const fields = await this.client.hgetallBuffer(key);
    const places = Object.keys(fields).filter((name) => /^\d+$/.test(name));
    const longNames: string[] = [];
    const filled = async (step: StepRecord, stored: Buffer | undefined): Promise<StepRecord> => {
      const name = /^\d+\t(.*)$/.exec(stored?.toString('latin1') ?? '')?.[1];
      if (name === undefined) return withValue(step, stored);
      longNames.push(name);
      const valueKey = key.slice(0, -SUFFIXES.steps.length) + SUFFIXES.value + name;
      this.namedValueKeys.push(valueKey);
      return withValue(step, (await this.client.getBuffer(valueKey)) ?? undefined, true);
    };
    const records: StepRecord[] = [];
    for (const place of places.sort((a, b) => Number(a) - Number(b))) {
      const step = stepOf(fields[place]?.toString());
      records.push(await filled(step, fields[STEP_FIELDS.key + stepKeyOf(step)]));
    }
    this.steps.set(executionId, { records });
    const names = records.flatMap((step, place) => [`${place}`, STEP_FIELDS.key + stepKeyOf(step)]);
    names.push(STEP_FIELDS.totals);
    if (longNames.length > 0) names.push(STEP_FIELDS.long);
    if ((fields[STEP_FIELDS.long]?.toString() ?? '') !== longNames.join(' ')) this.strays.push(`long values of ${key}`);
    const odd = records.filter((step, place) => {
      const stored = fields[STEP_FIELDS.key + stepKeyOf(step)]?.toString();
      return !(stored?.startsWith(`${place}\n`) || stored?.startsWith(`${place}\t`));
    });
    const [stepCount, stepBytes] = (fields[STEP_FIELDS.totals]?.toString() ?? '').split('\t').map(Number);
    this.stepTotals.set(executionId, { stepCount: stepCount ?? 0, stepBytes: stepBytes ?? 0 });
    this.strays.push(...difference(Object.keys(fields), names), ...odd.map(stepKeyOf));
  }

  private readHeader(fields: Readonly<Record<string, string>>): void {
    const [generation = '', newest = '', marks = '', ...lasting] = (fields[HEADER_FIELDS.position] ?? '').split('\t');
    const [sequence, time] = newest.split('-');
    const applier = fields[HEADER_FIELDS.applier]?.split('\t');
    const floor = lasting.find((text) => text.startsWith('f'));
    this.statedLanes = Number(/^l(\d+)/.exec(lasting.join('\t'))?.[1] ?? 0);
    this.floor = floor === undefined ? undefined : Number(floor.slice(1));
    this.header = {
      generation,
      sequence: Number(sequence ?? 0),
      time: Number(time ?? 0),
      applier: applier === undefined ? undefined : { owner: present(applier[0]), until: Number(applier[1]) },
      notices: noticesOf(marks),
    };
  }

  private async readOther(key: string, stored: string, { kind, decode }: (typeof RECORD_KINDS)[number]): Promise<void> {
    const id = this.idOfOther(kind, stored);
    if (kind === 'stream' && (await this.readStreamKey(key, id))) return;
    if (id.endsWith(SUFFIXES.details)) {
      if ((await this.client.exists(key.slice(0, -SUFFIXES.details.length))) === 0) this.strays.push(key);
      return;
    }
    if (kind === 'quota_policy' && (await this.isBesideQuota(key, id))) return;
    const entity = decode(id, await this.recordAt(key));
    const beside = kind === 'quota_policy' ? await this.quotaSetsAt(key) : {};
    if (entity !== undefined) this.others.get(kind)?.push({ ...entity, ...beside });
  }

  /** Whether a key is beside the record of a quota policy. */
  private async isBesideQuota(key: string, id: string): Promise<boolean> {
    const suffix = Object.values(QUOTA_SUFFIXES).find((each) => id.endsWith(each));
    if (suffix === undefined) return false;
    if ((await this.client.exists(key.slice(0, -suffix.length))) === 0) this.strays.push(key);
    return true;
  }

  private async quotaSetsAt(key: string): Promise<QuotaSets> {
    const { client } = this;
    const [holders, checks, window, waiters] = await Promise.all([
      client.hgetall(key + QUOTA_SUFFIXES.slots),
      client.zrange(key + QUOTA_SUFFIXES.checks, 0, -1, 'WITHSCORES'),
      client.zrange(key + QUOTA_SUFFIXES.window, 0, -1, 'WITHSCORES'),
      client.hgetall(key + QUOTA_SUFFIXES.waiters),
    ]);
    const times = new Map(scoredPairs(checks));
    this.strays.push(...difference(Object.keys(holders), [...times.keys()]).map((id) => `slot ${id}`));
    return quotaSetsOf(holders, times, scoredPairs(window), waiters);
  }

  /** The id of an entity in the model: a stream is named after its execution. */
  private idOfOther(kind: EntityKind, stored: string): string {
    if (entityNamed(kind).subject.shortId && isShortId(stored)) return uuidOf(stored);
    if (kind !== 'stream') return stored;
    return this.idOf(stored.slice(0, SHORT_LENGTH)) + stored.slice(SHORT_LENGTH);
  }

  /**
   * Frames and the summary of a stream, and the part of its record that is not facts. Returns false for other records.
   */
  private async readStreamKey(key: string, id: string): Promise<boolean> {
    const { client } = this;
    const suffix = Object.values(STREAM_SUFFIXES).find((each) => id.endsWith(each));
    if (suffix !== undefined) {
      if ((await client.exists(key.slice(0, -suffix.length))) === 0) this.strays.push(key);
      return true;
    }
    if (id.endsWith(SUFFIXES.details)) return false;
    const [counters, rate] = await client.hmget(key, 'c', 'e');
    const frames = Object.fromEntries(
      await Promise.all(
        FRAME_MODES.map(async (mode) => [mode, await this.framesAt(key + STREAM_SUFFIXES[mode], mode)]),
      ),
    ) as StreamContents['frames'];
    this.streams.set(id, {
      counters: countersOf(counters ?? undefined),
      ...rateOf(rate ?? undefined),
      frames,
      document: (await client.get(key + STREAM_SUFFIXES.document)) ?? '',
    });
    return false;
  }

  private async framesAt(key: string, mode: FrameMode): Promise<Frame[]> {
    const entries = (await this.client.xrangeBuffer(key, '-', '+')) as unknown as [Buffer, Buffer[]][];
    return entries.map(([id, pairs]) => frameOf(id.toString(), mode, present(pairs[1]).toString(), present(pairs[3])));
  }

  private async recordAt(key: string): Promise<StoredRecord> {
    const { client } = this;
    const [core, details] = await Promise.all([client.hgetall(key), client.hgetall(key + SUFFIXES.details)]);
    return { core: new Map(Object.entries(core)), details: new Map(Object.entries(details)) };
  }

  private async readTimers(key: string): Promise<[string, number][]> {
    const pairs = scoredPairs(await this.client.zrange(key, 0, -1, 'WITHSCORES'));
    const executions = present(TIMER_KINDS['execution']);
    const flows = present(TIMER_KINDS['flow']);
    return pairs.map(([member, score]) => {
      if (member.startsWith(executions)) return [executions + this.idOf(member.slice(executions.length)), score];
      if (member.startsWith(flows)) return [flows + uuidOf(member.slice(flows.length)), score];
      return [member, score];
    });
  }

  private async queued(key: string): Promise<[string, number][]> {
    const pairs = scoredPairs(await this.client.zrange(key, 0, -1, 'WITHSCORES'));
    return pairs.map(([member, score]) => [this.idOf(member), score]);
  }

  /** Redundant keys must agree with their sources. */
  private checkAgreement(): void {
    const { strays } = this;
    const slotTimes = this.slots.map(([at]) => at);
    strays.push(...difference(this.retention, slotTimes).map((at) => `retention slot ${at}`));
    const queues = this.queues.map(([queue]) => queue);
    strays.push(...difference(this.listedQueues, queues).map((queue) => `queue ${queue}`));
    const leaves = [...this.leaves.keys()];
    strays.push(...difference(this.leafNames, leaves).map((leaf) => `leaf ${leaf}`));
    const shelved = [...this.shelved.keys()];
    strays.push(...difference(this.shelfLeaves, shelved).map((leaf) => `leaf of a shelf ${leaf}`));
    if (this.floor !== trimFloor(this.readers.values(), this.header.generation))
      strays.push(`the trim floor ${this.floor} is not that of the readers`);
    const keys = (this.others.get('signing_key') ?? []) as readonly SigningKey[];
    const known = Object.entries(this.kids).map(([kid, at]) => `${kid} ${at}`);
    strays.push(
      ...difference(
        known,
        keys.map(({ kid, expiresAt }) => `${kid} ${expiresAt ?? ''}`),
      ),
    );
    const workers = (this.others.get('worker') ?? []) as readonly WorkerRecord[];
    const ids = workers.map(({ workerInstanceId }) => workerInstanceId);
    strays.push(...difference(this.workerIds, ids).map((id) => `worker ${id}`));
    const budgets = (this.others.get('budget') ?? []) as readonly ReadonlyBudget[];
    const budgetIds = budgets.map(({ budgetId }) => budgetId);
    strays.push(...difference(this.budgetIds, budgetIds).map((id) => `budget ${id}`));
    const [sequence, time] = this.logEnd;
    if (sequence !== this.header.sequence || time !== this.header.time) strays.push('the header differs from the log');
  }
}

export function canonicalOfValkey(
  client: Client,
  prefix: string,
  partition: string,
  now: number,
): Promise<CanonicalState> {
  return new PartitionReader(client, `${prefix}${partition}:`, partition, now).read();
}

/** Entities of a kind, by id. */
function sortedById(kind: EntityKind, entities: readonly object[]): object[] {
  const { key } = entityNamed(kind).subject;
  const idOf = (entity: object): string => present((entity as Record<string, string>)[key]);
  return [...entities].sort((a, b) => compareBytes(idOf(a), idOf(b)));
}

/**
 * An entry of a slot counts only while the record's purge time names the slot (ruling 24); a replay can leave a second
 * one.
 */
function keptIn(members: readonly string[], known: ReadonlyMap<string, ReadonlyExecution>, at: number): string[] {
  return [...new Set(members)].filter((id) => {
    const execution = known.get(id);
    return execution !== undefined && isTerminal(execution.situation) && execution.dueAt === at;
  });
}

function noticesOf(marks: string): Notices {
  const [, watched, endsUntil, streamsUntil] = /^(w?)(\d*)s?(\d*)$/.exec(marks) ?? [];
  const until = (text: string | undefined): number | undefined => (text ? Number(text) : undefined);
  return { appends: watched === 'w', endsUntil: until(endsUntil), streamsUntil: until(streamsUntil) };
}

function difference(a: readonly string[], b: readonly string[]): string[] {
  return [...a.filter((item) => !b.includes(item)), ...b.filter((item) => !a.includes(item))];
}

async function lastEntry(client: Client, key: string): Promise<[number, number]> {
  const info = (await client.xinfo('STREAM', key)) as unknown[];
  const [sequence, time] = String(info[info.indexOf('last-generated-id') + 1]).split('-');
  return [Number(sequence), Number(time)];
}
