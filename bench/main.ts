import { writeFile } from 'node:fs/promises';
import { goals, type Goal } from './goals.js';
import { describeMachine } from './machine.js';
import { readOptions, type Options } from './options.js';
import { toMarkdown, type Report } from './report.js';
import type { Row } from './rows.js';
import { withServer, type Scenario, type ScenarioContext } from './scenario.js';
import { scenarios } from './scenarios/index.js';
import { boundText, judge } from './verdict.js';

const USAGE = 'npm run bench -- [scenario ...] [--runs N] [--quick] [--list] [--json FILE] [--markdown FILE]';

const goalsOf = ({ name }: Pick<Scenario, 'name'>): Goal[] => goals.filter(({ scenario }) => scenario === name);

/** Every scenario with the goals that it judges. */
function listText(): string {
  const lines = scenarios.flatMap(({ name, title }) => [
    `  ${name.padEnd(18)} ${title}`,
    ...goalsOf({ name })
      .filter(({ bound }) => bound !== undefined)
      .map(
        ({ title: what, subject, bound }) =>
          `${' '.repeat(23)}${what} (${subject.names.join('; ')}): ${boundText(bound)}`,
      ),
  ]);
  return `${USAGE}\n\n${lines.join('\n')}`;
}

/** Progress goes to standard error, the tables to standard output. */
function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}

function chosenScenarios(options: Options): readonly Scenario[] {
  const unknown = options.scenarios.filter((word) => !scenarios.some(({ name }) => name === word));
  if (unknown.length > 0) throw new Error(`There is no scenario ${unknown.join(', ')}.\n\n${listText()}`);
  if (options.scenarios.length === 0) return scenarios.filter(({ notQuick }) => !options.quick || notQuick !== true);
  return scenarios.filter(({ name }) => options.scenarios.includes(name));
}

/** Runs the scenarios one after another; a failing scenario is reported and does not stop the others. */
async function runAll(
  chosen: readonly Scenario[],
  context: ScenarioContext,
): Promise<{ rows: readonly Row[]; failed: readonly string[] }> {
  const rows: Row[] = [];
  const failed: string[] = [];
  for (const scenario of chosen) {
    say(`${scenario.name}: ${scenario.title} ...`);
    const start = performance.now();
    try {
      rows.push(...(await scenario.run(context)));
      say(`${scenario.name}: done in ${((performance.now() - start) / 1000).toFixed(1)} s.`);
    } catch (error) {
      failed.push(scenario.name);
      say(`${scenario.name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  return { rows, failed };
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options.list) {
    process.stdout.write(`${listText()}\n`);
    return 0;
  }
  const chosen = chosenScenarios(options);
  const startedAt = new Date().toISOString();
  const valkeyVersion = await withServer({ appendonly: false }, (server) => server.version());
  const { rows, failed } = await runAll(chosen, {
    runs: options.runs,
    scale: options.scale,
    quick: options.quick,
    note: say,
  });
  const report: Report = {
    machine: describeMachine(valkeyVersion),
    runs: options.runs,
    scale: options.scale,
    startedAt,
    rows,
    verdicts: judge(scenarios.flatMap(goalsOf), rows),
  };
  const markdown = toMarkdown(report);
  process.stdout.write(`${markdown}\n`);
  if (options.markdownFile !== undefined) await writeFile(options.markdownFile, `${markdown}\n`);
  if (options.jsonFile !== undefined) await writeFile(options.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
  if (failed.length > 0) say(`Failed: ${failed.join(', ')}.`);
  return failed.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
