/** Which place a claim goes to next, and how much it asks for there. */
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
  /** Why the last search found nothing: until when faults keep it from a place, and whether enough claims are under way. */
  backsOffUntil = Infinity;
  isCrowded = false;
  private now = -Infinity;
  private readonly isAllowed = (place: Place): boolean => this.allows(place);

  /** @param turn executions that are asked for in a partition before others get their turn */
  constructor(
    private readonly leads: Leads,
    private readonly room: Room,
    private readonly yields: Yields,
    public abilities: Abilities,
    turn: number,
  ) {
    this.focus = new Focus(turn);
  }

  /** Keeps the index of open places: the leads of the place came, went, or changed in priority. */
  changed(place: Place): void {
    const { priority, unseen } = this.standingOf(place);
    if (priority < 0) this.open.close(place);
    else this.open.open(place, priority, unseen);
  }

  /** The next claim of a worker: one place, and the other lanes of its partition for which there is room. */
  next(now: number): readonly LaneClaim[] | undefined {
    // Better work than what is being worked does not wait until there is enough room to be worth a call.
    const onlyRaised = !this.room.isWorthAClaim;
    if (onlyRaised && (this.room.capacity <= 0 || !this.open.hasRaised)) return undefined;
    const place = this.search(now, undefined, onlyRaised);
    if (place === undefined) return undefined;
    const isRaised = this.open.isRaised(place);
    const places = isRaised ? [place] : this.company(place);
    const capacity = Math.min(this.capacityAt(place), this.mostAt(place, isRaised, places.length));
    this.focusOn(place);
    return this.split(places, capacity);
  }

  /** What is worth asking for of so many lanes of a partition, whatever room there is. */
  private mostAt(place: Place, isRaised: boolean, lanes: number): number {
    // Urgent work is not hoarded: another worker may have a slot for it.
    if (isRaised) return Math.max(1, this.room.freeSlots);
    // A look tells what a place has; the slots are for the best of what all looks tell.
    if (this.standingOf(place).unseen && this.open.hasElsewhere(place.partition)) return lanes;
    return Infinity;
  }

  /** The next claim of a caller with room of its own, for one place; one in the partition `near` is as good as one in focus. */
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

  /** The focus leaves a partition that has nothing left, or that had its turn while others may have work. */
  private endTurns(): void {
    for (const partition of this.focus.partitions) {
      const isOver = this.focus.isTurnOver(partition) && this.open.hasElsewhere(partition);
      if (isOver || !this.open.hasAt(partition)) this.focus.leave(partition);
    }
  }

  /** A claim goes to the place. The focus takes its partition when it has room, and yields where its own work is less urgent. */
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

  /** The places that one claim goes to: this one, and those of other lanes in its partition. */
  private company(place: Place): readonly Place[] {
    // After a fault a lane goes alone: what one of them asks for may be what the others suffer from.
    if (this.yields.hasFault(place)) return [place];
    let places: Place[] | undefined;
    for (const other of this.open.at(place.partition)) {
      if (other === place || this.yields.hasFault(other) || !this.allows(other)) continue;
      (places ??= [place]).push(other);
    }
    return places ?? [place];
  }

  /** Splits so much capacity among the places, the first of them before the others. */
  private split(places: readonly Place[], capacity: number): readonly LaneClaim[] {
    const asked = places.length > capacity ? places.slice(0, capacity) : places;
    const share = Math.floor(capacity / asked.length);
    return asked.map((place, index) => {
      if (index > 0) this.open.served(place, true);
      const most = index === 0 ? capacity - share * (asked.length - 1) : share;
      return this.claimAt(place, this.allowanceAt(place, most));
    });
  }

  /** The best lead of the place that can be followed; a negative priority when there is none. */
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
    // What is as urgent elsewhere comes before what is less urgent here (ruling 28).
    const minPriority = Math.min(priority, this.open.urgencyElsewhere(place));
    return { place, count, priority, minPriority, leads: this.leads.follow(place, this.abilities) };
  }

  /** Executions that may still be asked for at a place: half of the room stays for others with an equal claim to it. */
  private capacityAt(place: Place): number {
    const most = this.open.hasRival(place) ? this.room.share : this.room.size;
    return this.room.capacityAt(place.partition, most);
  }

  /** Of so many, how many the inputs of the lane allow: half of these stay for others as long as nothing is known of the place. */
  private allowanceAt(place: Place, most: number): number {
    const allowance = this.room.allowance(place.laneId);
    if (allowance >= 2 * most) return most;
    const isRich = [...place.leads.values()].some((lead) => lead.maxInFlight > 1 && this.abilities.covers(lead.need));
    const isShared = !isRich && this.open.hasElsewhere(place.partition);
    return Math.min(most, Math.ceil(allowance * (isShared ? 0.5 : 1)));
  }
}
