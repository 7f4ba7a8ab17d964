/**
 * Decides where to claim next. Pure: it is told what happened (a wake, an answer, a fault, an execution that ended) and
 * the time, and answers which claims to send now and when to plan again. The claimer and the finder do the rest.
 *
 * With every plan it comes to rest in a mode; each is described where it is entered, in `settleDown` and after it.
 */
import type { QueueHead } from '../../model/schedule/queue-heads.js';
import type { Abilities } from './abilities.js';
import { Choice } from './choice.js';
import { placeKey, type Lead, type PlaceName } from './place.js';
import type { LaneAnswer, LaneClaim, Plan, PlannedClaim, PlannerOptions, WorkWake } from './plan.js';
import { Room } from './room.js';
import { Sweep } from './sweep.js';
import { Yields } from './yields.js';

export type ClaimingMode = 'idle' | 'asking' | 'full' | 'backing_off' | 'resting' | 'stopped';

/** Rounds of the share of a partition before others get their turn. */
const TURN_ROUNDS = 16;
/** Places with leads beyond which rounds of looks wait. */
const MANY_LEADS = 2_000;
const NO_LEADS: readonly Lead[] = [];
const NOTHING: Plan = { claims: [], reads: [], pollAt: Infinity };
/** Stands for all lanes of a partition, where its queues are read. */
const ALL_LANES = '';

export class Planner {
  private currentMode: ClaimingMode = 'idle';
  private readonly choice: Choice;
  private readonly room: Room;
  private readonly sweep: Sweep;
  private readonly yields: Yields;
  private readonly lanes: Set<string>;
  private readonly partitions: ReadonlySet<string>;
  private readonly turn: number;
  /** Claims under way. */
  private claims = 0;
  /** Partitions whose queues are to be read. */
  private readonly reads = new Set<string>();
  private stopListening: () => void;

  constructor(private readonly options: PlannerOptions) {
    const { lanes, chance, sweepIntervalMs: intervalMs, partitions, burst } = options;
    this.lanes = new Set(lanes);
    this.partitions = new Set(partitions);
    this.room = new Room(options);
    this.yields = new Yields(chance);
    this.turn = options.turn ?? TURN_ROUNDS * this.room.share;
    this.choice = new Choice(options.leads, this.room, this.yields, options.abilities, this.turn);
    const swept = this.isReading ? [ALL_LANES] : lanes;
    this.sweep = new Sweep({ lanes: swept, partitions, intervalMs, chance, ...(burst === undefined ? {} : { burst }) });
    this.stopListening = this.listen();
  }

  /** What it came to rest in. */
  get mode(): ClaimingMode {
    return this.currentMode;
  }

  /** Whether any place has a lead that it can follow. */
  get hasLeads(): boolean {
    return !this.choice.open.isEmpty;
  }

  /** When to plan again although nothing happened. */
  get pollAt(): number {
    return Math.min(this.sweep.nextAt, this.yields.nextLookAt, this.choice.backsOffUntil);
  }

  // What to do.

  /** Every claim for which there is room and reason. */
  plan(now: number): Plan {
    if (this.isSilent) return NOTHING;
    this.lookAround(now);
    const claims: PlannedClaim[] = [];
    for (let lanes = this.choice.next(now); lanes !== undefined; lanes = this.choice.next(now))
      claims.push(this.send(lanes, false));
    const reads = [...this.reads];
    this.reads.clear();
    return { claims, reads, pollAt: this.settleDown() };
  }

  /** One claim at one place for so many executions, of a caller with room of its own; `near` is preferred like the focus. */
  claimFor(count: number, near: string | undefined, now: number): PlannedClaim | undefined {
    if (this.isSilent) return undefined;
    this.lookAround(now);
    const lanes = this.choice.nextFor(count, near, now);
    return lanes && this.send(lanes, false);
  }

  /**
   * Work is about to leave this process for a place. Answers the claim that is to travel along, if there is room for it:
   * an idle worker so has its work after one round trip.
   */
  arriving(wake: WorkWake, now: number): PlannedClaim | undefined {
    const { laneId, partition, arriving = 0, priority = 0 } = wake;
    if (this.isSilent || !this.concerns(wake) || this.yields.yieldsIn(laneId, now)) return undefined;
    if (this.room.freeSlots <= 0 || this.room.allowance(laneId) <= 0) return undefined;
    const count = Math.min(this.room.capacity, arriving, this.room.allowance(laneId));
    return this.send([{ place: { laneId, partition }, count, priority, minPriority: 0, leads: NO_LEADS }], true);
  }

