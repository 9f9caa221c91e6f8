/**
 * Who may import whom: the walls of the house as data. `imports.test.ts` holds every import of every
 * TypeScript file, and every project reference, against it; docs/ARCHITECTURE.md says why.
 */

/** What the files of one top folder may import. */
export interface Room {
  /** Other top folders, as values. */
  rooms: readonly string[];
  /** Other top folders, by `import type` alone. */
  types: readonly string[];
  /** Rooms that its tests, with real servers and a real kernel, may import on top. */
  testRooms?: readonly string[];
  /** Modules of Node. */
  node: boolean;
  /** npm packages; `{ 'zod': 'core/model/' }` allows one below that path alone. */
  packages: Readonly<Record<string, string>>;
}

const everywhere = (...names: string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, '']));

export const matrix: Readonly<Record<string, Room>> = {
  core: {
    rooms: [],
    types: [],
    node: false,
    packages: { zod: 'core/model/', '@noble/hashes': 'core/model/hash.ts' },
  },
  workflows: {
    rooms: ['core'],
    types: ['activities'],
    testRooms: ['activities', 'adapters', 'lab'],
    node: false,
    packages: everywhere('@temporalio/workflow', '@temporalio/common'),
  },
  activities: {
    rooms: ['core'],
    types: [],
    node: false,
    packages: everywhere('@temporalio/activity', '@temporalio/common'),
  },
  adapters: {
    rooms: ['core'],
    types: [],
    node: true,
    packages: {
      '@grpc/grpc-js': 'adapters/',
      '@grpc/proto-loader': 'adapters/',
      '@peculiar/x509': 'adapters/ca/',
      'reflect-metadata': 'adapters/ca/',
      etcd3: 'adapters/etcd/',
      pino: 'adapters/telemetry/',
      'prom-client': 'adapters/telemetry/',
      '@temporalio/activity': 'adapters/temporal/',
      '@temporalio/client': 'adapters/temporal/',
      '@temporalio/common': 'adapters/temporal/',
      '@temporalio/envconfig': 'adapters/temporal/',
      '@temporalio/worker': 'adapters/temporal/',
    },
  },
  workers: {
    rooms: ['core', 'workflows', 'activities', 'adapters'],
    types: [],
    testRooms: ['lab'],
    node: true,
    packages: everywhere(
      '@grpc/grpc-js',
      '@temporalio/activity',
      '@temporalio/client',
      '@temporalio/envconfig',
      '@temporalio/worker',
      'pino',
      'prom-client',
    ),
  },
  lab: { rooms: ['core', 'adapters'], types: [], node: true, packages: {} },
  cli: {
    rooms: ['core', 'adapters', 'lab'],
    types: [],
    node: true,
    packages: everywhere('@grpc/grpc-js', 'cli-table3', 'commander', 'picocolors', 'yaml'),
  },
  experiments: {
    rooms: ['core', 'workflows', 'activities', 'adapters', 'workers', 'lab', 'cli'],
    types: [],
    node: true,
    packages: {
      ...everywhere('@temporalio/client', '@temporalio/worker'),
      etcd3: 'experiments/etcd-leader/', // the peer, as it comes
    },
  },
  // Its programs are C; what is TypeScript there tests them.
  bpf: { rooms: ['core', 'adapters'], types: [], node: true, packages: {} },
  scripts: { rooms: [], types: [], node: true, packages: everywhere('@temporalio/worker') },
};

/** What every `x.test.ts`, `testing.ts` and file below `testing/` may import on top of its room. */
export const testsAlso: { packages: readonly string[]; node: boolean } = {
  packages: ['fast-check', '@temporalio/worker', '@temporalio/client'],
  node: true,
};
