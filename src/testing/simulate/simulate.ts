/** Simulates crashes and lost calls under the handlers of an app. */
import type { SimulatedCode, SimulatedSource, SimulationScenario, SimulateOptions, SimulateReport } from './api.js';
import { simulateOn } from './campaign.js';

/**
 * Plays a scenario many times in a simulated deployment, in which each worker is a process of its own that crashes, stands
 * still and loses calls; the first time without faults. It fails if the scenario throws, if a run comes to no end, if a
 * rejection is handled by nobody, or if a step is repeated whose value was stored. What failed is shrunk to as few faults
 * as possible, and told as a story with the call that plays it again.
 *
 * The same seed gives the same runs, as long as the scenario and the handlers wait for nothing but the engine and `takes`,
 * and begin every time with fresh fakes.
 *
 * @param code the app; or a function that defines it anew for each process, which then share no memory
 * @throws SimulationError for the first failure
 * @throws InvalidDefinitionError for an unknown or invalid option, and if the app was used before
 * @example
 * await simulate(shop, async (t) => {
 *   bank.reset();
 *   await shop.worker();
 *   const run = await charge.run({ order: 'o1' });
 *   await t.settled();
 *   expect(await run.state()).toBe('completed');
 *   expect(bank.charges).toHaveLength(1);
 * });
 */
export async function simulate<Defined extends SimulatedCode>(
  code: SimulatedSource<Defined>,
  scenario: SimulationScenario<Defined>,
  options: SimulateOptions = {},
): Promise<SimulateReport> {
  return simulateOn(undefined, code, scenario, options);
}
