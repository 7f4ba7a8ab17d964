/**
 * The end of a turn of the event loop. Everything that waits for it shares one tick of Node: in code that is not yet
 * compiled, a tick costs more than most of what runs in it.
 *
 * First the actions run, which may issue calls; then the calls of the turn are sent. So the ending of a handler, the
 * claim for its slot and what else the turn has issued for a partition leave together.
 */

const actions: (() => void)[] = [];
const sends: (() => void)[] = [];
let isScheduled = false;

/** Calls the function when this turn ends. In a promise's reaction, that is after all reactions of the turn. */
export function atTurnEnd(action: () => void): void {
  actions.push(action);
  schedule();
}

/** Calls the function when this turn has ended, after the actions of its end. */
export function sendAtTurnEnd(send: () => void): void {
  sends.push(send);
  schedule();
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  process.nextTick(end);
}

function end(): void {
  try {
    for (let next = takeNext(); next !== undefined; next = takeNext()) next();
  } finally {
    isScheduled = false;
    // An error is thrown to the process. It does not keep the others from running.
    if (actions.length + sends.length > 0) schedule();
  }
}

const takeNext = (): (() => void) | undefined => actions.shift() ?? sends.shift();
