import { app, memory, type TaskContext } from '../src/index.js';

const a = app({ backend: memory() });
const hello = a.task('hello', ({ input }: TaskContext<{ name: string }>) => `Hello, ${input.name}!`);
await a.worker();
console.log(await hello.run({ name: 'World' }).result());
await a.close();
