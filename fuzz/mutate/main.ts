/**
 * `npm run mutate`: breaks the sources one place at a time and checks that a test notices: the differential run for
 * `lua/` and `model/`, the tests near a file for the rest (`groups.ts`). Ends with status 1 when the score of a group is
 * below 90 %.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { MACHINE_GROUPS, SOURCE_GROUPS } from './groups.js';
import { Compiler } from './compiler.js';
import { BUDGET } from './judge.js';
import { Known } from './known.js';
import { mutantsOfGroup, sampleOf, type Mutant } from './mutants.js';
import { Slot } from './slot.js';
import { Suite } from './suite.js';
import { HANGS, type Verdict } from './verdict.js';

const USAGE = `npm run mutate -- [options]
  --group <names>     groups, separated by commas; src means all that tests judge; default all:
                      ${[...MACHINE_GROUPS, ...SOURCE_GROUPS].join(', ')}
  --sample <number>   mutants of each group that compile and are not known to be equivalent; default 40
  --all               every mutant instead of a sample
  --only <text>       only files whose path contains the text
  --seed <number>     of the sample; default 1
  --jobs <number>     mutants judged at once; default 2
  --runs <number>     differential runs for a mutant of the machine; default ${BUDGET.runs}
  --fresh             ignore the verdicts of earlier runs
  --by                also print which test noticed each mutant`;

const { values } = parseArgs({
  options: {
    group: { type: 'string', default: [...MACHINE_GROUPS, 'src'].join() },
    sample: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    all: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '2' },
    runs: { type: 'string', default: String(BUDGET.runs) },
    fresh: { type: 'boolean', default: false },
    by: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

const GOAL = 0.9;
const PROGRESS_EVERY = 10;
const GROUPS: readonly string[] = [...MACHINE_GROUPS, ...SOURCE_GROUPS];

interface Equivalent {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

interface Judge {
  judge(mutant: Mutant): Promise<Verdict>;
  close(): Promise<void>;
}

interface Judged {
  readonly mutant: Mutant;
  readonly verdict: Verdict;
}

const equivalents = JSON.parse(readFileSync(new URL('equivalent.json', import.meta.url), 'utf8')) as Equivalent[];
const isEquivalent = (mutant: Mutant): boolean =>
  equivalents.some(
    ({ file, before, after }) => file === mutant.file && before === mutant.before && after === mutant.after,
  );

const started = performance.now();
const seconds = (): string => `${((performance.now() - started) / 1_000).toFixed(0)} s`;
const known = new Known(values.fresh);
let compiler: Compiler | undefined;
/** How many known equivalents were met, by group. */
const equivalent = new Map<string, number>();
const judges: { readonly machine: Judge[]; readonly sources: Judge[] } = { machine: [], sources: [] };

/** Judges are created when needed, and serve all groups of their kind. */
function judgesOf(group: string): Judge[] {
  const isMachine = (MACHINE_GROUPS as readonly string[]).includes(group);
  const own = isMachine ? judges.machine : judges.sources;
  while (own.length < Number(values.jobs))
    own.push(isMachine ? new Slot({ ...BUDGET, runs: Number(values.runs) }) : new Suite());
  return own;
}

/** A mutant that does not compile tells nothing about the tests. Only a survivor is worth compiling every source. */
async function verdictOn(mutant: Mutant, judge: Judge): Promise<Verdict> {
  if (mutant.language === 'lua') return judge.judge(mutant);
  compiler ??= new Compiler();
  const complaint = await compiler.complaintAbout(mutant);
  if (complaint !== undefined) return { kind: 'stillborn', because: complaint };
  const verdict = await judge.judge(mutant);
  const late = verdict.kind === 'survived' ? await compiler.complaintAnywhere(mutant) : undefined;
  return late === undefined ? verdict : { kind: 'stillborn', because: late };
}

