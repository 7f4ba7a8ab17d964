import type { App, Logger } from '../../src/index.js';

/** How long a server has to answer before it is said that none does, in milliseconds. */
const SAID_AFTER_MS = 1_500;
const TTY_INTERVAL_MS = 500;
const PLAIN_INTERVAL_MS = 10_000;

/** Where messages are written; `process.stderr` fits. */
export interface MessageStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Host and port of an address, without the name and password that it may have. */
export function hostOf(address: string): string {
  const { hostname, port } = new URL(address);
  return `${hostname}:${port === '' ? '6379' : port}`;
}

/**
 * Waits until the app has its server. When there is none, it says so, and what to start, and shows how the waiting goes.
 *
 * @throws EngineError when the server answers and cannot be used
 */
export async function reached(app: App, address: string, stream: MessageStream = process.stderr): Promise<void> {
  const host = hostOf(address);
  const startedAt = performance.now();
  let lines: ReturnType<typeof setInterval> | undefined;
  const notice = setTimeout(() => {
    stream.write(noServer(host));
    const show = (): void => {
      stream.write(stream.isTTY ? `\r${waiting(app, startedAt)}  ` : `${waiting(app, startedAt)}\n`);
    };
    show();
    lines = setInterval(show, stream.isTTY ? TTY_INTERVAL_MS : PLAIN_INTERVAL_MS);
  }, SAID_AFTER_MS);
  try {
    await app.backend();
    if (lines !== undefined) stream.write(`${stream.isTTY ? '\n' : ''}Connected to ${host}.\n`);
  } finally {
    clearTimeout(notice);
    clearInterval(lines);
  }
}

function noServer(host: string): string {
  const [name, port] = [host.slice(0, host.lastIndexOf(':')), host.slice(host.lastIndexOf(':') + 1)];
  if (!['localhost', '127.0.0.1', '[::1]'].includes(name))
    return `No server answers at ${host}. Check the address, and that this machine may connect to it.\n`;
  return [
    `No server answers at ${host}. Start one, with one of these:`,
    `  valkey-server --port ${port}`,
    `  docker run --rm -p ${port}:6379 valkey/valkey:8`,
    'Or leave --backend out: the audit then needs no server.',
    '',
  ].join('\n');
}

function waiting(app: App, startedAt: number): string {
  const { state, failures } = app.connection();
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const tries = failures === 0 ? '' : `, ${failures} ${failures === 1 ? 'try' : 'tries'} failed`;
  return `Waiting for the server: ${state}, ${seconds} s${tries}. Ctrl-C ends.`;
}

/**
 * A log for a process that only waits: what the app says about its connection goes to the terminal.
 *
 * @param isOn whether anything is written at this moment
 */
export function connectionLog(isOn: () => boolean, stream: MessageStream = process.stderr): Logger {
  const line = (message: string): void => {
    if (isOn()) stream.write(`${stream.isTTY ? '\n' : ''}${message}\n`);
  };
  const ignore = (): void => undefined;
  return { debug: ignore, info: line, warn: line, error: line };
}
