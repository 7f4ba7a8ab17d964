/**
 * Where this process knows of work. A *place* is a partition of a lane. A *lead* is a dated hint that a place may have
 * work of some need; wakes create leads, and so do checks by the sweep. All workers and finders on a backend share the
 * leads, so that a hundred of them do not all claim for one piece of work.
 *
 * At first one claim may follow a lead at a time. Each claim that comes back full doubles that maximum. A claim that
 * comes back short resets it to one and removes every lead whose work it would have found. A lead has a number that
 * grows with every hint, and a claim removes only leads whose numbers existed when it was sent, so that work that
 * arrived while the claim was in flight is not forgotten.
 *
 * Leads are forgotten ten minutes after the last hint, and the oldest when there are too many. The sweep finds work
 * whose lead was forgotten.
 */
import type { Backend } from '../backend/backend.js';
import type { Clock } from '../engine/clock.js';
import { perBackend } from '../engine/per-backend.js';
import type { Abilities, Need } from './abilities.js';
import { Lead, Place, placeKey, type PlaceName } from './place.js';

/** How long a lead is kept after its last hint, ms. */
const LEAD_LIFE_MS = 600_000;
/** Precision of the dates of places, ms. */
const DATE_STEP_MS = 1_000;
/** Most places with leads; beyond it the oldest is forgotten. */
const MAX_PLACES = 10_000;
/** Most places remembered as checked without finding work. */
const MAX_QUIET = 10_000;
const MAX_IN_FLIGHT = 1_000_000;
/** Claims that may follow a new lead to urgent work at a place that has leads already. */
const RAISED_IN_FLIGHT = 16;

/** Details of a hint. */
export interface Hint {
  /** Default 0. */
  readonly priority?: number | undefined;
  /** Whether the hint is only a due check, not news of work. Default false. */
  readonly unseen?: boolean;
  /** The wake that gave the hint: repeated calls with the same one count once. */
  readonly source?: object;
}

/** The leads of one process on one backend. */
export class Leads {
  /** The number of the last hint; a claim carries it. */
  lastNumber = 0;
  /** Oldest date first. */
  private readonly places = new Map<string, Place>();
  /** When a check of a place found no work for some abilities; oldest first. */
  private readonly quiet = new Map<string, { readonly at: number; readonly by: Abilities }>();
  private readonly changeListeners = new Set<(place: Place) => void>();
  private readonly releaseListeners = new Set<() => void>();

  /** Number of places with leads. */
  get size(): number {
    return this.places.size;
  }

  /**
   * Calls the listener when leads of a place were added, removed, or changed in priority, until the returned function
   * is called. All places with leads are passed at once.
   */
  onChange(listener: (place: Place) => void): () => void {
    this.changeListeners.add(listener);
    for (const place of this.places.values()) listener(place);
    return () => this.changeListeners.delete(listener);
  }

  /**
   * Calls the listener when a claim was answered, so that others may follow its leads, until the returned function is
   * called.
   */
  onRelease(listener: () => void): () => void {
    this.releaseListeners.add(listener);
    return () => this.releaseListeners.delete(listener);
  }

  /** Records a hint that a place may have work of this need. */
  note({ laneId, partition }: PlaceName, need: Need, now: number, hint: Hint = {}): void {
    const { priority = 0, unseen = false, source } = hint;
    const place = this.placeAt(laneId, partition, now);
    const known = place.leads.get(need.key);
    if (known !== undefined && source !== undefined && known.source === source) return;
    this.lastNumber++;
    if (known !== undefined && priority <= known.priority) {
      known.number = this.lastNumber;
      known.source = source;
      return;
    }
    // A new lead for more urgent work: claims in flight were sent before that came, and must not count against it.
    const lead = new Lead(need, this.lastNumber, priority, unseen);
    // The place has other work too, so several claims at once do not come back empty.
    if (priority > 0 && place.leads.size > 0) lead.maxInFlight = RAISED_IN_FLIGHT;
    if (known !== undefined) lead.maxInFlight = Math.max(known.maxInFlight, lead.maxInFlight);
    lead.source = source;
    place.leads.set(need.key, lead);
    this.changed(place);
  }

  /** Adds a claim to the leads that it covers and that have room for another; undone by `release`. */
  follow(place: Place, abilities: Abilities): readonly Lead[] {
    const followed: Lead[] = [];
    for (const lead of place.leads.values()) {
      if (lead.inFlight >= lead.maxInFlight || !abilities.covers(lead.need)) continue;
      lead.inFlight++;
      followed.push(lead);
    }
    return followed;
  }

  /** Call this when the claim that followed these leads was answered or failed. */
  release(leads: readonly Lead[]): void {
    for (const lead of leads) lead.inFlight--;
  }

  /** Call this after an answer was processed: notifies all claimers that they may follow the leads. */
  released(): void {
    for (const listener of this.releaseListeners) listener();
  }

