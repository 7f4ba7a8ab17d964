/**
 * A deployment that two people have to approve. It builds, waits for them without a process, asks a manager when the
 * deadline passes, and rolls out: each once, whatever happens to its workers.
 *
 *     npx tsx examples/deployment-gate.ts               in memory
 *     VALKEY_URL=valkey://localhost:6379 npx tsx examples/deployment-gate.ts
 */
import { fileURLToPath } from 'node:url';
import { app, memory, valkey, WaitTimeoutError, type App, type Duration, type TaskContext } from '../src/index.js';

/** What a deployment does to the world. */
export interface Effects {
  readonly build: (commit: string) => string;
  readonly escalate: (commit: string) => void;
  readonly rollOut: (image: string) => void;
}

export interface Deployment {
  readonly commit: string;
  /** How long two people have; then a manager is asked. */
  readonly deadline: Duration;
}

export function gate(a: App, effects: Effects) {
  return a.task('deploy', async ({ input, step, approval }: TaskContext<Deployment>) => {
    const { commit, deadline } = input;
    const image = await step('build', () => effects.build(commit));
    const decide = async () => {
      try {
        return await approval('release', { approvals: 2, timeout: deadline });
      } catch (error) {
        if (!(error instanceof WaitTimeoutError)) throw error;
        await step('escalate', () => effects.escalate(commit));
        return approval('override', { timeout: '7d' });
      }
    };
    const { approved, decisions } = await decide();
    if (approved) await step('roll out', () => effects.rollOut(image));
    return { deployed: approved, by: decisions.map(({ by }) => by) };
  });
}

async function main(): Promise<void> {
  await using a = app({ backend: process.env['VALKEY_URL'] === undefined ? memory() : valkey() });
  const deploy = gate(a, {
    build: (commit) => {
      console.log('builds', commit);
      return `image:${commit}`;
    },
    escalate: (commit) => console.log('asks a manager about', commit),
    rollOut: (image) => console.log('rolls out', image),
  });
  await a.worker();
  const run = deploy.run({ commit: '4b9df81', deadline: '1h' });
  await run.approve('release', { by: 'ann', note: 'the tests are green' });
  await run.approve('release', { by: 'bea' });
  console.log(await run.result());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
