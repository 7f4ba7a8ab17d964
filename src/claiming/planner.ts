/**
 * Decides where to claim next. It does no I/O: callers pass events (a wake, an answer, a fault, an ended execution) and
 * the time, and get the claims to send now and the time of the next plan. The claimer and the finder do the rest.
 *
 * Every plan ends in a mode. Each mode is described where it is entered, in `enterMode` and the methods after it.
 */
import { present } from '../../model/core/present.js';
import type { QueueHead } from '../../model/schedule/queue-heads.js';
import type { Abilities } from './abilities.js';
import { Choice } from './choice.js';
import { placeKey, type Lead, type PlaceName } from './place.js';
import type { LaneAnswer, LaneClaim, Plan, PlannedClaim, PlannerOptions, WorkWake } from './plan.js';
import { Room } from './room.js';
import { ALL_LANES, Sweep } from './sweep.js';
import { Yields } from './yields.js';

export type ClaimingMode = 'idle' | 'asking' | 'full' | 'backing_off' | 'resting' | 'stopped';

/** The default turn of a partition, as a multiple of its share of the room. */
const TURN_ROUNDS = 16;
/** With more places with leads than this, rounds of the sweep pause. */
const MANY_LEADS = 2_000;
const NO_LEADS: readonly Lead[] = [];
const NOTHING: Plan = { claims: [], reads: [], pollAt: Infinity };

export class Planner {
  private currentMode: ClaimingMode = 'idle';
  private readonly choice: Choice;
  private readonly room: Room;
  private readonly sweep: Sweep;
  private readonly yields: Yields;
  private readonly lanes: Set<string>;
  private readonly partitions: ReadonlySet<string>;
  private readonly turn: number;
  /** Number of claims in flight. */
  private claims = 0;
  /** Lanes to read with the next plan, by partition. */
  private readonly reads = new Map<string, Set<string>>();
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

  /** The mode in which the last plan ended. */
  get mode(): ClaimingMode {
    return this.currentMode;
  }

  /** Whether any place has a lead that this planner can follow. */
  get hasLeads(): boolean {
    return !this.choice.open.isEmpty;
  }

  /** When to plan again without an event. */
  get pollAt(): number {
    return Math.min(this.sweep.nextAt, this.yields.nextLookAt, this.choice.backsOffUntil);
  }

  // Plans.

  /** Every claim for which there is room and reason. */
  plan(now: number): Plan {
    if (this.isSilent) return NOTHING;
    this.noteDueChecks(now);
    const claims: PlannedClaim[] = [];
    for (let lanes = this.choice.next(now); lanes !== undefined; lanes = this.choice.next(now))
      claims.push(this.send(lanes, false));
    const reads = [...this.reads].map(([partition, laneIds]) => ({
      partition,
      laneIds: laneIds.has(ALL_LANES) ? undefined : [...laneIds],
    }));
    this.reads.clear();
    return { claims, reads, pollAt: this.enterMode() };
  }

  /**
   * One claim of up to `count` executions at one place, for a caller with its own room; `near` is preferred like the
   * focus.
   */
  claimFor(count: number, near: string | undefined, now: number): PlannedClaim | undefined {
    if (this.isSilent) return undefined;
    this.noteDueChecks(now);
    const lanes = this.choice.nextFor(count, near, now);
    return lanes && this.send(lanes, false);
  }

  /**
   * Work is about to leave this process for a place. Returns the claim to send in the same call, if there is room, so
   * that an idle worker gets the work after one round trip.
   */
  arriving(wake: WorkWake, now: number): PlannedClaim | undefined {
    const { laneId, partition, arriving = 0, priority = 0 } = wake;
    if (this.isSilent || !this.isForUs(wake) || this.yields.yieldsIn(laneId, now)) return undefined;
    if (this.room.freeSlots <= 0 || this.room.allowance(laneId) <= 0) return undefined;
    const count = Math.min(this.room.capacity, arriving, this.room.allowance(laneId));
    return this.send([{ place: { laneId, partition }, count, priority, minPriority: 0, leads: NO_LEADS }], true);
  }

  /** Whether there is a free slot, for any lane. */
  get hasRoom(): boolean {
    return !this.isSilent && this.room.freeSlots > 0;
  }

  /** Reserves room for executions that are claimed outside the plan. @returns how many fit, up to `wanted` */
  reserve(partition: string, laneId: string, wanted: number): number {
    if (!this.hasRoom) return 0;
    const count = Math.max(0, Math.min(wanted, this.room.capacity, this.room.allowance(laneId)));
    if (count > 0) this.room.reserve(partition, laneId, count);
    return count;
  }

