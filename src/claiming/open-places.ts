/**
 * The places that one planner has leads for, and whose turn it is. Lanes take turns; within a lane the highest priority
 * comes first; among equals come places that are owed a look, then those in focus, then the others in turn.
 *
 * Priorities of different lanes are not compared: a lane whose work is all urgent must not starve the others.
 */
import type { Place } from './place.js';

/** Places of a lane that come up together. */
interface Tier {
  readonly priority: number;
  readonly unseen: boolean;
  /** By partition, in turn. */
  readonly places: Map<string, Place>;
}

/** The open places of a lane. */
interface OpenLane {
  /** Best first; few. */
  tiers: Tier[];
  readonly tierOf: Map<string, Tier>;
  /** The priority that the last claim in the lane went for. */
  working: number;
}

const NO_TIERS: readonly Tier[] = [];

export class OpenPlaces {
  /** In turn. */
  private readonly lanes = new Map<string, OpenLane>();
  private readonly byPartition = new Map<string, Set<Place>>();
  /** Lanes that have work of a higher priority than they had when a claim was last made for them: they come first. */
  private readonly raised = new Set<string>();

  get isEmpty(): boolean {
    return this.lanes.size === 0;
  }

  get hasRaised(): boolean {
    return this.raised.size > 0;
  }

  /** Whether the place is one of those that make its lane come first. */
  isRaised({ laneId, partition }: Place): boolean {
    const lane = this.lanes.get(laneId);
    return this.raised.has(laneId) && (lane?.tierOf.get(partition)?.priority ?? 0) > (lane?.working ?? 0);
  }

  /** The place has leads, of this priority at best. */
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

  /** The place has no leads any more. */
  close(place: Place): void {
    const lane = this.lanes.get(place.laneId);
    const tier = lane?.tierOf.get(place.partition);
    if (lane === undefined || tier === undefined) return;
    this.leave(lane, tier, place);
    if (lane.tiers.length > 0) return;
    this.lanes.delete(place.laneId);
    this.raised.delete(place.laneId);
  }

  /** The place whose turn it is among those that are allowed; one in focus before its equals. */
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

  /** A claim goes to the place. Its lane has had its turn and, unless it is in focus, so has the place within the lane. */
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

  /** Whether any partition but this one has an open place. */
  hasElsewhere(partition: string): boolean {
    return this.byPartition.size > (this.byPartition.has(partition) ? 1 : 0);
  }

  /** Whether other partitions have a place with an equal claim to the room: of another lane, or of no lower priority. */
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

  /** Priority of the best work that the lane has in other partitions; 0 when nothing there is urgent. */
  urgencyElsewhere({ laneId, partition }: Place): number {
    for (const { priority, places } of this.lanes.get(laneId)?.tiers ?? NO_TIERS)
      if (places.size > (places.has(partition) ? 1 : 0)) return Math.max(0, priority);
    return 0;
  }

  /** Of these partitions, one in which the lane has no work as urgent as at the place; none when the place is not urgent. */
  lessUrgent({ laneId, partition }: Place, partitions: readonly string[]): string | undefined {
    const lane = this.lanes.get(laneId);
    const priority = lane?.tierOf.get(partition)?.priority ?? 0;
    if (priority === 0) return undefined;
    return partitions.find((other) => (lane?.tierOf.get(other)?.priority ?? -1) < priority);
  }

  private leave(lane: OpenLane, tier: Tier, { partition }: Place): void {
    const place = tier.places.get(partition) as Place;
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
