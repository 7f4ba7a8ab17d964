/**
 * Rebuilds the indexes of a partition from its records (ruling 40). Keys are listed by the server (`SCAN`) and checked
 * a few at a time: each step is one short call that compares and repairs atomically, so other work continues meanwhile.
 * Counts are compared atomically too: records that were read earlier are brought up to date from the log.
 */
import { COUNTED_FLOW, KEYS, SHORT_SLOT, SUFFIXES } from '../../../lua/layout.js';
import { isShortId } from '../../../model/short-id.js';
import { SITUATIONS } from '../../../model/execution/situation.js';
import type { VerifyFinding, VerifyReport } from '../../backend/backend.js';
import {
  executionOfKey,
  familyOf,
  isStepValue,
  keyNameIn,
  SINGLE_KEYS,
  typeOf,
  type KeyFamily,
} from './key-families.js';
import { listOf, numberOf, pairsOf, repliesOf, rowsOf, textOf, textsOf, type WireReply } from '../wire/reply.js';
import { mendEntries } from './entries.js';
import { mendFlows } from './flows.js';
import { Tally } from './tally.js';

/** Access of the steps to the backend. */
export interface VerifyLink {
  /** Names of the keys of the partition without their common prefix; each at least once. */
  keys(): AsyncIterable<readonly string[]>;
  step(name: string, ...args: readonly string[]): Promise<WireReply>;
}

/** The report, without what was set aside. */
export interface Verified extends Omit<VerifyReport, 'setAside'> {
  /** The mark of calls that broke off (lua/partition/broken-off.lua) at the start; empty without one. */
  readonly mark: string;
}

/** Keys or records per step, for a few milliseconds at most. */
const AT_ONCE = 40;
/** Entries per step, for short checks. */
const ENTRIES_AT_ONCE = 200;
/** Ids per step. */
const IDS_AT_ONCE = 1_000;
/** Counts that are exact as JavaScript numbers. The server may hold longer ones, which are set instead of added to. */
const WHOLE = /^(0|-?[1-9]\d{0,14})$/;
/** Counts are compared when at most this many log entries are unread; and the number of tries. */
const MAX_BETWEEN = 200;
const ROUNDS = 50;

interface Correction {
  readonly lane: string;
  /** Lane, letter of the situation, number, and whether it is added or set. */
  readonly words: readonly string[];
}

function* chunksOf<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

export class Verification {
  private readonly findings = new Map<string, VerifyFinding>();
  private readonly byFamily = new Map<KeyFamily, string[]>();
  private records: readonly string[] = [];
  /** Executions with incoming edges, with outgoing edges, and with a single outgoing edge. */
  private readonly dependent: string[] = [];
  private readonly leading: string[] = [];
  private readonly onlyEdges: string[] = [];
  /** Keys of long values of steps. */
  private readonly stepValues: string[] = [];
  /** Names of all other keys, mostly records of other kinds. */
  private readonly others: string[] = [];
  /** Ids in long retention slots, by slot; long lists are not searched on the server. */
  private readonly longSlots = new Map<string, Set<string>>();
  private readonly counted = new Tally();
  /** The position of the log up to which the records are counted, with its time: the library tells whether it is still there. */
  private position = '';
  private slotsReadAt = 0;

  constructor(private readonly link: VerifyLink) {}

  async run(): Promise<Verified> {
    // No other step can run while one of these has another type.
    await this.mendTypes(SINGLE_KEYS);
    const mark = textOf(await this.link.step('broken'));
    // Changes during the listing are read from the log later.
    const [position, , settingsVersion] = await this.now();
    this.position = position;
    await this.sortKeys();
    await this.mendTypesOfAll();
    await this.mendLeaves(KEYS.ids, '');
    const leaves = this.named('shelved').map((rest) => rest.slice(rest.indexOf(':') + 1));
    for (const shelf of new Set([...this.named('shelf'), ...leaves])) await this.mendLeaves(KEYS.shelf + shelf, shelf);
    await this.mendSlots();
    await this.mendLanes();
    await this.mendQueues();
    const find = (index: string, count: number): void => this.find(index, 'entries', count);
    await mendEntries(this.link, this.others, find);
    await this.mendRecords();
    await this.mendStepValues();
    await mendFlows(this.link, { ...this.flowKeys(), find });
    await this.link.step('tagged', String(settingsVersion));
    const countsVerified = await this.mendCounts();
    return { executions: this.counted.size, findings: [...this.findings.values()], countsVerified, mark };
  }

