/** Asks one running compiler about each mutant of TypeScript, because starting a compiler takes longer than most tests. */
import { readFileSync } from 'node:fs';
import { API, type Diagnostic, type Program, type Snapshot } from 'typescript/unstable/async';
import type { Mutant } from './mutants.js';
import { ROOT } from './tree.js';

/** A configuration that exists only for this compiler. */
const CONFIGURATION = `${ROOT}tsconfig.mutate.json`;

/**
 * The sources without the tests. What is merely unused or unreachable is no error: a mutant with such code runs, and its
 * behaviour is for the tests to judge.
 */
const OPTIONS = JSON.stringify({
  extends: './tsconfig.json',
  include: ['model', 'src', 'lua'],
  compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, allowUnreachableCode: true },
});

export class Compiler {
  /** Texts that the compiler reads instead of those on the disk. */
  private readonly texts = new Map([[CONFIGURATION, OPTIONS]]);
  private readonly api = new API({
    cwd: ROOT,
    fs: {
      readFile: (path) => this.texts.get(path),
      fileExists: (path) => (this.texts.has(path) ? true : undefined),
    },
  });
  private snapshot: Snapshot | undefined;

  /** The first error in the broken file, which is where nearly all are; undefined when there is none. */
  complaintAbout(mutant: Mutant): Promise<string | undefined> {
    return this.broken(mutant, async (file) => {
      const program = this.program();
      return [...(await program.getSyntacticDiagnostics(file)), ...(await program.getSemanticDiagnostics(file))];
    });
  }

  /** The first error in any source, also in those that import the broken file. Takes several times as long. */
  complaintAnywhere(mutant: Mutant): Promise<string | undefined> {
    return this.broken(mutant, () => this.program().getSemanticDiagnostics());
  }

  close(): Promise<void> {
    return this.api.close();
  }

  private async broken(
    mutant: Mutant,
    ask: (file: string) => Promise<readonly Diagnostic[]>,
  ): Promise<string | undefined> {
    const file = ROOT + mutant.file;
    const unbroken = this.texts.get(file) ?? readFileSync(file, 'utf8');
    this.texts.set(file, mutant.source);
    try {
      await this.update(file);
      const [first] = await ask(file);
      return first === undefined ? undefined : `TS${first.code}: ${first.text}`;
    } finally {
      this.texts.set(file, unbroken);
      await this.update(file);
    }
  }

  private program(): Program {
    const program = this.snapshot?.getProject(CONFIGURATION)?.program;
    if (program === undefined) throw new Error('The compiler did not open the sources.');
    return program;
  }

  private async update(file: string): Promise<void> {
    const before = this.snapshot;
    this.snapshot = await this.api.updateSnapshot(
      before === undefined ? { openProjects: [CONFIGURATION] } : { fileChanges: { changed: [file] } },
    );
    await before?.dispose();
  }
}
