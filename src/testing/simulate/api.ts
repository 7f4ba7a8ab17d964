/** What users see of a simulation. */
import type { App } from '../../app/index.js';
import type { Backend } from '../../backend/backend.js';
import type { Duration } from '../../shared/duration.js';
import { share } from '../../util/brand.js';
import type { PlacedFault, SimulatedFault } from './schedule.js';

/** What a scenario gets. Time passes by itself, as far as the scenario waits for something. */
export interface Simulation {
  /** The app, as the process of the scenario has it. */
  readonly app: App;
  /** The store itself: no fault is between it and the scenario. */
  readonly backend: Backend;
  /** The virtual time, ms since the epoch. */
  now(): number;
  /** Lets time pass. */
  advance(duration: Duration): Promise<void>;
  /**
   * Lets time pass until every run has ended or waits, every process runs again that stood still, and all of it has stayed
   * so for five seconds. Look at what your fakes have counted after that: a worker that lost its run can do harm later.
   */
  settled(): Promise<void>;
  /**
   * For your fakes of the world outside: takes this much virtual time in the process that calls it, and never resolves if
   * that process dies meanwhile.
   */
  takes(duration: Duration): Promise<void>;
}

export interface SimulateOptions {
  /** How many times the scenario is played, besides once without faults. Default 100. */
  readonly runs?: number | undefined;
  /** Seed of the first run; each further run has the next one. Default 1. */
  readonly seed?: number | undefined;
  /** The kinds of faults. Default all. */
  readonly faults?: readonly SimulatedFault[] | undefined;
  /** Plays the scenario once, with exactly these faults, as a failure printed them; not with `runs` or `faults`. */
  readonly schedule?: readonly PlacedFault[] | undefined;
}

export interface SimulateReport {
  /** How many times the scenario was played, once without faults included. */
  readonly runs: number;
  /** How many faults it met. */
  readonly faults: number;
}

/** `simulation_failed`: a scenario has failed. Its `cause` is what the scenario threw. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
  readonly code = 'simulation_failed';
  readonly hint = 'Play it again with its `seed` and `schedule`, and mend the handler or the scenario.';
  readonly retryable = false;

  constructor(
    message: string,
    /** With these it fails again: `simulate(app, scenario, { seed, schedule })`. */
    readonly seed: number,
    readonly schedule: readonly PlacedFault[],
    /** What happened, line by line. */
    readonly story: string,
    cause: unknown,
  ) {
    super(message, { cause });
  }
}

share({ SimulationError });

/** The code of one process: its app, or an object with the app and what else a scenario needs. */
export type SimulatedCode = App | { readonly app: App };
/** The code that all processes share, or a function that gives each process its own. */
export type SimulatedSource<Defined> = Defined | (() => Defined | Promise<Defined>);
/** What is played; `defined` is the code of its own process. */
export type SimulationScenario<Defined> = (t: Simulation, defined: Defined) => unknown;