  /** The keys of flows. */
  private flowKeys() {
    const { leading, onlyEdges } = this;
    const dependent = new Set(this.dependent);
    return { members: this.named('members'), edges: this.named('edges'), dependent, leading, onlyEdges };
  }

  private named(family: KeyFamily): readonly string[] {
    return this.byFamily.get(family) ?? [];
  }

  private find(index: string, problem: VerifyFinding['problem'], count: number): void {
    if (count === 0) return;
    const key = `${problem} ${index}`;
    const known = this.findings.get(key);
    this.findings.set(key, { index, problem, count: (known?.count ?? 0) + count });
  }

  /** The position of the log, the time, and the version of the settings, from a step without records. */
  private async now(): Promise<readonly [position: string, time: number, settingsVersion: number]> {
    const [position, , , , time, settingsVersion] = repliesOf(await this.link.step('records'), 6);
    return [textOf(position), numberOf(time), numberOf(settingsVersion)];
  }

  /** Sorts all keys: records by id, indexes by family and the rest of their name. */
  private async sortKeys(): Promise<void> {
    const records = new Set<string>();
    const names = new Map<KeyFamily, Set<string>>();
    for await (const page of this.link.keys()) {
      for (const name of page) {
        const found = familyOf(name);
        if (found === undefined) {
          this.sortOther(name, records);
          continue;
        }
        const known = names.get(found.family) ?? new Set();
        names.set(found.family, known.add(found.rest));
      }
    }
    this.records = [...records].sort();
    for (const [family, rests] of names) this.byFamily.set(family, [...rests].sort());
  }

  private sortOther(name: string, records: Set<string>): void {
    const [dependent, leading] = [executionOfKey(name, 'dependencies'), executionOfKey(name, 'leading')];
    const onlyEdge = executionOfKey(name, 'only');
    if (isShortId(name)) records.add(name);
    else if (dependent !== undefined) this.dependent.push(dependent);
    else if (leading !== undefined) this.leading.push(leading);
    else if (onlyEdge !== undefined) this.onlyEdges.push(onlyEdge);
    else if (isStepValue(name)) this.stepValues.push(name);
    else this.others.push(name);
  }

  private async mendTypesOfAll(): Promise<void> {
    const pairs = [...this.byFamily].flatMap(([family, rests]) =>
      rests.map((rest) => [keyNameIn({ family, rest }), typeOf(family)] as const),
    );
    for (const id of this.leading) pairs.push([id + SUFFIXES.leading, 'zset']);
    for (const id of this.onlyEdges) pairs.push([id + SUFFIXES.only, 'string']);
    const gone = await this.mendTypes(pairs);
    for (const [family, rests] of this.byFamily) {
      const left = rests.filter((rest) => !gone.has(keyNameIn({ family, rest })));
      this.byFamily.set(family, left);
    }
  }

  /** Deletes keys of another type than they should have. @returns their names */
  private async mendTypes(pairs: readonly (readonly [name: string, type: string])[]): Promise<ReadonlySet<string>> {
    const gone = new Set<string>();
    for (const some of chunksOf(pairs, ENTRIES_AT_ONCE)) {
      for (const name of textsOf(await this.link.step('types', ...some.flat()))) {
        this.find(name, 'wrong_type', 1);
        gone.add(name);
      }
    }
    return gone;
  }

  /**
   * Repairs the leaves of the index of ids, or of a shelf: drops leaves that their zset does not name, and the reverse.
   */
  private async mendLeaves(zset: string, shelf: string): Promise<void> {
    const [before, behind] = shelf === '' ? [KEYS.leaf, ''] : [KEYS.shelved, `:${shelf}`];
    const all = this.named(shelf === '' ? 'leaf' : 'shelved');
    const leaves = all
      .filter((rest) => rest.endsWith(behind))
      .map((rest) => rest.slice(0, rest.length - behind.length));
    for (const some of chunksOf(leaves, ENTRIES_AT_ONCE)) {
      const args = some.flatMap((leaf) => [leaf, before + leaf + behind]);
      this.find(zset, 'entries', numberOf(await this.link.step('leaves', zset, ...args)));
    }
    await this.mendNames(zset, before, behind);
    for (const leaf of leaves) {
      this.find(zset, 'entries', numberOf(await this.link.step('leaf', zset, leaf, before + leaf + behind, shelf)));
    }
  }

  private async mendNames(zset: string, before: string, behind: string): Promise<void> {
    for (let from = 0; ; ) {
      const args = [zset, String(from), String(ENTRIES_AT_ONCE), before, behind];
      const answer = textsOf(await this.link.step('names', ...args)).map(Number);
      const [looked = 0, gone = 0, moved = 0] = answer;
      this.find(zset, 'entries', gone + moved);
      if (looked < ENTRIES_AT_ONCE) return;
      from += looked - gone;
    }
  }

