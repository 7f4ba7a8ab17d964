/** Decodes the stored counts of a lane: a number by the letter of a situation, and the number of held executions. */
import { COUNTED_HELD } from '../../../lua/layout.js';
import { EngineError } from '../../../model/errors.js';
import { SITUATIONS, SITUATION_NAMES, type Situation } from '../../../model/execution/situation.js';
import type { Tally } from '../../../model/schedule/counts.js';

const SITUATION_OF: ReadonlyMap<string, Situation> = new Map(
  SITUATION_NAMES.map((situation) => [SITUATIONS[situation].letter, situation]),
);

/**
 * The tally of a lane. Letters of a newer build are ignored.
 * @throws EngineError `corruption` for an invalid count: the hash was damaged, or other software wrote to it
 */
export function decodeTally(laneId: string, stored: ReadonlyMap<string, string>): Tally {
  const situations = new Map<Situation, number>();
  let held = 0;
  for (const [letter, text] of stored) {
    const number = Number(text);
    if (!Number.isSafeInteger(number) || number < 0 || text === '')
      throw new EngineError('corruption', `The counts of lane "${laneId}" are invalid.`);
    const situation = SITUATION_OF.get(letter);
    if (letter === COUNTED_HELD) held = number;
    else if (situation !== undefined && number > 0) situations.set(situation, number);
  }
  return { situations, held };
}
