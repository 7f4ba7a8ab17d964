/**
 * Loads the function library onto the server if it is missing or older, and refuses to run with a different library. A
 * server never gets an older build than the deployment has had, even after its functions were flushed.
 */
import type { Valkey } from 'iovalkey';
import { unlike } from '../../../lua/signatures.js';
import { library, type Library, type LibraryKind } from '../../../lua/library.js';
import { EngineError } from '../../../model/errors.js';
import { primariesOf, type Client } from '../connection/clients.js';
import { isFunctionMissing, isMemoryFull, TransientFault } from '../connection/faults.js';
import { isReply } from '../../../model/safe-cause.js';
import { nameOf } from '../connection/node-faults.js';
import type { LibraryMode } from '../options.js';
import type { DeploymentRecord } from './deployment.js';

/** Most operations that an error names. */
const MAX_NAMED = 5;

interface Installed {
  readonly build: number;
  readonly hash: string;
  /** Signatures of its operations. */
  readonly signatures: readonly string[];
}

export class LibraryKeeper {
  /** The library of this process. */
  readonly wanted: Library;
  /** Why a node has an older build, which serves until there is room for this one. */
  behind: EngineError | undefined;
  private running: Promise<void> | undefined;
  private hasLoaded = false;

  constructor(
    private readonly client: Client,
    private readonly record: DeploymentRecord,
    kind: LibraryKind,
  ) {
    this.wanted = library(kind);
  }

  /**
   * Loads the library onto every primary if needed; concurrent callers share one run.
   * @throws EngineError `library_mismatch`
   * @throws NotYet if the library is missing and only a newer process may load it
   */
  ensureLoaded(mode: LibraryMode): Promise<void> {
    this.running ??= this.ensureOnAll(mode).finally(() => (this.running = undefined));
    return this.running;
  }

  /** Whether this process has loaded the library since the last question. */
  takeLoaded(): boolean {
    const { hasLoaded } = this;
    this.hasLoaded = false;
    return hasLoaded;
  }

  private async ensureOnAll(mode: LibraryMode): Promise<void> {
    this.behind = undefined;
    const builds = await Promise.all(primariesOf(this.client).map((node) => this.ensureOn(node, mode)));
    await this.record.noteBuild(this.wanted.name, Math.max(...builds));
  }

  /** @returns the build that the node has afterwards */
  private async ensureOn(node: Valkey, mode: LibraryMode): Promise<number> {
    const { wanted } = this;
    const host = nameOf(node);
    const found = await this.installedOn(node);
    if (found?.hash === wanted.hash) return found.build;
    if (mode === 'replace' || (mode === 'load' && (found === undefined || found.build < wanted.build))) {
      if (mode === 'load') await this.checkNewest(host);
      return this.load(node, mode, found === undefined).catch((error: unknown) => this.withOlder(found, host, error));
    }
    if (found === undefined)
      throw new TransientFault(new EngineError('library_mismatch', `${host} has no library ${wanted.name}.`));
    // A newer build of the same contract is compatible, so it stays.
    if (found.build > wanted.build) {
      checkSignatures(found, host);
      return found.build;
    }
    throw new EngineError(
      'library_mismatch',
      `${host} has ${wanted.name} build ${found.build} (${found.hash}); this process brings build ${wanted.build} (${wanted.hash}). ` +
        (found.build < wanted.build
          ? "Load it, or let a process do so: `library: 'load'`."
          : "Two packages have one build number: install one of them everywhere, and start one process with `library: 'replace'`."),
    );
  }

  /** A full server takes no library. An older build that has every operation in the same form goes on meanwhile. */
  private withOlder(found: Installed | undefined, host: string, error: unknown): number {
    if (!isMemoryFull(error)) throw error;
    const { name, build } = this.wanted;
    const full = `${host} has no room for ${name} of build ${build}`;
    if (found === undefined || unlike(found.signatures).length > 0)
      throw new EngineError('server_memory_full', `${full}, and has no other build that this process could use.`);
    this.behind = new EngineError('server_memory_full', `${full}: build ${found.build} is in use until it has.`);
    return found.build;
  }

  private async load(node: Valkey, mode: LibraryMode, isMissing: boolean): Promise<number> {
    const { name, build, source } = this.wanted;
    // Recorded before the load, so that an older process does not load its own build meanwhile.
    await this.record.noteBuild(name, build);
    const replaces = mode === 'replace' || !isMissing;
    try {
      await node.call('FUNCTION', 'LOAD', ...(replaces ? ['REPLACE'] : []), source);
      this.hasLoaded = true;
      return build;
    } catch (error) {
      if (replaces || !isReply(error) || !/already exists/i.test(error.message)) throw error;
      // Another process has loaded a library meanwhile, perhaps a newer one.
      if ((await this.installedOn(node)) !== undefined) return this.ensureOn(node, mode);
      throw new TransientFault(
        new EngineError('library_mismatch', `${nameOf(node)} has foreign functions under the names of ${name}.`),
      );
    }
  }

  /** @throws NotYet if the deployment has had a newer build, which a process that has it must load */
  private async checkNewest(host: string): Promise<void> {
    const { name, build } = this.wanted;
    const newest = await this.record.newestBuild(name);
    if (newest <= build) return;
    throw new TransientFault(
      new EngineError(
        'library_mismatch',
        `${host} has no ${name} of build ${newest}; the deployment had build ${newest}, this process brings build ${build} and does not load it.`,
      ),
    );
  }

  private async installedOn(node: Valkey): Promise<Installed | undefined> {
    try {
      const version = await node.call('FCALL', `${this.wanted.functionPrefix}version`, 0);
      const [, build, hash, signatures] = version as [number, number, string, string[]];
      return { build: Number(build), hash, signatures };
    } catch (error) {
      if (isFunctionMissing(error)) return undefined;
      throw error;
    }
  }
}

/**
 * @throws EngineError `library_mismatch` if an operation of this process is missing in the library, or differs in form
 */
function checkSignatures({ build, signatures }: Installed, host: string): void {
  const others = unlike(signatures);
  if (others.length === 0) return;
  throw new EngineError(
    'library_mismatch',
    `${host} has build ${build}, which is incompatible with this process in ${others.slice(0, MAX_NAMED).join(', ')}.`,
    { detail: { operations: others.join(' ') } },
  );
}
