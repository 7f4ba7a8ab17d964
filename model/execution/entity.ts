/** The execution as an entity: its facts, its recipes, its timer. */
import { entity } from '../core/entity.js';
import { flowRecipes } from '../flow/recipes.js';
import { grantRecipes } from '../grant/recipes.js';
import { leaseRecipes } from '../lease/recipes.js';
import { nextTimerAt } from '../schedule/timers.js';
import { suspensionRecipes } from '../suspension/recipes.js';
import { stepRecipes } from '../step/recipes.js';
import { EXECUTION, executionFacts, type ReadonlyExecution } from './facts.js';
import { executionRecipes } from './recipes.js';

export const executionEntity = entity({
  subject: EXECUTION,
  facts: executionFacts,
  recipes: {
    ...executionRecipes,
    ...leaseRecipes,
    ...grantRecipes,
    ...suspensionRecipes,
    ...stepRecipes,
    ...flowRecipes,
  },
  timerOf: (execution: ReadonlyExecution) => nextTimerAt(execution),
});