  /**
   * A claim came back full: there may be more work, of no higher priority than its last execution. If claims do not
   * report priorities, a priority above 0 stays valid for `trust` executions.
   */
  foundAll(
    name: PlaceName,
    abilities: Abilities,
    claim: { readonly number: number; readonly got: number; readonly lastPriority: number | undefined },
    trust: number,
    now: number,
  ): void {
    const place = this.placeAt(name.laneId, name.partition, now);
    let isCovered = false;
    let isChanged = false;
    for (const lead of place.leads.values()) {
      if (!abilities.covers(lead.need)) continue;
      isCovered = true;
      lead.maxInFlight = Math.min(2 * lead.maxInFlight, MAX_IN_FLIGHT);
      const { priority, unseen } = lead;
      lead.unseen = false;
      if (lead.number <= claim.number) lead.priority = remaining(lead, claim, trust);
      isChanged ||= lead.priority !== priority || unseen;
    }
    // The answer to an older claim may have removed the leads.
    if (!isCovered) this.note(name, abilities.need, now, { priority: claim.lastPriority });
    else if (isChanged) this.changed(place);
  }

  /** A claim that knew the hints up to `number` came back short. */
  foundShort({ laneId, partition }: PlaceName, abilities: Abilities, number: number, now: number): void {
    this.noteQuiet(placeKey(laneId, partition) + abilities.need.key, { at: now, by: abilities });
    const place = this.places.get(placeKey(laneId, partition));
    if (place === undefined) return;
    let isChanged = false;
    for (const [key, lead] of place.leads) {
      if (!abilities.covers(lead.need)) continue;
      lead.maxInFlight = 1;
      if (lead.number > number) continue;
      place.leads.delete(key);
      isChanged = true;
    }
    if (!isChanged) return;
    if (place.leads.size === 0) this.places.delete(placeKey(laneId, partition));
    this.changed(place);
  }

  /** A claim that knew the hints up to `number` left work of this priority, because it was not urgent enough. */
  foundLess({ laneId, partition }: PlaceName, abilities: Abilities, number: number, priority: number): void {
    const place = this.places.get(placeKey(laneId, partition));
    if (place === undefined) return;
    for (const lead of place.leads.values()) {
      if (!abilities.covers(lead.need)) continue;
      lead.maxInFlight = 1;
      lead.unseen = false;
      if (lead.number <= number) lead.priority = Math.min(lead.priority, priority);
    }
    this.changed(place);
  }

  /** Whether another planner with equal abilities has checked the place since that time, and found no work. */
  isQuiet({ laneId, partition }: PlaceName, abilities: Abilities, since: number): boolean {
    const look = this.quiet.get(placeKey(laneId, partition) + abilities.need.key);
    return look !== undefined && look.at >= since && look.by !== abilities;
  }

  private placeAt(laneId: string, partition: string, now: number): Place {
    const key = placeKey(laneId, partition);
    let place = this.places.get(key);
    if (place === undefined) {
      this.forget(now);
      this.places.set(key, (place = new Place(laneId, partition, now)));
    }
    if (now - place.notedAt > DATE_STEP_MS) {
      place.notedAt = now;
      this.places.delete(key);
      this.places.set(key, place);
    }
    return place;
  }

  /** Makes room for another place: drops old places, or the oldest if there are too many. */
  private forget(now: number): void {
    for (const [key, place] of this.places) {
      const isOld = now - place.notedAt > LEAD_LIFE_MS;
      if (!isOld && this.places.size < MAX_PLACES) return;
      this.places.delete(key);
      place.leads.clear();
      this.changed(place);
    }
  }

  private noteQuiet(key: string, look: { readonly at: number; readonly by: Abilities }): void {
    this.quiet.delete(key);
    this.quiet.set(key, look);
    for (const [oldest, { at }] of this.quiet) {
      if (this.quiet.size <= MAX_QUIET && look.at - at <= LEAD_LIFE_MS) return;
      this.quiet.delete(oldest);
    }
  }

  private changed(place: Place): void {
    for (const listener of this.changeListeners) listener(place);
  }
}

/** The priority of the work that a full claim left. */
function remaining(
  lead: Lead,
  { got, lastPriority }: { readonly got: number; readonly lastPriority: number | undefined },
  trust: number,
): number {
  if (lastPriority !== undefined) return Math.min(lead.priority, lastPriority);
  lead.believed += got;
  return lead.believed < trust ? lead.priority : 0;
}

const leadsByClock = perBackend(() => new WeakMap<Clock, Leads>());

/** The leads of all claimers that share a backend and a clock. */
export function leadsOf(backend: Backend, clock: Clock): Leads {
  const byClock = leadsByClock(backend);
  let leads = byClock.get(clock);
  if (leads === undefined) byClock.set(clock, (leads = new Leads()));
  return leads;
}
