/**
 * `npm run mutate`: breaks the engine one place at a time and asks the differential run whether it notices. Options:
 * `--sample N` (default 400), `--seed S` (default 1), `--all`, `--only TEXT` (part of the file name), `--jobs N`
 * (default 2), `--runs N` (budget of a mutant). Ends with status 1 when the score is below 90 %.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BUDGET, type Verdict } from './judge.js';
import { allMutants, sampleOf, type Mutant } from './mutants.js';
import { HANGS, Slot } from './slot.js';

const { values } = parseArgs({
  options: {
    sample: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    all: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '2' },
    runs: { type: 'string', default: String(BUDGET.runs) },
  },
});

const GOAL = 0.9;
const PROGRESS_EVERY = 25;

interface Equivalent {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

const equivalents = JSON.parse(readFileSync(new URL('equivalent.json', import.meta.url), 'utf8')) as Equivalent[];
const reasonOf = (mutant: Mutant): string | undefined =>
  equivalents.find(
    ({ file, before, after }) => file === mutant.file && before === mutant.before && after === mutant.after,
  )?.reason;

const started = performance.now();
const seconds = (): string => `${((performance.now() - started) / 1_000).toFixed(0)} s`;

const candidates = allMutants().filter(({ file }) => file.includes(values.only));
const chosen = values.all ? candidates : sampleOf(candidates, Number(values.sample), Number(values.seed));
const excused = chosen.filter((mutant) => reasonOf(mutant) !== undefined);
const queue = chosen.filter((mutant) => reasonOf(mutant) === undefined);
const verdicts: { mutant: Mutant; verdict: Verdict }[] = [];
console.log(
  `${candidates.length} mutants, ${chosen.length} chosen (seed ${values.seed}), ${excused.length} known to be equivalent or out of sight`,
);

const slots = Array.from({ length: Number(values.jobs) }, () => new Slot({ ...BUDGET, runs: Number(values.runs) }));

async function work(slot: Slot, originalMs: number): Promise<void> {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const verdict = await slot.judge(mutant, originalMs);
    verdicts.push({ mutant, verdict });
    const hangs = verdict.kind === 'killed' && verdict.by === HANGS;
    if (verdict.kind === 'survived' || hangs)
      console.log(
        `${hangs ? 'hangs   ' : 'survived'}  ${mutant.file}:${mutant.line}\n    - ${mutant.before}\n    + ${mutant.after}`,
      );
    if (verdicts.length % PROGRESS_EVERY === 0)
      console.log(`${verdicts.length} judged, ${queue.length} to go (${seconds()})`);
  }
}

try {
  const originalMs = await (slots[0] as Slot).judgeOriginal();
  console.log(`the unbroken engine passes (${seconds()})`);
  await Promise.all(slots.map((slot) => work(slot, originalMs)));
} finally {
  await Promise.all(slots.map((slot) => slot.close()));
}

const count = (language: string, kind: Verdict['kind']): number =>
  verdicts.filter(({ mutant, verdict }) => (language === '' || mutant.language === language) && verdict.kind === kind)
    .length;
const score = (language: string): number =>
  count(language, 'killed') / Math.max(1, count(language, 'killed') + count(language, 'survived'));
for (const [name, language] of [
  ['Lua', 'lua'],
  ['model', 'ts'],
  ['all', ''],
] as const) {
  console.log(
    `${name.padEnd(6)} ${count(language, 'killed')} killed, ${count(language, 'survived')} survived, ${count(language, 'stillborn')} do not load: ${(score(language) * 100).toFixed(1)} %`,
  );
}
const runs = verdicts
  .flatMap(({ verdict }) => (verdict.kind === 'killed' && verdict.run > 0 ? [verdict.run] : []))
  .sort((a, b) => a - b);
console.log(
  `killed in run ${runs[Math.floor(runs.length / 2)] ?? 0} (median), ${runs[Math.floor(runs.length * 0.95)] ?? 0} (95 %) of ${values.runs}; ${seconds()}`,
);
process.exit(score('') >= GOAL ? 0 : 1);