  /** Takes room for so many executions of a lane that are claimed beside the plan; answers how many there is room for. */
  reserve(partition: string, laneId: string, wanted: number): number {
    if (this.isSilent || this.room.freeSlots <= 0) return 0;
    const count = Math.max(0, Math.min(wanted, this.room.capacity, this.room.allowance(laneId)));
    if (count > 0) this.room.reserve(partition, laneId, count);
    return count;
  }

  /** What was claimed with that room came: so many. */
  settleAside(partition: string, laneId: string, count: number, got: number): void {
    this.room.settle(partition, laneId, count, got);
  }

  /** Comes to rest in a mode; answers when to plan again although nothing happened. */
  private settleDown(): number {
    const hasRoom = this.room.isWorthAClaim;
    if (this.claims > 0 || (hasRoom && this.choice.isCrowded)) {
      // Claims are under way, or those of others in this process are, as many as may be at every place with a lead. An
      // answer ends it; while there is room, news does too.
      this.currentMode = 'asking';
    } else if (!hasRoom) {
      // Work is in hand for every slot, and more than half of the room for work claimed ahead is taken. An execution that
      // ends makes room; until then nothing is looked for, and no timer runs.
      this.currentMode = 'full';
    } else if (this.choice.backsOffUntil < Infinity) {
      // Every place with a lead met a fault a moment ago. The end of the shortest back-off ends it, or news.
      this.currentMode = 'backing_off';
    } else {
      // Nothing points to work, but at places yielded to others. A wake ends it, or the next look of the sweep.
      this.currentMode = 'idle';
    }
    return hasRoom ? this.pollAt : Infinity;
  }

  /** The worker wants no claims for a while, whatever room there is; it ends that itself. Leads are kept meanwhile. */
  rest(): void {
    if (this.currentMode !== 'stopped') this.currentMode = 'resting';
  }

  /** Claims go on; the next plan says where. */
  goOn(): void {
    if (this.currentMode === 'resting') this.currentMode = 'idle';
  }

  /** No more claims, for good. */
  stop(): void {
    this.currentMode = 'stopped';
    this.stopListening();
  }

  private get isReading(): boolean {
    return this.options.looks === 'reads';
  }

  private get isSilent(): boolean {
    return this.currentMode === 'resting' || this.currentMode === 'stopped';
  }

  // What happened.

  /** Claims begin with a look at every place; from then on the sweep comes round. */
  start(now: number): void {
    this.sweep.start(now);
  }

  /** One more lane is served. */
  serve(laneId: string, now: number): void {
    if (this.lanes.has(laneId)) return;
    this.lanes.add(laneId);
    if (this.isReading) this.look([laneId], now);
    else this.sweep.add(laneId, now);
  }

  /** Claims bring other work from now on: the lanes are worth a look. */
  become(abilities: Abilities, now: number): void {
    if (abilities.need.key === this.choice.abilities.need.key) return;
    this.choice.abilities = abilities;
    this.stopListening();
    this.stopListening = this.listen();
    this.look([...this.lanes], now);
  }

  /** Lanes are worth a look: what came while nobody listened was not announced. */
  look(laneIds: readonly string[], now: number): void {
    this.sweep.look(this.isReading ? [ALL_LANES] : laneIds, now);
  }

  /** The subscription to wakes was made anew: anything may have changed. */
  resynced(now: number): void {
    this.sweep.resync(now);
  }

  /** A place has work that it had not before, or work of a higher priority. */
  woken(wake: WorkWake, now: number): void {
    if (!this.concerns(wake)) return;
    const { laneId, requiredCapabilities, executionKind, priority } = wake;
    const need = this.choice.abilities.needFor(requiredCapabilities, executionKind);
    if (this.yields.yieldsIn(laneId, now)) this.yields.headStart(wake, now);
    else this.options.leads.note(wake, need, now, { priority, source: wake });
  }

  /** The queues of a partition were read: these have work. */
  read(partition: string, heads: readonly QueueHead[], now: number): void {
    for (const head of heads) this.woken({ kind: 'work', partition, ...head }, now);
  }

