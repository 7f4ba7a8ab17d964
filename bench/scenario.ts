import type { Engine, ServerAddress, SubjectEngine, SubjectModule } from './adapter.js';
import { BullmqEngine } from './engines/bullmq.js';
import { ListEngine } from './engines/list.js';
import type { Row } from './rows.js';
import { BenchServer } from './server.js';

/** What a scenario is given. */
export interface ScenarioContext {
  /** Measurements per contestant. */
  readonly runs: number;
  /** Factor on every size and duration: 1, or less in the quick form. */
  readonly scale: number;
  /** Whether the scenarios of many minutes may run. */
  readonly long: boolean;
  /** This project's engine, unless its adapter is missing. */
  readonly subject: SubjectModule | undefined;
  /** Says one sentence to the person who waits. */
  note(sentence: string): void;
}

/** One question that the benchmark answers. */
export interface Scenario {
  /** The word on the command line. */
  readonly name: string;
  /** What it measures, in a few words. */
  readonly title: string;
  run(context: ScenarioContext): Promise<readonly Row[]>;
}

/** `full` items, or as many as the quick form takes, never fewer than 50. */
export function scaled(context: ScenarioContext, full: number): number {
  return Math.max(50, Math.round(full * context.scale));
}

/** The engines under test on one server. */
export interface Engines {
  readonly list: ListEngine;
  readonly bullmq: BullmqEngine;
  readonly subject: SubjectEngine | undefined;
}

/** Runs `action` with a private server of its own, and stops it whatever happens. */
export async function withServer<Result>(
  options: { readonly appendonly: boolean },
  action: (server: BenchServer) => Promise<Result>,
): Promise<Result> {
  const server = await BenchServer.start(options);
  try {
    return await action(server);
  } finally {
    await server.stop();
  }
}

/** Opens one engine, hands it over and closes it whatever happens. */
export async function withEngine<Opened extends Pick<Engine, 'close'>, Result>(
  open: (address: ServerAddress) => Promise<Opened>,
  server: BenchServer,
  action: (engine: Opened) => Promise<Result>,
): Promise<Result> {
  const engine = await open(server.address);
  try {
    return await action(engine);
  } finally {
    await engine.close();
  }
}

/** A private server with every engine connected to it. */
export async function withEngines<Result>(
  context: ScenarioContext,
  options: { readonly appendonly: boolean },
  action: (server: BenchServer, engines: Engines) => Promise<Result>,
): Promise<Result> {
  return withServer(options, (server) =>
    withEngine(
      (address) => ListEngine.connect(address),
      server,
      (list) =>
        withEngine(
          (address) => BullmqEngine.connect(address),
          server,
          async (bullmq) => {
            const { subject } = context;
            if (subject === undefined) return action(server, { list, bullmq, subject: undefined });
            return withEngine(
              (address) => subject.createFlowFabricEngine(address),
              server,
              (engine) => action(server, { list, bullmq, subject: engine }),
            );
          },
        ),
    ),
  );
}

/** A private server with this project's engine alone; no rows when the engine is missing. */
export async function withSubject(
  context: ScenarioContext,
  action: (server: BenchServer, engine: SubjectEngine) => Promise<readonly Row[]>,
): Promise<readonly Row[]> {
  const { subject } = context;
  if (subject === undefined) return [];
  return withServer({ appendonly: false }, (server) =>
    withEngine(
      (address) => subject.createFlowFabricEngine(address),
      server,
      (engine) => action(server, engine),
    ),
  );
}