  /** Settles such a reservation of `count`, of which `got` were claimed. */
  settleReserved(partition: string, laneId: string, count: number, got: number): void {
    this.room.settle(partition, laneId, count, got);
  }

  /** Enters a mode. @returns when to plan again without an event */
  private enterMode(): number {
    const hasRoom = this.room.isWorthAClaim;
    if (this.claims > 0 || (hasRoom && this.choice.isCrowded)) {
      // Claims are in flight, or other claimers of this process have as many in flight as every place with a lead
      // allows.
      // An answer ends the mode; while there is room, a new lead does too.
      this.currentMode = 'asking';
    } else if (!hasRoom) {
      // Every slot has work, and more than half of the room for work claimed ahead is taken. An execution that ends
      // makes
      // room; until then nothing is claimed, and no timer runs.
      this.currentMode = 'full';
    } else if (this.choice.backsOffUntil < Infinity) {
      // Every place with a lead met a fault recently. The end of the shortest back-off ends the mode, or a new lead.
      this.currentMode = 'backing_off';
    } else {
      // No lead, except at yielded places. A wake ends the mode, or the next step of the sweep.
      this.currentMode = 'idle';
    }
    return hasRoom ? this.pollAt : Infinity;
  }

  /** Pauses claims until `resume`, even if there is room. Leads are kept meanwhile. */
  pause(): void {
    if (this.currentMode !== 'stopped') this.currentMode = 'resting';
  }

  /** Resumes claims with the next plan. */
  resume(): void {
    if (this.currentMode === 'resting') this.currentMode = 'idle';
  }

  /** Stops claims for good. */
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

  // Events.

  /** Starts the sweep with a check of every place. */
  start(now: number): void {
    this.sweep.start(now);
  }

  /** Adds a lane. */
  serve(laneId: string, now: number): void {
    if (this.lanes.has(laneId)) return;
    this.lanes.add(laneId);
    if (this.isReading) this.look([laneId], now);
    else this.sweep.add(laneId, now);
  }

  /** Claims find other work from now on, so the lanes that may have it are checked. @param laneIds default: all lanes */
  setAbilities(abilities: Abilities, now: number, laneIds: readonly string[] = [...this.lanes]): void {
    if (abilities.need.key === this.choice.abilities.need.key) return;
    this.choice.abilities = abilities;
    this.stopListening();
    this.stopListening = this.listen();
    this.look(laneIds, now);
  }

  /** Checks lanes for work that may not have been announced, because there was no subscription. */
  look(laneIds: readonly string[], now: number): void {
    if (laneIds.length === 0) return;
    // One of thousands of lanes is read alone. Several are read with all others, partition by partition.
    this.sweep.look(this.isReading && laneIds.length > 1 ? [ALL_LANES] : laneIds, now);
  }

  /** The subscription to wakes was renewed: wakes may have been lost. */
  resynced(now: number): void {
    this.sweep.resync(now);
  }

  /** A place has new work, or work of a higher priority. */
  woken(wake: WorkWake, now: number): void {
    if (!this.isForUs(wake)) return;
    const { laneId, requiredCapabilities, executionKind, priority } = wake;
    const need = this.choice.abilities.needFor(requiredCapabilities, executionKind);
    if (this.yields.yieldsIn(laneId, now)) this.yields.headStart(wake, now);
    else this.options.leads.note(wake, need, now, { priority, source: wake });
  }

  /** The queues of a partition were read; `heads` are those with work. */
  read(partition: string, heads: readonly QueueHead[], now: number): void {
    for (const head of heads) this.woken({ kind: 'work', partition, ...head }, now);
  }

  /**
   * The answer to a claim, lane by lane; undefined for a lane whose part met a fault, so its work is unknown. `wide` if
   * such a fault concerns the partition rather than the lane.
   */
  answered(claim: PlannedClaim, answers: readonly (LaneAnswer | undefined)[], now: number, wide = false): void {
    this.claims--;
    if (wide) this.yields.fault(claim.partition, now);
    else this.yields.recovered(claim.partition);
    claim.lanes.forEach((lane, index) => {
      const answer = answers[index];
      this.settle(claim, lane, answer?.got ?? 0);
      if (answer === undefined)
        this.noteFault(lane.place, wide ? undefined : placeKey(lane.place.laneId, claim.partition), now);
      else this.noteAnswer(claim, lane, answer, now);
    });
  }

