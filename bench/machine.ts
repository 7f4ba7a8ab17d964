import os from 'node:os';

/** Where the figures come from. */
export interface Machine {
  readonly cpuModel: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly nodeVersion: string;
  readonly valkeyVersion: string;
}

/** This machine, with the version of the server that was measured. */
export function describeMachine(valkeyVersion: string): Machine {
  const cpus = os.cpus();
  return {
    cpuModel: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.type()} ${os.release()}`,
    nodeVersion: process.version,
    valkeyVersion,
  };
}

/** The description in one sentence. */
export function machineText(machine: Machine): string {
  return (
    `${machine.cpuModel}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, ` +
    `Node ${machine.nodeVersion}, Valkey ${machine.valkeyVersion}, loopback`
  );
}