  /** The answer to a claim, lane by lane; nothing for a lane whose part met a fault, which says nothing of its work. */
  answered(claim: PlannedClaim, answers: readonly (LaneAnswer | undefined)[], now: number): void {
    this.claims--;
    this.yields.recovered(claim.partition);
    claim.lanes.forEach((lane, index) => {
      const answer = answers[index];
      this.settle(claim, lane, answer?.got ?? 0);
      if (answer === undefined) this.metFault(lane.place, placeKey(lane.place.laneId, claim.partition), now);
      else this.learn(claim, lane, answer, now);
    });
  }

  /** A claim failed as a whole; `wide` when the fault concerns its partition rather than what was asked for. */
  failed(claim: PlannedClaim, wide: boolean, now: number): void {
    this.claims--;
    const [only] = claim.lanes;
    // Of several lanes nobody knows which one was at fault: the next claims there are for one lane alone.
    const isWide = wide || claim.lanes.length > 1;
    for (const lane of claim.lanes) {
      this.settle(claim, lane, 0);
      this.metFault(lane.place, undefined, now);
    }
    this.yields.fault(
      isWide || only === undefined ? claim.partition : placeKey(only.place.laneId, claim.partition),
      now,
    );
  }

  /** Executions that may wait in the worker from now on; more than `claimAhead` are never allowed. */
  limitAhead(count: number): void {
    this.room.limitAhead(count);
  }

  /** Executions in hand came to their end. */
  finished(partition: string, count = 1): void {
    this.room.finished(partition, count);
  }

  /** The place has work that this worker cannot run: others look first, now and for some minutes when the lane has news. */
  yieldTo(place: PlaceName, now: number): void {
    this.yields.yieldTo(place, now);
  }

  private listen(): () => void {
    return this.options.leads.onChange((place) => {
      if (this.lanes.has(place.laneId)) this.choice.changed(place);
    });
  }

  /** Whether the wake is of work that this planner could claim. Channels carry what others publish: the rest is dropped. */
  private concerns({ laneId, partition, requiredCapabilities, executionKind }: WorkWake): boolean {
    const { abilities } = this.choice;
    if (!this.lanes.has(laneId) || !this.partitions.has(partition)) return false;
    return abilities.covers(abilities.needFor(requiredCapabilities, executionKind));
  }

  /** Owes looks to the places whose time has come. */
  private lookAround(now: number): void {
    const { leads, sweepIntervalMs } = this.options;
    const { abilities, open } = this.choice;
    const owe = (place: PlaceName): void => leads.note(place, abilities.need, now, { unseen: true });
    this.yields.due(now, owe);
    if (this.sweep.nextAt > now) return;
    this.sweep.due(now, leads.size < MANY_LEADS, (place, reason) => {
      if (this.isReading) {
        this.reads.add(place.partition);
        return;
      }
      if (open.has(place.laneId, place.partition)) return;
      // Of two workers that sweep the same places each needs to look at half of them.
      if (reason === 'sweep' && leads.isQuiet(place, abilities, now - sweepIntervalMs / 2)) return;
      owe(place);
    });
  }

  private send(lanes: readonly LaneClaim[], along: boolean): PlannedClaim {
    const { partition } = (lanes[0] as LaneClaim).place;
    for (const { place, count } of lanes) {
      this.room.reserve(partition, place.laneId, count);
      this.choice.focus.count(partition, count);
    }
    this.claims++;
    return { partition, lanes, along, number: this.options.leads.lastNumber, abilities: this.choice.abilities };
  }

  /** A lane's part of a claim is over: what it reserved is in hand or free again. */
  private settle({ partition }: PlannedClaim, { place, count, leads }: LaneClaim, got: number): void {
    this.room.settle(partition, place.laneId, count, got);
    this.options.leads.release(leads);
  }

  private learn(claim: PlannedClaim, { place, count }: LaneClaim, answer: LaneAnswer, now: number): void {
    const { leads } = this.options;
    const { abilities, number, along } = claim;
    const { got, lastPriority, nextPriority } = answer;
    this.yields.recovered(placeKey(place.laneId, place.partition));
    if (got < count && nextPriority !== undefined) leads.foundLess(place, abilities, number, nextPriority);
    else if (got < count) leads.foundShort(place, abilities, number, now);
    else if (!along) leads.foundAll(place, abilities, { number, got, lastPriority }, this.turn, now);
    if (answer.endedOthers === true) leads.note(place, abilities.need, now);
  }

  /** The lead stays, and is followed again when the fault of this place or partition is old enough. */
  private metFault(place: PlaceName, key: string | undefined, now: number): void {
    if (key !== undefined) this.yields.fault(key, now);
    this.choice.focus.leave(place.partition);
  }
}