  private async mendSlots(): Promise<void> {
    for (const some of chunksOf(this.named('slot'), ENTRIES_AT_ONCE))
      this.find(KEYS.retention, 'entries', numberOf(await this.link.step('slots', ...some)));
    await this.mendNames(KEYS.retention, KEYS.slot, '');
    [, this.slotsReadAt] = await this.now();
    for (const slot of this.named('slot')) {
      const ids = new Set<string>();
      for (let from = 0; ; from += IDS_AT_ONCE) {
        const page = textsOf(await this.link.step('slot', slot, String(from), String(IDS_AT_ONCE)));
        for (const id of page) ids.add(id);
        if (page.length < IDS_AT_ONCE) break;
      }
      if (ids.size > SHORT_SLOT) this.longSlots.set(slot, ids);
    }
  }

  /** Lanes are found by their counts, because a lane may have no executions left. */
  private async mendLanes(): Promise<void> {
    const lanesCounted = this.named('counts').filter((name) => !name.startsWith(COUNTED_FLOW));
    for (const lanes of chunksOf(lanesCounted, ENTRIES_AT_ONCE))
      this.find(KEYS.lanes, 'entries', numberOf(await this.link.step('lanes', ...lanes)));
  }

  private async mendQueues(): Promise<void> {
    const byLane = new Map<string, string[]>(
      [...this.named('queues'), ...this.named('metered')].map((lane) => [lane, []]),
    );
    for (const queue of this.named('queue')) {
      const tab = queue.indexOf('\t');
      const lane = queue.slice(0, tab);
      const names = byLane.get(lane) ?? [];
      byLane.set(lane, names);
      names.push(queue.slice(tab + 1));
    }
    for (const [lane, names] of byLane) {
      // A lane without queues can have names of some.
      for (const some of names.length === 0 ? [[]] : chunksOf(names, IDS_AT_ONCE))
        this.find(KEYS.queues + lane, 'entries', numberOf(await this.link.step('queues', lane, ...some)));
      for (const name of names) await this.mendScored(`${KEYS.queue}${lane}\t${name}`);
    }
    for (const index of ['', KEYS.suspended]) await this.mendScored(index);
    this.find(KEYS.timers, 'entries', numberOf(await this.link.step('admissions')));
  }

  /** Repairs the entries of a queue, of the suspended executions, or without a name, of the timers. */
  private async mendScored(queue: string): Promise<void> {
    for (let from = 0; ; ) {
      const answer = await this.link.step('scored', queue, String(from), String(AT_ONCE));
      const [looked = 0, wrong = 0] = textsOf(answer).map(Number);
      this.find(queue === '' ? KEYS.timers : (queue.split('\t', 1)[0] ?? ''), 'entries', wrong);
      if (looked < AT_ONCE) return;
      from += looked - wrong;
    }
  }

  private async mendRecords(): Promise<void> {
    for (const ids of chunksOf(this.records, AT_ONCE)) {
      const [, rows, mended, unsure] = repliesOf(await this.link.step('records', ...ids), 4);
      this.countRows(textsOf(rows));
      for (const index of textsOf(mended)) this.find(index, 'entries', 1);
      await this.fileUnsure(textsOf(unsure));
    }
  }

  private async mendStepValues(): Promise<void> {
    // Those of one execution together, each once.
    for (const some of chunksOf([...new Set(this.stepValues)].sort(), ENTRIES_AT_ONCE))
      this.find('step values', 'entries', numberOf(await this.link.step('values', ...some)));
  }

  /** Adds missing executions to long slots. Executions that ended after the slots were read have been added already. */
  private async fileUnsure(unsure: readonly string[]): Promise<void> {
    const missing = new Map<string, string[]>();
    for (const [id = '', slot = '', endedAt = ''] of rowsOf(unsure, 3)) {
      if (Number(endedAt) >= this.slotsReadAt || this.longSlots.get(slot)?.has(id) === true) continue;
      missing.set(slot, [...(missing.get(slot) ?? []), id]);
    }
    for (const [slot, ids] of missing)
      this.find(KEYS.retention, 'entries', numberOf(await this.link.step('file', slot, ...ids)));
  }

  private countRows(rows: readonly string[]): void {
    for (const [id = '', ...row] of rowsOf(rows, 5)) {
      this.counted.set(id, row);
      const [, letter, , flow] = row;
      // Members that wait without edges can have missed the seal of their flow.
      if (letter === SITUATIONS.blocked_dependencies.letter && flow !== '') this.dependent.push(id);
    }
  }

