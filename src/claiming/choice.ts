/** Chooses the place of the next claim, and its size. */
import type { Abilities } from './abilities.js';
import { Focus } from './focus.js';
import type { Leads } from './leads.js';
import type { Place } from './place.js';
import { OpenPlaces } from './open-places.js';
import type { LaneClaim } from './plan.js';
import type { Room } from './room.js';
import type { Yields } from './yields.js';

export class Choice {
  readonly open = new OpenPlaces();
  readonly focus: Focus;
  /** Why the last search found no place: the end of the shortest back-off, and whether the leads have enough claims. */
  backsOffUntil = Infinity;
  isCrowded = false;
  private now = -Infinity;
  private readonly isAllowed = (place: Place): boolean => this.allows(place);

  /** @param turn executions requested in a partition before other partitions get their turn */
  constructor(
    private readonly leads: Leads,
    private readonly room: Room,
    private readonly yields: Yields,
    public abilities: Abilities,
    turn: number,
  ) {
    this.focus = new Focus(turn);
  }

  /** Updates the index of open places, after leads of the place were added, removed, or changed in priority. */
  changed(place: Place): void {
    const { priority, unseen } = this.standingOf(place);
    if (priority < 0) this.open.close(place);
    else this.open.open(place, priority, unseen);
  }

  /** The next claim of a worker: a place, with other lanes of its partition as far as there is room. */
  next(now: number): readonly LaneClaim[] | undefined {
    // More urgent work does not wait until there is enough room to be worth a call.
    const onlyRaised = !this.room.isWorthAClaim;
    if (onlyRaised && (this.room.capacity <= 0 || !this.open.hasRaised)) return undefined;
    const place = this.search(now, undefined, onlyRaised);
    if (place === undefined) return undefined;
    const isRaised = this.open.isRaised(place);
    const places = isRaised ? [place] : this.placesOfClaim(place);
    const capacity = Math.min(this.capacityAt(place), this.mostAt(place, isRaised, places.length));
    this.focusOn(place);
    return this.split(places, capacity);
  }

  /** Most executions to request of `lanes` lanes of a partition, regardless of room. */
  private mostAt(place: Place, isRaised: boolean, lanes: number): number {
    // Urgent work is claimed for free slots only, not ahead: another worker may have a slot for it.
    if (isRaised) return Math.max(1, this.room.freeSlots);
    // A check only finds out the work of a place; the slots are kept for the most urgent work of all checked places.
    if (this.standingOf(place).unseen && this.open.hasElsewhere(place.partition)) return lanes;
    return Infinity;
  }

  /** The next claim, at one place, for a caller with its own room; the partition `near` is preferred like the focus. */
  nextFor(count: number, near: string | undefined, now: number): readonly LaneClaim[] | undefined {
    const place = this.search(now, near, false);
    if (place === undefined) return undefined;
    this.focusOn(place);
    return [this.claimAt(place, count)];
  }

  private search(now: number, near: string | undefined, onlyRaised: boolean): Place | undefined {
    this.now = now;
    this.backsOffUntil = Infinity;
    this.isCrowded = false;
    this.endTurns();
    const { partitions, hasRoom } = this.focus;
    const isNear = near !== undefined && (hasRoom || this.focus.has(near));
    return this.open.next(this.isAllowed, isNear ? [near, ...partitions] : partitions, onlyRaised);
  }

  /** Whether a claim may go to the place now. */
  private allows(place: Place): boolean {
    if (this.capacityAt(place) <= 0 || this.room.allowance(place.laneId) <= 0) return false;
    if (this.yields.isYielded(place)) return false;
    const until = this.yields.backsOffUntil(place);
    if (until > this.now) {
      this.backsOffUntil = Math.min(this.backsOffUntil, until);
      return false;
    }
    for (const lead of place.leads.values())
      if (lead.inFlight < lead.maxInFlight && this.abilities.covers(lead.need)) return true;
    this.isCrowded = true;
    return false;
  }

  /** Removes partitions from the focus that have no leads, or whose turn is over while others have leads. */
  private endTurns(): void {
    for (const partition of this.focus.partitions) {
      const isOver = this.focus.isTurnOver(partition) && this.open.hasElsewhere(partition);
      if (isOver || !this.open.hasAt(partition)) this.focus.leave(partition);
    }
  }

  /**
   * A claim goes to the place: its partition enters the focus if there is room, or in place of one with less urgent
   * work.
   */
  private focusOn(place: Place): void {
    const { partition } = place;
    const { focus, open } = this;
    const isInFocus = focus.has(partition);
    if (!isInFocus && !focus.hasRoom) {
      const yielding = open.lessUrgent(place, focus.partitions);
      if (yielding !== undefined) focus.leave(yielding);
    }
    if (!isInFocus && focus.hasRoom) focus.enter(partition);
    open.served(place, isInFocus);
  }

  /** The places of one claim: this one, and other lanes of its partition. */
  private placesOfClaim(place: Place): readonly Place[] {
    // After a fault a lane is claimed alone, since the arguments for one lane may be the cause of the fault.
    if (this.yields.hasFault(place)) return [place];
    let places: Place[] | undefined;
    for (const other of this.open.at(place.partition)) {
      if (other === place || this.yields.hasFault(other) || !this.allows(other)) continue;
      (places ??= [place]).push(other);
    }
    return places ?? [place];
  }

  /** Divides the capacity among the places; the first gets the remainder. */
  private split(places: readonly Place[], capacity: number): readonly LaneClaim[] {
    const asked = places.length > capacity ? places.slice(0, capacity) : places;
    const share = Math.floor(capacity / asked.length);
    return asked.map((place, index) => {
      if (index > 0) this.open.served(place, true);
      const most = index === 0 ? capacity - share * (asked.length - 1) : share;
      return this.claimAt(place, this.allowanceAt(place, most));
    });
  }

  /** Priority of the best covered lead of the place, negative without one; and whether only checks are due there. */
  private standingOf(place: Place): { readonly priority: number; readonly unseen: boolean } {
    let priority = -1;
    let unseen = false;
    for (const lead of place.leads.values()) {
      if (lead.priority < priority || !this.abilities.covers(lead.need)) continue;
      unseen = lead.unseen || (unseen && lead.priority === priority);
      priority = lead.priority;
    }
    return { priority, unseen };
  }

  private claimAt(place: Place, count: number): LaneClaim {
    const priority = Math.max(0, this.standingOf(place).priority);
    // Equally urgent work elsewhere comes before less urgent work here (ruling 28).
    const minPriority = Math.min(priority, this.open.urgencyElsewhere(place));
    return { place, count, priority, minPriority, leads: this.leads.follow(place, this.abilities) };
  }

  /** Executions that may still be requested at a place: half of the room stays free for rival places. */
  private capacityAt(place: Place): number {
    const most = this.open.hasRival(place) ? this.room.share : this.room.size;
    return this.room.capacityAt(place.partition, most);
  }

  /**
   * How many of `most` executions the input sizes of the lane allow; half while other places may have work and no claim
   * here came back full.
   */
  private allowanceAt(place: Place, most: number): number {
    const allowance = this.room.allowance(place.laneId);
    if (allowance >= 2 * most) return most;
    const isRich = [...place.leads.values()].some((lead) => lead.maxInFlight > 1 && this.abilities.covers(lead.need));
    const isShared = !isRich && this.open.hasElsewhere(place.partition);
    return Math.min(most, Math.ceil(allowance * (isShared ? 0.5 : 1)));
  }
}
