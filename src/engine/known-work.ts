/**
 * Where work may be, as far as this process knows: marks on lanes of partitions, shared by all who claim on one backend.
 * A wake or a sweep makes a mark, and says what the work needs. One of those who could do it looks; when it found work,
 * more of them look, twice as many each time; when a claim came back short, all marks of what it would have found
 * are removed. So no place is searched that nothing points to, and a hundred who wait do not all look for one.
 *
 * Every mark has a number that grows. A claim that came back short removes only marks that were there when it was sent:
 * work that arrived while it was under way is not forgotten.
 */
import type { Backend } from '../backend.js';

/** Capabilities as one text: ascending, joined by commas. */
type CapabilitySet = string;

/** Says that a lane may have work in a partition, for those who have some capabilities. */
class Mark {
  /** Of those who look at the moment, how many. */
  looking = 0;
  /** How many may look at once. */
  width = 1;

  constructor(public number: number) {}
}

export type { Mark };

type Marks = Map<CapabilitySet, Mark>;

/** How often everything is looked at although nothing points to work, ms, unless somebody says otherwise: what a lost wake can cost. */
export const SWEEP_INTERVAL_MS = 5_000;

/** As many as there can be. */
const MAX_WIDTH = 1_000_000;

const NO_PARTITIONS: ReadonlyMap<string, Marks> = new Map();
const NO_MARKS: ReadonlyMap<CapabilitySet, Mark> = new Map();

/** The marks as those see them who have one set of capabilities: of work that they can do. */
export class WorkMarks {
  private readonly lanes = new Map<string, Map<string, Marks>>();
  private readonly offered: ReadonlySet<string>;
  private readonly covered = new Map<CapabilitySet, boolean>();

  constructor(
    private readonly known: KnownWork,
    private readonly capabilities: CapabilitySet,
  ) {
    this.offered = new Set(capabilities.split(','));
  }

  /** The number of the last mark that was made; say it when the answer to a claim sent now is short. */
  get moment(): number {
    return this.known.last;
  }

  /** Something says that this lane may have work in this partition that needs these capabilities; default, anything that can be done. */
  mark(laneId: string, partition: string, needs: CapabilitySet = this.capabilities): void {
    let lane = this.lanes.get(laneId);
    if (lane === undefined) this.lanes.set(laneId, (lane = new Map()));
    let marks = lane.get(partition);
    if (marks === undefined) lane.set(partition, (marks = new Map()));
    marks.set(needs, this.known.markAt(laneId, partition, needs));
  }

  /** Partitions in which the lane may have work, in the order in which they come up. */
  partitionsOf(laneId: string): ReadonlyMap<string, unknown> {
    return this.lanes.get(laneId) ?? NO_PARTITIONS;
  }

  /** The partition comes up after all others of the lane. */
  passOn(laneId: string, partition: string): void {
    const lane = this.lanes.get(laneId);
    const marks = lane?.get(partition);
    if (lane === undefined || marks === undefined) return;
    lane.delete(partition);
    lane.set(partition, marks);
  }

  /** Whether enough others look there already. */
  isCrowded(laneId: string, partition: string): boolean {
    for (const { looking, width } of this.marksAt(laneId, partition).values()) if (looking < width) return false;
    return true;
  }

  /** Whether somebody found work there a moment ago. */
  isRich(laneId: string, partition: string): boolean {
    for (const { width } of this.marksAt(laneId, partition).values()) if (width > 1) return true;
    return false;
  }

  /** A claim is sent; say it to `looked` when it is answered. */
  look(laneId: string, partition: string): readonly Mark[] {
    const marks = [...this.marksAt(laneId, partition).values()];
    for (const mark of marks) mark.looking++;
    return marks;
  }

  /** The claim is answered, or has failed. */
  looked(marks: readonly Mark[]): void {
    for (const mark of marks) mark.looking--;
  }

  /** The claim got all that it asked for: more may be there. */
  foundAll(laneId: string, partition: string): void {
    // Its marks may be gone by another's answer, which was older.
    if (this.marksAt(laneId, partition).size === 0) this.mark(laneId, partition);
    for (const mark of this.marksAt(laneId, partition).values()) mark.width = Math.min(2 * mark.width, MAX_WIDTH);
  }

  /** The claim, sent at this moment, got less than it asked for. */
  foundShort(laneId: string, partition: string, moment: number): void {
    this.known.forget(laneId, partition, this, moment);
  }

  /** Whether who has these capabilities can do what needs those. */
  covers(needs: CapabilitySet): boolean {
    let covers = this.covered.get(needs);
    if (covers === undefined)
      this.covered.set(needs, (covers = needs === '' || needs.split(',').every((token) => this.offered.has(token))));
    return covers;
  }

  /** The mark is no more. */
  drop(laneId: string, partition: string, needs: CapabilitySet): void {
    const lane = this.lanes.get(laneId);
    const marks = lane?.get(partition);
    if (marks?.delete(needs) && marks.size === 0) lane?.delete(partition);
  }

  private marksAt(laneId: string, partition: string): ReadonlyMap<CapabilitySet, Mark> {
    return this.lanes.get(laneId)?.get(partition) ?? NO_MARKS;
  }
}

/** The marks of one process on one backend. */
export class KnownWork {
  /** The number of the last mark. */
  last = 0;
  private readonly views = new Map<CapabilitySet, WorkMarks>();
  private readonly places = new Map<string, Marks>();
  private readonly listeners = new Set<() => void>();

  /** The marks for these capabilities. */
  marksFor(capabilities: Iterable<string>): WorkMarks {
    const set = [...new Set(capabilities)].sort().join();
    let view = this.views.get(set);
    if (view === undefined) this.views.set(set, (view = new WorkMarks(this, set)));
    return view;
  }

  /** Calls the listener whenever more of those who wait may look, until the returned function is called. */
  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Somebody looked: others may. */
  stir(): void {
    for (const listener of this.listeners) listener();
  }

  /** The mark of this place, made or made again. */
  markAt(laneId: string, partition: string, needs: CapabilitySet): Mark {
    const place = placeOf(laneId, partition);
    let marks = this.places.get(place);
    if (marks === undefined) this.places.set(place, (marks = new Map()));
    let mark = marks.get(needs);
    this.last++;
    if (mark === undefined) marks.set(needs, (mark = new Mark(this.last)));
    mark.number = this.last;
    return mark;
  }

  /** Removes the marks of what somebody would have found who looked at this moment. */
  forget(laneId: string, partition: string, who: WorkMarks, moment: number): void {
    const place = placeOf(laneId, partition);
    const marks = this.places.get(place);
    if (marks === undefined) return;
    for (const [needs, mark] of marks) {
      if (!who.covers(needs)) continue;
      mark.width = 1;
      if (mark.number > moment) continue;
      marks.delete(needs);
      for (const view of this.views.values()) view.drop(laneId, partition, needs);
    }
    if (marks.size === 0) this.places.delete(place);
  }
}

const placeOf = (laneId: string, partition: string): string => `${partition}${laneId}`;

const byBackend = new WeakMap<Backend, KnownWork>();

/** What this process knows of the work on a backend. */
export function knownWork(backend: Backend): KnownWork {
  let known = byBackend.get(backend);
  if (known === undefined) byBackend.set(backend, (known = new KnownWork()));
  return known;
}
