/** What each event of a grant does to its execution. The Lua twins are in `lua/grant/events.lua`. */
import { changes } from '../core/entity.js';
import { endGrant } from '../execution/lifecycle.js';
import type { ExecutionRecipe } from '../execution/recipes.js';
import type { grantEvents } from './events.js';

type Recipes = { [Type in keyof typeof grantEvents]: ExecutionRecipe<Type> };

export const grantRecipes: Recipes = {
  grant_issued: changes((execution, event) => {
    execution.grantExpiresAt = event.grantExpiresAt;
    execution.grantId = event.grantId;
    execution.grantWorkerId = event.grantWorkerId;
    execution.grantWorkerInstanceId = event.grantWorkerInstanceId;
    execution.grantIsStrict = event.grantIsStrict;
  }),
  grant_lapsed: changes(endGrant),
};
