/** A failure as a readable story: time, command, result. */
import { differencesOf } from './differences.js';
import type { Divergence, Step } from './divergence.js';

const short = (value: unknown): string => {
  const text = JSON.stringify(value, (_key, member: unknown) =>
    member instanceof Uint8Array ? `<${member.byteLength} bytes>` : member,
  );
  return text === undefined
    ? ''
    : text
        .replace(/\{fp:0\}:([0-9a-f]{8})-[0-9a-f-]{27}/g, '$1')
        .replace(/"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]{22}"/g, '"$1"');
};

function line(step: Step, startAt: number): string {
  const time = `+${step.at - startAt} ms`.padStart(12);
  const what = step.command === undefined ? step.action : `${step.command.name} ${short(step.command.args)}`;
  return `${time}  ${step.situation.padEnd(14)} ${what}\n${' '.repeat(14)}-> ${step.result}`;
}

/** The story of a divergence. */
export function storyOf(failure: Divergence, startAt: number): string {
  return [
    ...failure.steps.map((step) => line(step, startAt)),
    '',
    `${failure.backend} differs in ${failure.what}:`,
    `  expected ${short(failure.expected)}`,
    `  got      ${short(failure.got)}`,
    ...differencesOf(failure.expected, failure.got).map((line) => `  ${line}`),
  ].join('\n');
}