function tell({ mutant, verdict }: Judged): void {
  const hangs = verdict.kind === 'killed' && verdict.by === HANGS;
  const change = `${mutant.file}:${mutant.line}\n    - ${mutant.before}\n    + ${mutant.after}`;
  if (verdict.kind === 'survived' || hangs) console.log(`${hangs ? 'hangs   ' : 'survived'}  ${change}`);
  else if (values.by)
    console.log(`${verdict.kind}  ${change}\n    ${verdict.kind === 'killed' ? verdict.by : verdict.because}`);
}

async function judgeGroup(group: string): Promise<Judged[]> {
  const candidates = mutantsOfGroup(group).filter(({ file }) => file.includes(values.only));
  const queue = values.all ? candidates : sampleOf(candidates, candidates.length, Number(values.seed));
  console.log(`\n${group}: ${queue.length} mutants, seed ${values.seed}`);
  // Only mutants that compile count towards the sample.
  let wanted = values.all ? queue.length : Math.min(queue.length, Number(values.sample));
  const judged: Judged[] = [];
  const work = async (judge: Judge): Promise<void> => {
    while (wanted > 0) {
      const mutant = queue.shift();
      if (mutant === undefined) return;
      if (isEquivalent(mutant)) {
        equivalent.set(group, (equivalent.get(group) ?? 0) + 1);
        continue;
      }
      wanted--;
      const before = known.verdictOf(mutant);
      const verdict = before ?? (await verdictOn(mutant, judge));
      if (before === undefined) known.add(mutant, verdict);
      if (verdict.kind === 'stillborn') wanted++;
      judged.push({ mutant, verdict });
      tell({ mutant, verdict });
      if (judged.length % PROGRESS_EVERY === 0) console.log(`${Math.min(wanted, queue.length)} to go (${seconds()})`);
    }
  };
  await Promise.all(judgesOf(group).map(work));
  return judged;
}

const count = (judged: readonly Judged[], kind: Verdict['kind']): number =>
  judged.filter(({ verdict }) => verdict.kind === kind).length;
const scoreOf = (judged: readonly Judged[]): number => {
  const [killed, survived] = [count(judged, 'killed'), count(judged, 'survived')];
  return killed + survived === 0 ? 1 : killed / (killed + survived);
};

function summary(group: string, judged: readonly Judged[]): string {
  const [killed, survived] = [count(judged, 'killed'), count(judged, 'survived')];
  return `${group.padEnd(12)} ${killed} of ${killed + survived} detected: ${(scoreOf(judged) * 100).toFixed(1)} %; ${count(judged, 'stillborn')} do not compile or load, ${equivalent.get(group) ?? 0} are known to be equivalent`;
}

const wanted = values.group.split(',').flatMap((name) => (name === 'src' ? SOURCE_GROUPS : [name]));
const unknown = wanted.find((name) => !GROUPS.includes(name));
if (unknown !== undefined)
  throw new Error(`--group ${unknown}: there are ${GROUPS.join(', ')}, and src for all that tests judge.`);

const results = new Map<string, Judged[]>();
let isDone = false;
process.on('exit', (status) => {
  if (!isDone) console.error(`Ended with status ${status} after ${seconds()}, before every mutant was judged.`);
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    console.error(`Stopped by ${signal}.`);
    process.exit(1);
  });
try {
  for (const group of wanted) results.set(group, await judgeGroup(group));
} finally {
  await Promise.all([...judges.machine, ...judges.sources].map((judge) => judge.close()));
  await compiler?.close();
}
console.log();
for (const [group, judged] of results) console.log(summary(group, judged));
console.log(summary('all', [...results.values()].flat()));
const runs = [...results.values()]
  .flat()
  .flatMap(({ verdict }) => (verdict.kind === 'killed' && verdict.run > 0 ? [verdict.run] : []))
  .sort((a, b) => a - b);
if (runs.length > 0)
  console.log(
    `machine: killed in run ${runs[Math.floor(runs.length / 2)] ?? 0} (median), ${runs[Math.floor(runs.length * 0.95)] ?? 0} (95 %) of ${values.runs}`,
  );
console.log(seconds());
isDone = true;
process.exit([...results.values()].every((judged) => scoreOf(judged) >= GOAL) ? 0 : 1);
