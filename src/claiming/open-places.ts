/**
 * The places that a planner has leads for, in the order of their turns. Lanes take turns. Within a lane the highest
 * priority comes first; among equals, places due for a check, then places in focus, then the others in turn.
 *
 * Priorities of different lanes are not compared: a lane whose work is all urgent must not starve the others.
 */
import { present } from '../../model/core/present.js';
import type { Place } from './place.js';

/** Places of a lane with equal priority. */
interface Tier {
  readonly priority: number;
  readonly unseen: boolean;
  /** By partition, in the order of their turns. */
  readonly places: Map<string, Place>;
}

/** The open places of a lane. */
interface OpenLane {
  /** Best first; few. */
  tiers: Tier[];
  readonly tierOf: Map<string, Tier>;
  /** The priority of the last claim in the lane. */
  working: number;
}

const NO_TIERS: readonly Tier[] = [];

export class OpenPlaces {
  /** In the order of their turns. */
  private readonly lanes = new Map<string, OpenLane>();
  private readonly byPartition = new Map<string, Set<Place>>();
  /** Lanes with work of a higher priority than their last claim. They come first. */
  private readonly raised = new Set<string>();

  get isEmpty(): boolean {
    return this.lanes.size === 0;
  }

  get hasRaised(): boolean {
    return this.raised.size > 0;
  }

  /** Whether the place has work of a higher priority than the last claim of its lane. */
  isRaised({ laneId, partition }: Place): boolean {
    const lane = this.lanes.get(laneId);
    return this.raised.has(laneId) && (lane?.tierOf.get(partition)?.priority ?? 0) > (lane?.working ?? 0);
  }

  /** Adds or moves a place; `priority` is that of its best lead. */
  open(place: Place, priority: number, unseen: boolean): void {
    const { laneId, partition } = place;
    let lane = this.lanes.get(laneId);
    if (lane === undefined) this.lanes.set(laneId, (lane = { tiers: [], tierOf: new Map(), working: 0 }));
    const known = lane.tierOf.get(partition);
    if (priority > lane.working) this.raised.add(laneId);
    if (known?.priority === priority && known.unseen === unseen && known.places.get(partition) === place) return;
    if (known !== undefined) this.leave(lane, known, place);
    const tier = tierFor(lane, priority, unseen);
    tier.places.set(partition, place);
    lane.tierOf.set(partition, tier);
    let neighbours = this.byPartition.get(partition);
    if (neighbours === undefined) this.byPartition.set(partition, (neighbours = new Set()));
    neighbours.add(place);
  }

  /** Removes a place without leads. */
  close(place: Place): void {
    const lane = this.lanes.get(place.laneId);
    const tier = lane?.tierOf.get(place.partition);
    if (lane === undefined || tier === undefined) return;
    this.leave(lane, tier, place);
    if (lane.tiers.length > 0) return;
    this.lanes.delete(place.laneId);
    this.raised.delete(place.laneId);
  }

  /** The next allowed place; among equals one in the focus. */
  next(allowed: (place: Place) => boolean, focus: readonly string[], onlyRaised: boolean): Place | undefined {
    for (const laneId of this.raised) {
      const lane = this.lanes.get(laneId);
      const place = lane && bestOf(lane, allowed, focus, lane.working + 1);
      if (place !== undefined) return place;
    }
    if (onlyRaised) return undefined;
    for (const lane of this.lanes.values()) {
      const place = bestOf(lane, allowed, focus, 0);
      if (place !== undefined) return place;
    }
    return undefined;
  }

  /**
   * A claim goes to the place. This ends the turn of its lane and, outside of the focus, the turn of the place in the
   * lane.
   */
  served(place: Place, inFocus: boolean): void {
    const { laneId, partition } = place;
    const lane = this.lanes.get(laneId);
    const tier = lane?.tierOf.get(partition);
    if (lane === undefined || tier === undefined) return;
    lane.working = tier.priority;
    if (tier === lane.tiers[0]) this.raised.delete(laneId);
    if (this.lanes.size > 1) {
      this.lanes.delete(laneId);
      this.lanes.set(laneId, lane);
    }
    if (!inFocus) toEnd(tier, partition);
  }