  /** A claim failed as a whole; `wide` if the fault concerns its partition rather than the arguments. */
  failed(claim: PlannedClaim, wide: boolean, now: number): void {
    this.claims--;
    const [only] = claim.lanes;
    // With several lanes the one at fault is unknown: the next claims there are for one lane each.
    const isWide = wide || claim.lanes.length > 1;
    for (const lane of claim.lanes) {
      this.settle(claim, lane, 0);
      this.noteFault(lane.place, undefined, now);
    }
    this.yields.fault(
      isWide || only === undefined ? claim.partition : placeKey(only.place.laneId, claim.partition),
      now,
    );
  }

  /** Limits the executions that wait in the worker; never above `claimAhead`. */
  limitAhead(count: number): void {
    this.room.limitAhead(count);
  }

  /** The number of claimed executions of the lane that wait for their inputs changed. */
  inputsAwaited(laneId: string, change: number): void {
    this.room.inputsAwaited(laneId, change);
  }

  /** Executions in hand have ended. */
  finished(partition: string, count = 1): void {
    this.room.finished(partition, count);
  }

  /**
   * The place has work that this worker cannot run: other workers get a head start there, and in the lane for some
   * minutes.
   */
  yieldTo(place: PlaceName, now: number): void {
    this.yields.yieldTo(place, now);
  }

  private listen(): () => void {
    return this.options.leads.onChange((place) => {
      if (this.lanes.has(place.laneId)) this.choice.changed(place);
    });
  }

  /**
   * Whether this planner could claim the work of the wake. Others can publish to the channel, so all fields are
   * checked.
   */
  private isForUs({ laneId, partition, requiredCapabilities, executionKind }: WorkWake): boolean {
    const { abilities } = this.choice;
    if (!this.lanes.has(laneId) || !this.partitions.has(partition)) return false;
    return abilities.covers(abilities.needFor(requiredCapabilities, executionKind));
  }

  /** Notes leads for the places that are due for a check. */
  private noteDueChecks(now: number): void {
    const { leads, sweepIntervalMs } = this.options;
    const { abilities, open } = this.choice;
    const noteLead = (place: PlaceName): void => leads.note(place, abilities.need, now, { unseen: true });
    this.yields.due(now, noteLead);
    if (this.sweep.nextAt > now) return;
    this.sweep.due(now, leads.size < MANY_LEADS, (place, reason) => {
      if (this.isReading) {
        this.noteRead(place);
        return;
      }
      if (open.has(place.laneId, place.partition)) return;
      // When two workers sweep the same places, each has to check only half of them.
      if (reason === 'sweep' && leads.isQuiet(place, abilities, now - sweepIntervalMs / 2)) return;
      noteLead(place);
    });
  }

  private noteRead({ partition, laneId }: PlaceName): void {
    const laneIds = this.reads.get(partition);
    if (laneIds === undefined) this.reads.set(partition, new Set([laneId]));
    else laneIds.add(laneId);
  }

  private send(lanes: readonly LaneClaim[], inOneCall: boolean): PlannedClaim {
    const { partition } = present(lanes[0]).place;
    for (const { place, count } of lanes) {
      this.room.reserve(partition, place.laneId, count);
      this.choice.focus.count(partition, count);
    }
    this.claims++;
    return {
      partition,
      lanes,
      inOneCall: inOneCall,
      number: this.options.leads.lastNumber,
      abilities: this.choice.abilities,
    };
  }

  /** Ends a lane's part of a claim: its reserved room is in use or free again. */
  private settle({ partition }: PlannedClaim, { place, count, leads }: LaneClaim, got: number): void {
    this.room.settle(partition, place.laneId, count, got);
    this.options.leads.release(leads);
  }

  private noteAnswer(claim: PlannedClaim, { place, count }: LaneClaim, answer: LaneAnswer, now: number): void {
    const { leads } = this.options;
    const { abilities, number, inOneCall } = claim;
    const { got, lastPriority, nextPriority } = answer;
    this.yields.recovered(placeKey(place.laneId, place.partition));
    if (got < count && nextPriority !== undefined) leads.foundLess(place, abilities, number, nextPriority);
    else if (got < count) leads.foundShort(place, abilities, number, now);
    else if (!inOneCall) leads.foundAll(place, abilities, { number, got, lastPriority }, this.turn, now);
    if (answer.mayHaveMore === true) leads.note(place, abilities.need, now);
  }

  /** Keeps the lead, which is followed again after the back-off of the place or partition. */
  private noteFault(place: PlaceName, key: string | undefined, now: number): void {
    if (key !== undefined) this.yields.fault(key, now);
    this.choice.focus.leave(place.partition);
  }
}
