/** A lane as operators see it: pause, drain and resume it for all processes of the deployment. */
import type { Lane, LaneState } from '../../../model/lane/lane.js';
import type { Backend } from '../../backend/backend.js';
import { changeLane, readLaneEverywhere } from '../../engine/change-lane.js';
import { knownOnly } from '../../shared/known-only.js';
import { laneIdOf } from '../../shared/lane-names.js';
import { askedBy } from './asked-by.js';

/** The requester of a change of a lane, and the reason. Both are recorded in the log. */
export interface LaneRequest {
  /** Why, for the log and for `state()`. Default empty. */
  readonly reason?: string | undefined;
  /** Default `operator`. */
  readonly requestedBy?: string | undefined;
}

export interface AppLaneState {
  /** `mixed` if a change was made in some partitions only: repeat it. */
  readonly state: LaneState | 'mixed';
  /** When it entered this state, ms since the epoch; absent if it was always open. */
  readonly since: number | undefined;
  readonly requestedBy: string | undefined;
  readonly reason: string | undefined;
}

export interface AppLane {
  /** The name, as tasks use it. */
  readonly name: string;
  /**
   * Stops giving work to workers. Running handlers continue; new runs are accepted and wait. Can be repeated.
   * @throws EngineError if the change failed in some partitions; its detail says in which
   */
  pause(request?: LaneRequest): Promise<void>;
  /**
   * Stops accepting runs: creating one is refused with `lane_draining`. Runs already in the lane still go to workers,
   * including retries.
   * @throws EngineError as `pause`
   */
  drain(request?: LaneRequest): Promise<void>;
  /** Accepts and gives work again, and wakes workers. @throws EngineError as `pause` */
  resume(request?: LaneRequest): Promise<void>;
  /** The state of the lane. A lane that never had work is open. */
  state(): Promise<AppLaneState>;
}

interface LaneSource {
  backend(): Promise<Backend>;
  call<T>(command: () => Promise<T>): Promise<T>;
}

const REQUEST = { reason: true, requestedBy: true } as const;

export class LaneOfApp implements AppLane {
  private readonly laneId: string;

  constructor(
    readonly name: string,
    private readonly source: LaneSource,
  ) {
    this.laneId = laneIdOf(name, 'app.lane()', 'name');
  }

  pause(request: LaneRequest = {}): Promise<void> {
    return this.change('paused', request);
  }

  drain(request: LaneRequest = {}): Promise<void> {
    return this.change('draining', request);
  }

  resume(request: LaneRequest = {}): Promise<void> {
    return this.change('open', request);
  }

  async state(): Promise<AppLaneState> {
    const { source, laneId } = this;
    const backend = await source.backend();
    const lanes = await readLaneEverywhere(backend, laneId, (read) => source.call(read));
    const last = lanes.reduce((a, b) => ((b.stateChangedAt ?? 0) > (a.stateChangedAt ?? 0) ? b : a));
    const { laneState, stateChangedAt, stateChangedBy, stateReason }: Lane = last;
    return {
      state: lanes.every((lane) => lane.laneState === laneState) ? laneState : 'mixed',
      since: stateChangedAt,
      requestedBy: stateChangedBy || undefined,
      reason: stateReason || undefined,
    };
  }

  private async change(to: LaneState, request: LaneRequest): Promise<void> {
    const { source, laneId } = this;
    knownOnly<LaneRequest>(`The lane "${this.name}"`, request, REQUEST);
    const asked = askedBy(`The lane "${this.name}"`, request);
    await changeLane(await source.backend(), { laneId, to, ...asked }, (command) => source.call(command));
  }
}
