/** What is asked of a situation in every transition is answered without the table, and must say what the table says. */
import { describe, expect, it } from 'vitest';
import {
  isActiveSituation,
  isClaimable,
  isDelayed,
  isRunnable,
  isTerminal,
  SITUATION_NAMES,
  SITUATIONS,
} from '../../model/execution/situation.js';

describe('the predicates of a situation', () => {
  it.each(SITUATION_NAMES)('agree with the table: %s', (situation) => {
    const { phase, ownership, eligibility } = SITUATIONS[situation];
    expect({
      runnable: isRunnable(situation),
      active: isActiveSituation(situation),
      terminal: isTerminal(situation),
      delayed: isDelayed(situation),
      claimable: isClaimable(situation),
    }).toEqual({
      runnable: phase === 'runnable',
      active: phase === 'active',
      terminal: phase === 'terminal',
      delayed: eligibility === 'not_eligible_until_time',
      claimable: eligibility === 'eligible_now' || (phase === 'active' && ownership !== 'leased'),
    });
  });
});
