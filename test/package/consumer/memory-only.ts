/** A program of the main entry alone, which a bundler can make one file of: nothing in it asks for a server. */
import { app, memory } from 'flowfabric';

const a = app({ backend: memory() });
const hello = a.task('hello', ({ input }: { input: { name: string } }) => `Hello, ${input.name}!`);
await a.worker();
console.log(`memory only: ${await hello.run({ name: 'World' }).result()}`);
await a.close();
