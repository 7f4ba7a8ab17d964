/** Counts a recorded step in its execution. The Lua twin is in `lua/step/events.lua`. */
import { changes } from '../core/entity.js';
import type { ExecutionRecipe } from '../execution/recipes.js';
import type { stepEvents } from './events.js';

type Recipes = { [Type in keyof typeof stepEvents]: ExecutionRecipe<Type> };

export const stepRecipes: Recipes = {
  step_recorded: changes((execution, event) => {
    execution.stepCount += 1;
    execution.stepBytes += event.valueBytes ?? 0;
  }),
};