  /** The open places of a partition. */
  at(partition: string): Iterable<Place> {
    return this.byPartition.get(partition) ?? [];
  }

  hasAt(partition: string): boolean {
    return this.byPartition.has(partition);
  }

  has(laneId: string, partition: string): boolean {
    return this.lanes.get(laneId)?.tierOf.has(partition) === true;
  }

  /** Whether another partition has an open place. */
  hasElsewhere(partition: string): boolean {
    return this.byPartition.size > (this.byPartition.has(partition) ? 1 : 0);
  }

  /**
   * Whether another partition has a place with an equal right to the room: of another lane, or of no lower priority.
   */
  hasRival({ laneId, partition }: Place): boolean {
    if (!this.hasElsewhere(partition)) return false;
    const lane = this.lanes.get(laneId);
    const own = lane?.tierOf.get(partition);
    if (lane === undefined || own === undefined || this.lanes.size > 1) return true;
    for (const { priority, places } of lane.tiers) {
      if (priority < own.priority) return false;
      if (places.size > (places.has(partition) ? 1 : 0)) return true;
    }
    return false;
  }

  /** Priority of the lane's best work in other partitions; 0 if none is urgent. */
  urgencyElsewhere({ laneId, partition }: Place): number {
    for (const { priority, places } of this.lanes.get(laneId)?.tiers ?? NO_TIERS)
      if (places.size > (places.has(partition) ? 1 : 0)) return Math.max(0, priority);
    return 0;
  }

  /**
   * One of the partitions in which the lane's work is less urgent than at the place; undefined if the place is not
   * urgent.
   */
  lessUrgent({ laneId, partition }: Place, partitions: readonly string[]): string | undefined {
    const lane = this.lanes.get(laneId);
    const priority = lane?.tierOf.get(partition)?.priority ?? 0;
    if (priority === 0) return undefined;
    return partitions.find((other) => (lane?.tierOf.get(other)?.priority ?? -1) < priority);
  }

  private leave(lane: OpenLane, tier: Tier, { partition }: Place): void {
    const place = present(tier.places.get(partition));
    tier.places.delete(partition);
    lane.tierOf.delete(partition);
    if (tier.places.size === 0) lane.tiers = lane.tiers.filter((each) => each !== tier);
    const neighbours = this.byPartition.get(partition);
    neighbours?.delete(place);
    if (neighbours?.size === 0) this.byPartition.delete(partition);
  }
}

function bestOf(
  lane: OpenLane,
  allowed: (place: Place) => boolean,
  focus: readonly string[],
  lowest: number,
): Place | undefined {
  for (const { priority, places } of lane.tiers) {
    if (priority < lowest) return undefined;
    for (const partition of focus) {
      const place = places.get(partition);
      if (place !== undefined && allowed(place)) return place;
    }
    for (const place of places.values()) if (allowed(place)) return place;
  }
  return undefined;
}

function tierFor(lane: OpenLane, priority: number, unseen: boolean): Tier {
  const isBefore = (tier: Tier): boolean =>
    tier.priority > priority || (tier.priority === priority && (tier.unseen || !unseen));
  const position = lane.tiers.filter(isBefore).length;
  const before = lane.tiers[position - 1];
  if (before?.priority === priority && before.unseen === unseen) return before;
  const tier = { priority, unseen, places: new Map<string, Place>() };
  lane.tiers = [...lane.tiers.slice(0, position), tier, ...lane.tiers.slice(position)];
  return tier;
}

function toEnd({ places }: Tier, partition: string): void {
  const place = places.get(partition);
  if (place === undefined || places.size === 1) return;
  places.delete(partition);
  places.set(partition, place);
}
