/** Plays a scenario of a user's app many times, each time with other faults, and shrinks what fails to a story. */
import { LIMITS } from '../../../model/limits.js';
import { insideOf } from '../../app/app.js';
import type { App } from '../../app/index.js';
import { checkWhole, refuse } from '../../shared/checks.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { reasonOf } from '../../util/failure-text.js';
import { refuseFakeTimers } from '../real-timers.js';
import { seededRandom } from '../simulation/random.js';
import {
  SimulationError,
  type SimulatedCode,
  type SimulatedSource,
  type SimulationScenario,
  type SimulateOptions,
  type SimulateReport,
  type Simulation,
} from './api.js';
import { Deployment, type Code, type DeploymentOptions, type Inside } from './deployment.js';
import { ALL_FAULTS, faultsAt, schedules, type PlacedFault } from './schedule.js';

const OPTIONS = { runs: true, seed: true, faults: true, schedule: true } as const;
const DEFAULT_RUNS = 100;

interface Played {
  readonly seed: number;
  readonly schedule: readonly PlacedFault[];
  readonly deployment: Deployment;
}

/** Simulates on a store of any kind: see `simulate`. */
export async function simulateOn<Defined extends SimulatedCode>(
  openStore: DeploymentOptions['openStore'],
  code: SimulatedSource<Defined>,
  scenario: SimulationScenario<Defined>,
  options: SimulateOptions,
): Promise<SimulateReport> {
  refuseFakeTimers('simulate');
  if (typeof scenario !== 'function') throw refuse('simulate', 'the scenario', 'a function', scenario);
  checkOptions(options);
  const { runs = DEFAULT_RUNS, seed: first = 1, faults = ALL_FAULTS } = options;
  const [loader, definedBy] = loaderOf(code);
  const play = async (seed: number, schedule: readonly PlacedFault[]): Promise<Played> => {
    const deployment = new Deployment({ code: loader, seed, schedule, openStore });
    await deployment.play((inside) => scenario(simulationOf(deployment, inside), definedBy(inside)));
    return { seed, schedule, deployment };
  };
  let total = 0;
  const judged = async (played: Played): Promise<void> => {
    total += played.deployment.faults;
    if (played.deployment.failure !== undefined) throw await failureOf(played, play);
  };
  if (options.schedule !== undefined) {
    await judged(await play(first, options.schedule));
    return { runs: 1, faults: total };
  }
  const calm = await play(first, []);
  await judged(calm);
  let seed = first;
  for (const schedule of schedules(faults, calm.deployment.calls, runs, seededRandom(first)))
    await judged(await play(seed++, schedule));
  return { runs: runs + 1, faults: total };
}

function checkOptions(options: SimulateOptions): void {
  knownOnly<SimulateOptions>('simulate', options, OPTIONS);
  checkWhole('simulate', 'runs', options.runs, 1, LIMITS.maxInteger);
  checkWhole('simulate', 'seed', options.seed, 0, LIMITS.maxInteger);
  const { faults = ALL_FAULTS, schedule = [] } = options;
  if (!Array.isArray(faults) || faults.length === 0 || !faults.every((each) => ALL_FAULTS.includes(each)))
    throw refuse('simulate', 'faults', `a list of ${ALL_FAULTS.join(', ')}`, faults);
  if (!Array.isArray(schedule)) throw refuse('simulate', 'schedule', 'a list', schedule);
  faultsAt(schedule);
  const unused = (['runs', 'faults'] as const).find((name) => options[name] !== undefined);
  if (options.schedule !== undefined && unused !== undefined)
    throw new InvalidDefinitionError(
      `simulate: give schedule or ${unused}, not both`,
      'A schedule is played once, with exactly its faults.',
    );
}

/** Loads the code for a process; and what was loaded with an app. */
function loaderOf<Defined extends SimulatedCode>(code: SimulatedSource<Defined>): [Code, (inside: Inside) => Defined] {
  const loaded = new WeakMap<Inside, Defined>();
  const isShared = typeof code !== 'function';
  const load = async (): Promise<Inside> => {
    const defined = isShared ? code : await code();
    const inside = insideOf(defined) ?? insideOf((defined as { readonly app: App } | undefined)?.app as App);
    if (inside === undefined)
      throw refuse('simulate', 'the code', 'an app, { app }, or a function that returns one of them', defined);
    if (!isShared && loaded.has(inside))
      throw new InvalidDefinitionError(
        'simulate: the function returned the same app for two processes',
        'Define the app anew in each call of the function; or pass the app itself, if its processes may share memory.',
      );
    loaded.set(inside, defined);
    return inside;
  };
  return [{ load, isShared }, (inside) => loaded.get(inside) as Defined];
}

function simulationOf(deployment: Deployment, inside: Inside): Simulation {
  return {
    app: inside,
    backend: deployment.server.store,
    now: deployment.scheduler.now,
    advance: (duration) => deployment.advance(duration),
    settled: () => deployment.settled(),
    takes: (duration) => deployment.takes(duration),
  };
}

/** The same with one fault less, or with a crash in place of a pause. */
function* simpler(schedule: readonly PlacedFault[]): Generator<readonly PlacedFault[]> {
  if (schedule.length > 1) for (const at of schedule.keys()) yield schedule.toSpliced(at, 1);
  for (const [at, fault] of schedule.entries())
    if (fault.startsWith('pause')) yield schedule.with(at, fault.replace('pause', 'crash') as PlacedFault);
}

/** Makes the faults fewer and simpler as long as it still fails, and tells what is left. */
async function failureOf(
  failed: Played,
  play: (seed: number, schedule: readonly PlacedFault[]) => Promise<Played>,
): Promise<SimulationError> {
  let best = failed;
  for (let isSimplest = false; !isSimplest; ) {
    isSimplest = true;
    for (const schedule of simpler(best.schedule)) {
      const played = await play(best.seed, schedule);
      if (played.deployment.failure === undefined) continue;
      best = played;
      isSimplest = false;
      break;
    }
  }
  const again = await play(best.seed, best.schedule);
  const { seed, schedule } = best;
  const { story, failure } = best.deployment;
  const count =
    schedule.length === 0 ? 'out any fault' : schedule.length === 1 ? ' one fault' : ` ${schedule.length} faults`;
  const places = schedule.map((each) => `'${each}'`).join(', ');
  const message = [
    `The scenario fails with${count}: ${reasonOf(failure?.error)}`,
    '',
    String(story),
    '',
    `Again: await simulate(..., { seed: ${seed}, schedule: [${places}] });`,
    ...(again.deployment.failure === undefined
      ? ['It did not fail again: it depends on real time, on chance, or on what an earlier run has left.']
      : []),
  ].join('\n');
  return new SimulationError(message, seed, schedule, String(story), failure?.error);
}
