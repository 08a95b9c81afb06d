/** Suites by price, told by the file's suffix; `infra/test/run.ts` runs them and counts. */
const transform = {
  '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' }, sourceMaps: 'inline' }],
};

const PRICED = ['int', 'root', 'e2e', 'golden'];

const suite = (name) => ({
  displayName: name,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform,
  testMatch: name === 'unit' ? ['**/*.spec.ts'] : [`**/*.${name}.spec.ts`],
  testPathIgnorePatterns: ['/node_modules/', '/\\.seine/', ...(name === 'unit' ? PRICED.map((price) => `\\.${price}\\.spec\\.ts$`) : [])],
  modulePathIgnorePatterns: ['/\\.seine/'],
});

export default { projects: ['unit', ...PRICED].map(suite) };
