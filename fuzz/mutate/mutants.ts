/** The mutants of the engine: the files to break, and how a mutant is shown to a person. */
import { readdirSync, readFileSync } from 'node:fs';
import { luaFiles } from '../../lua/files.js';
import type { Language } from '../../lua/tokens.js';
import { sourcesOf } from './groups.js';
import { editsOf } from './operators.js';
import { ROOT } from './tree.js';

export interface Mutant {
  /** One of the groups of `groups.ts`. */
  readonly group: string;
  readonly language: Language;
  /** Path from the top of the project. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** The line before and after, trimmed; empty for a deleted line. */
  readonly before: string;
  readonly after: string;
  /** The whole text of the broken file. */
  readonly source: string;
}

/** Lua that the differential run cannot judge: test builds replace the clocks, and `main.lua` registers functions. */
const UNJUDGED_LUA = new Set(['core/clock.lua', 'core/virtual-clock.lua', 'main.lua']);

/**
 * What the model decides and folds. Not included: declarations from which both sides are made (schemas, limits, ids,
 * errors), and code that both sides run on their stored facts (`execution/projections.ts`, `execution/reads.ts`),
 * because a change there affects both sides equally.
 */
const MODEL_FILES = [
  'evolve.ts',
  'execute.ts',
  'state.ts',
  'execution/cancel.ts',
  'execution/complete.ts',
  'execution/create.ts',
  'execution/delay.ts',
  'execution/expire.ts',
  'execution/fail.ts',
  'execution/parking.ts',
  'execution/policy.ts',
  'execution/progress.ts',
  'execution/promote.ts',
  'execution/purge.ts',
  'execution/recipes.ts',
  'execution/retry.ts',
  'execution/lifecycle.ts',
  'execution/situation.ts',
  'execution/timeouts.ts',
  'lease/begin.ts',
  'lease/fence.ts',
  'lease/mark-expired.ts',
  'lease/recipes.ts',
  'lease/release.ts',
  'lease/renew.ts',
  'lease/revoke.ts',
  'schedule/apply-due.ts',
  'schedule/acquire.ts',
  'schedule/claim.ts',
  'schedule/queue.ts',
  'schedule/retention.ts',
  'schedule/timers.ts',
];

/** Domains of which every file is broken, except those shared by both sides. */
const MODEL_DOMAINS = [
  'budget',
  'flow',
  'grant',
  'lane',
  'metering',
  'quota',
  'step',
  'stream',
  'suspension',
  'worker',
];
const DECLARING = /^(?:events|facts|fields|(?:\w+-)?invariants|reads|listings|view|watch)\.ts$/;

/** Every mutant of a group, file by file. */
export function mutantsOfGroup(group: string): Mutant[] {
  switch (group) {
    case 'lua': {
      const repair = new Set(sourcesOf('repair'));
      return Object.entries(luaFiles())
        .filter(([path]) => !UNJUDGED_LUA.has(path) && !repair.has(`lua/${path}`))
        .flatMap(([path, source]) => mutantsOf(group, 'lua', `lua/${path}`, source));
    }
    case 'model':
      return [...MODEL_FILES, ...MODEL_DOMAINS.flatMap(filesOfDomain)].flatMap((path) =>
        mutantsOf(group, 'ts', `model/${path}`, readFileSync(`${ROOT}model/${path}`, 'utf8')),
      );
    default:
      return sourcesOf(group).flatMap((path) =>
        mutantsOf(group, path.endsWith('.lua') ? 'lua' : 'ts', path, readFileSync(ROOT + path, 'utf8')),
      );
  }
}

const filesOfDomain = (domain: string): string[] =>
  readdirSync(`${ROOT}model/${domain}`)
    .filter((name) => !DECLARING.test(name))
    .map((name) => `${domain}/${name}`);

function mutantsOf(group: string, language: Language, file: string, source: string): Mutant[] {
  const seen = new Set<string>();
  return editsOf(source, language).flatMap(({ start, end, text }) => {
    const mutated = source.slice(0, start) + text + source.slice(end);
    if (mutated === source || seen.has(mutated)) return [];
    seen.add(mutated);
    const line = source.slice(0, start).split('\n').length;
    const [before, after] = [lineAt(source, line), lineAt(mutated, line)];
    return [{ group, language, file, line, before, after, source: mutated }];
  });
}

const lineAt = (source: string, line: number): string => (source.split('\n')[line - 1] ?? '').trim();

/** A reproducible sample: every n-th of a shuffled order. */
export function sampleOf<Item>(items: readonly Item[], count: number, seed: number): Item[] {
  const shuffled = [...items];
  let state = seed >>> 0;
  for (let i = shuffled.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [shuffled[i], shuffled[j]] = [shuffled[j] as Item, shuffled[i] as Item];
  }
  return shuffled.slice(0, count);
}