  /** Compares the counts of lanes, then of flows, with the records. False if the partition was never quiet enough. */
  private async mendCounts(): Promise<boolean> {
    if (!(await this.recount([]))) return false;
    const flows = new Set(this.counted.flows);
    for (const name of this.named('counts'))
      if (name.startsWith(COUNTED_FLOW)) flows.add(name.slice(COUNTED_FLOW.length));
    flows.delete('');
    for (const some of chunksOf([...flows], ENTRIES_AT_ONCE)) {
      if (!(await this.recount(some))) return false;
      for (const flow of textsOf(await this.link.step('ended', ...some)))
        this.find('cancelled flows', 'entries', await this.resumeCancellation(flow));
    }
    return true;
  }

  /** Goes on with the cancellation of a flow if it has stopped. Answers 1 when it had, else 0. */
  private async resumeCancellation(flow: string): Promise<number> {
    for (const some of chunksOf(this.counted.membersOf(flow), ENTRIES_AT_ONCE))
      if (numberOf(await this.link.step('owed', flow, ...some)) === 1) return 1;
    return 0;
  }

  /** Compares the counts of some flows, or of all lanes, with the records atomically, and corrects them. */
  private async recount(flows: readonly string[]): Promise<boolean> {
    for (let round = 0; round < ROUNDS; round++) {
      const answer = await this.link.step('recount', this.position, String(MAX_BETWEEN), ...flows);
      if (answer === null) {
        // Too many log entries are unread: the changed records are read again, part by part.
        if (!(await this.catchUp())) return false;
        continue;
      }
      const [position, rows, gone, counts, isAside, corrections] = repliesOf(answer, 6);
      this.position = textOf(position);
      this.countRows(textsOf(rows));
      for (const id of textsOf(gone)) this.counted.delete(id);
      const wrong = this.wrongCounts(listOf(counts), flows, textOf(isAside) === '1');
      if (await this.correct(wrong, textOf(corrections))) return true;
    }
    return false;
  }

  /** Reads the records that changed since the position again. False if the log was trimmed past it. */
  private async catchUp(): Promise<boolean> {
    const [position, ids, isWhole] = repliesOf(await this.link.step('changed', this.position, String(IDS_AT_ONCE)), 3);
    if (textOf(isWhole) !== '1') return false;
    for (const some of chunksOf([...new Set(textsOf(ids))], AT_ONCE)) {
      for (const id of some) this.counted.delete(id);
      this.countRows(textsOf(listOf(await this.link.step('records', ...some))[1]));
    }
    this.position = textOf(position);
    return true;
  }

  /** Corrects counts. False if another verification has corrected counts since they were read. */
  private async correct(wrong: readonly Correction[], corrections: string): Promise<boolean> {
    let known = corrections;
    for (const some of chunksOf(wrong, AT_ONCE)) {
      known = textOf(await this.link.step('correct', known, ...some.flatMap(({ words }) => words)));
      if (known === '') return false;
      for (const { lane } of some) this.find(KEYS.counts + lane, 'entries', 1);
    }
    return true;
  }

  /**
   * Corrections of counts. Those that are too high stay while an execution is in quarantine: one that cannot be read is
   * still counted, and without it the end of its flow would come too early.
   */
  private wrongCounts(counts: readonly WireReply[], flows: readonly string[], isAside: boolean): Correction[] {
    const expected = new Map<string, number>();
    const add = (lane: string, letter: string, number: number): void => {
      const key = `${lane}\t${letter}`;
      expected.set(key, (expected.get(key) ?? 0) + number);
    };
    if (flows.length === 0) this.counted.eachOfLanes(add);
    for (const flow of flows) this.counted.eachOfFlow(flow, add);
    /** Lanes and letters whose counts are no whole numbers. */
    const unreadable = new Set<string>();
    for (const row of counts) {
      const [name, parts] = repliesOf(row, 2);
      const lane = textOf(name);
      for (const [letter, count] of pairsOf(parts)) {
        add(lane, letter, WHOLE.test(count) ? -Number(count) : 0);
        if (!WHOLE.test(count)) unreadable.add(`${lane}\t${letter}`);
      }
    }
    const isWrong = (number: number): boolean => number > 0 || (number < 0 && !isAside);
    return [...expected]
      .filter(([key, number]) => isWrong(number) || unreadable.has(key))
      .map(([key, number]) => {
        const [lane = '', letter = ''] = key.split('\t');
        return { lane, words: [lane, letter, String(number), unreadable.has(key) ? 'set' : 'add'] };
      });
  }
}
